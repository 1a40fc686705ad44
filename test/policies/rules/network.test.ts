import { cronJob, describeRules, kubernetes, pod } from "../examples.js";

type Props = Record<string, unknown>;

const policy = (spec: Props, namespace = "jobs") =>
  kubernetes("networking.k8s.io/v1", "NetworkPolicy", { metadata: { name: "n", namespace }, spec });
const deny = (change: Props = {}) =>
  policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"], ...change });
const PORTS = [{ port: 443, protocol: "TCP" }];
const opening = (rule: Props, direction = "egress") =>
  policy({ podSelector: { matchLabels: { a: "b" } }, policyTypes: ["Egress"], [direction]: [rule] });
const everywhere = (except?: string[]) => ({ ipBlock: { cidr: "0.0.0.0/0", ...(except && { except }) } });
const service = (spec: Props) =>
  kubernetes("core/v1", "Service", { metadata: { name: "s", namespace: "jobs" }, spec });
const ingress = (spec: Props) =>
  kubernetes("networking.k8s.io/v1", "Ingress", { metadata: { name: "i", namespace: "jobs" }, spec });

describeRules("network", {
  "namespace-closed": {
    pass: [
      [pod(), deny()],
      [pod(), deny({ policyTypes: ["Ingress"] }), deny({ policyTypes: ["Egress"] })],
      [deny()],
    ],
    fail: [
      [[pod(), cronJob()], "namespace jobs has no policy that denies Ingress and Egress"],
      [[pod(), deny({ policyTypes: ["Ingress"] })], "denies Egress for all its pods"],
      [[pod(), policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"] }, "other")], "namespace jobs"],
      [[pod(), deny({ podSelector: { matchLabels: { a: "b" } } })], "denies Ingress and Egress"],
      [[pod(), deny({ ingress: [{}] })], "denies Ingress for all"],
      [[pod(), deny({ egress: [{ to: [] }] })], "denies Egress for all"],
    ],
  },
  "opening-narrow": {
    pass: [
      [deny()],
      [opening({ to: [everywhere(["169.254.0.0/16"])], ports: PORTS })],
      [opening({ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }], ports: PORTS })],
      [opening({ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }] })],
      [opening({ to: [{ namespaceSelector: {}, podSelector: { matchLabels: { a: "b" } } }], ports: PORTS })],
    ],
    fail: [
      [[opening({ ports: PORTS })], "egress 1: it has no to"],
      [[opening({ from: [], ports: PORTS }, "ingress")], "ingress 1: it has no from"],
      [[opening({ to: [{ podSelector: { matchLabels: { a: "b" } } }] })], "egress 1: it has no ports"],
      [[opening({ to: [everywhere()], ports: PORTS })], "0.0.0.0/0 reaches 169.254.169.254"],
      [[opening({ to: [{ ipBlock: { cidr: "169.254.0.0/16" } }], ports: PORTS })], "169.254.0.0/16 reaches"],
      [
        [opening({ from: [everywhere(["169.254.0.0/16"])], ports: PORTS }, "ingress")],
        "it lets in 0.0.0.0/0",
      ],
      [[opening({ to: [{ namespaceSelector: {} }], ports: PORTS })], "every pod of every namespace"],
    ],
  },
  "service-inside": {
    pass: [[service({})], [service({ type: "ClusterIP" })], [ingress({ tls: [{ hosts: ["x.test"] }] })]],
    fail: [
      [[service({ type: "LoadBalancer" })], "type is LoadBalancer"],
      [[service({ type: "NodePort" })], "type is NodePort"],
      [[service({ externalIPs: ["192.0.2.1"] })], "CVE-2020-8554"],
      [[ingress({})], "it answers without TLS"],
    ],
  },
});
