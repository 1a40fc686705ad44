import type { BuiltImage } from "../images/image.js";
import type { Cluster } from "./cluster.js";
import { nodeName } from "./nodes.js";

/** Deploys CoreDNS, so that pods find Services by name. */
export async function ensureNameService(cluster: Cluster, image: BuiltImage, address: string): Promise<void> {
  const manifest = { apiVersion: "v1", kind: "List", items: nameServiceObjects(image.reference, address) };
  await cluster.kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], JSON.stringify(manifest));
}

function nameServiceObjects(image: string, address: string): object[] {
  const name = "coredns";
  const metadata = { name, namespace: "kube-system", labels: { "k8s-app": "kube-dns" } };
  const corefile =
    ".:1053 {\n  errors\n  health :8080\n  ready :8181\n  kubernetes cluster.local in-addr.arpa\n  cache 5\n}\n";
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "system:coredns" },
      rules: [
        { apiGroups: [""], resources: ["services", "namespaces", "pods"], verbs: ["list", "watch"] },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "system:coredns" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:coredns" },
      subjects: [{ kind: "ServiceAccount", name, namespace: "kube-system" }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: corefile } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: metadata.labels },
        template: {
          metadata: { labels: metadata.labels },
          spec: {
            // With the control plane, so that another node that is away takes no names with it.
            nodeSelector: { "kubernetes.io/hostname": nodeName(0) },
            serviceAccountName: name,
            securityContext: {
              runAsNonRoot: true,
              runAsUser: 10_000,
              seccompProfile: { type: "RuntimeDefault" },
            },
            volumes: [{ name: "configuration", configMap: { name } }],
            containers: [
              {
                name,
                image,
                imagePullPolicy: "IfNotPresent",
                args: ["-conf", "/etc/coredns/Corefile"],
                ports: [
                  { name: "dns", containerPort: 1053, protocol: "UDP" },
                  { name: "dns-tcp", containerPort: 1053, protocol: "TCP" },
                ],
                readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
                volumeMounts: [{ name: "configuration", mountPath: "/etc/coredns", readOnly: true }],
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ["ALL"] },
                },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...metadata, name: "kube-dns" },
      spec: {
        clusterIP: address,
        selector: metadata.labels,
        ports: [
          { name: "dns", port: 53, targetPort: 1053, protocol: "UDP" },
          { name: "dns-tcp", port: 53, targetPort: 1053, protocol: "TCP" },
        ],
      },
    },
  ];
}
