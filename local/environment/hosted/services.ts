import { createHash } from "node:crypto";

import type { KubernetesObject, Manifest } from "../../../infra/manifests.js";
import { manifestId } from "../../../infra/manifests.js";
import type { ServiceImages } from "../../images/images.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../../stack.js";
import { ADMINISTRATOR, DATABASE_NAME, POSTGRES_PORT } from "../administrator.js";
import { stackScrapes } from "../scrape-configs.js";
import { NODE_DIRECTORY, POSTGRES_DIRECTORY, SERVICES_NAMESPACE, SERVICE_USER } from "./names.js";
import { HOSTNAME_LABEL } from "./nodes.js";

export const POSTGRES = "postgres";
export const PROMETHEUS = "prometheus";
export const VIDEO_SOURCE = "video-source";
const NODE_EXPORTER = "node-exporter";

export const PROMETHEUS_PORT = 9090;
const NODE_EXPORTER_PORT = 9100;
export const VIDEO_PORT = 8080;
/** Where the video's site takes a video, on its own loopback. */
export const VIDEO_UPLOAD_PORT = 8081;

/** Where pods of the cluster find Postgres. */
export const POSTGRES_HOST = `${POSTGRES}.${SERVICES_NAMESPACE}.svc`;

export interface ServicesArgs {
  /** The namespace's own object. */
  readonly namespace: KubernetesObject;
  /** The node that has the slots; the services keep their data on it. */
  readonly node: string;
  readonly images: ServiceImages;
  /** Of the database's administrator. Secret. */
  readonly password: string;
  /** Content of the rule file that the stack declared. */
  readonly rules: string;
}

/** An initialisation that was cut short is begun anew: what is finished has its final name. */
const POSTGRES_SCRIPT = `set -eu
umask 077
if [ ! -e /data/database ]; then
  rm -rf /data/unfinished
  /opt/postgres/bin/initdb -D /data/unfinished -U ${ADMINISTRATOR} --auth=scram-sha-256 \\
    --pwfile=/run/secrets/postgres/password --encoding=UTF8 --locale=C --no-instructions
  echo 'host all all all scram-sha-256' >> /data/unfinished/pg_hba.conf
  echo 'create database ${DATABASE_NAME}' | /opt/postgres/bin/postgres --single -D /data/unfinished postgres
  mv /data/unfinished /data/database
fi
# One that was killed leaves its pid file, and in a new container that pid may be another program's.
rm -f /data/database/postmaster.pid
exec /opt/postgres/bin/postgres -D /data/database -c listen_addresses='*' \\
  -c unix_socket_directories=/tmp -c max_connections=200`;

/** Everything that runs beside the stack on a cluster that is not of our own. */
export function serviceManifests(args: ServicesArgs): Manifest[] {
  return [
    args.namespace,
    onlyFromTheStack(),
    ...postgres(args),
    ...nodeExporter(args),
    ...prometheus(args),
    videoSource(args),
  ].map((object) => ({ id: manifestId(object), object, dependsOn: [], protect: false }));
}

function postgres({ node, images, password }: ServicesArgs): KubernetesObject[] {
  return [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata(POSTGRES),
      data: { password: Buffer.from(password).toString("base64") },
    },
    deployment(POSTGRES, node, {
      // Postgres ends at SIGINT without waiting for its clients, at SIGTERM after the last of them.
      terminationGracePeriodSeconds: 5,
      volumes: [
        { name: "data", hostPath: { path: `${NODE_DIRECTORY}/${POSTGRES_DIRECTORY}`, type: "Directory" } },
        { name: "secret", secret: { secretName: POSTGRES, defaultMode: 0o440 } },
        { name: "tmp", emptyDir: {} },
      ],
      containers: [
        {
          ...container(POSTGRES, images.postgres.reference, POSTGRES_PORT),
          command: ["/bin/sh", "-c", POSTGRES_SCRIPT],
          readinessProbe: { tcpSocket: { port: POSTGRES_PORT }, periodSeconds: 1 },
          volumeMounts: [
            { name: "data", mountPath: "/data" },
            { name: "secret", mountPath: "/run/secrets/postgres", readOnly: true },
            { name: "tmp", mountPath: "/tmp" },
          ],
        },
      ],
    }),
    service(POSTGRES, POSTGRES_PORT),
  ];
}

function nodeExporter({ node, images }: ServicesArgs): KubernetesObject[] {
  return [
    deployment(NODE_EXPORTER, node, {
      // The node's mounts are those of its first process.
      hostPID: true,
      volumes: [{ name: "node", hostPath: { path: "/", type: "Directory" } }],
      containers: [
        {
          ...container(NODE_EXPORTER, images.nodeExporter.reference, NODE_EXPORTER_PORT),
          args: [
            "--path.rootfs=/node",
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|etc|var/lib|tmp)($|/)",
          ],
          readinessProbe: { httpGet: { path: "/", port: NODE_EXPORTER_PORT }, periodSeconds: 1 },
          volumeMounts: [
            { name: "node", mountPath: "/node", readOnly: true, mountPropagation: "HostToContainer" },
          ],
        },
      ],
    }),
    service(NODE_EXPORTER, NODE_EXPORTER_PORT),
  ];
}

function prometheus({ node, images, rules }: ServicesArgs): KubernetesObject[] {
  const configuration = {
    global: { scrape_interval: "5s", evaluation_interval: "5s" },
    rule_files: ["/etc/prometheus/rules.yml"],
    scrape_configs: [
      {
        job_name: NODE_EXPORTER,
        static_configs: [{ targets: [`${NODE_EXPORTER}.${SERVICES_NAMESPACE}.svc:${NODE_EXPORTER_PORT}`] }],
      },
      ...stackScrapes(),
    ],
  };
  const data = { "prometheus.yml": JSON.stringify(configuration), "rules.yml": rules };
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata: metadata(PROMETHEUS), data },
    deployment(
      PROMETHEUS,
      node,
      {
        volumes: [
          { name: "configuration", configMap: { name: PROMETHEUS } },
          { name: "data", emptyDir: { sizeLimit: "1Gi" } },
        ],
        containers: [
          {
            ...container(PROMETHEUS, images.prometheus.reference, PROMETHEUS_PORT),
            args: [
              "--config.file=/etc/prometheus/prometheus.yml",
              "--storage.tsdb.path=/data",
              "--storage.tsdb.retention.time=6h",
            ],
            readinessProbe: { httpGet: { path: "/-/ready", port: PROMETHEUS_PORT }, periodSeconds: 1 },
            volumeMounts: [
              { name: "configuration", mountPath: "/etc/prometheus", readOnly: true },
              { name: "data", mountPath: "/data" },
            ],
          },
        ],
      },
      // A new rule file is taken by a new pod: a mounted ConfigMap follows a change only after a minute.
      { "video-storage/configuration": createHash("sha256").update(JSON.stringify(data)).digest("hex") },
    ),
    service(PROMETHEUS, PROMETHEUS_PORT),
  ];
}

function videoSource({ node, images }: ServicesArgs): KubernetesObject {
  return deployment(VIDEO_SOURCE, node, {
    terminationGracePeriodSeconds: 1,
    volumes: [{ name: "data", emptyDir: {} }],
    containers: [
      {
        ...container(VIDEO_SOURCE, images.videoSource.reference, VIDEO_PORT),
        args: [VIDEO_PORT, VIDEO_UPLOAD_PORT].map(String),
        readinessProbe: { httpGet: { path: "/ready", port: VIDEO_PORT }, periodSeconds: 1 },
        volumeMounts: [{ name: "data", mountPath: "/data" }],
      },
    ],
  });
}

/** Others on the cluster have no business with the database. */
function onlyFromTheStack(): KubernetesObject {
  const names = [SERVICES_NAMESPACE, SYSTEM_NAMESPACE, WORKERS_NAMESPACE];
  const key = "kubernetes.io/metadata.name";
  const peer = { namespaceSelector: { matchExpressions: [{ key, operator: "In", values: names }] } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata("only-from-the-stack"),
    spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from: [peer] }] },
  };
}

function deployment(
  name: string,
  node: string,
  spec: Record<string, unknown>,
  annotations?: Record<string, string>,
): KubernetesObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(name),
    spec: {
      replicas: 1,
      strategy: { type: "Recreate" },
      selector: { matchLabels: labelsOf(name) },
      template: {
        metadata: { labels: labelsOf(name), ...(annotations && { annotations }) },
        spec: {
          nodeSelector: { [HOSTNAME_LABEL]: node },
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: SERVICE_USER,
            runAsGroup: SERVICE_USER,
            fsGroup: SERVICE_USER,
            seccompProfile: { type: "RuntimeDefault" },
          },
          ...spec,
        },
      },
    },
  };
}

function container(name: string, image: string, containerPort: number) {
  return {
    name,
    image,
    imagePullPolicy: "IfNotPresent",
    ports: [{ containerPort, protocol: "TCP" }],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}

function service(name: string, port: number): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata(name),
    spec: { selector: labelsOf(name), ports: [{ port, targetPort: port, protocol: "TCP" }] },
  };
}

function metadata(name: string) {
  return { name, namespace: SERVICES_NAMESPACE, labels: labelsOf(name) };
}

function labelsOf(name: string): Record<string, string> {
  return { "app.kubernetes.io/part-of": "video-storage", "app.kubernetes.io/name": name };
}
