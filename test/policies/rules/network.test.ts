import { UNKNOWN } from "../../../policies/model";
import type { ResourceView } from "../../../policies/model";
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
      [pod(), deny({ podSelector: { matchLabels: {}, matchExpressions: [] } })],
      [pod(), deny({ podSelector: null })],
    ],
    fail: [
      [
        [pod(), deny({ podSelector: { matchExpressions: [{ key: "a", operator: "Exists" }] } })],
        "denies Ingress and Egress",
      ],
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
      [opening({ to: [{ namespaceSelector: null, podSelector: {} }], ports: PORTS })],
      [opening({ to: [{ ipBlock: { cidr: "::/0", except: ["fd00:ec2::/32"] } }], ports: PORTS })],
      [opening({ to: [{ ipBlock: { cidr: "2001:db8::1" } }] })],
      [opening({ to: [{ ipBlock: { cidr: UNKNOWN } }] })],
    ],
    fail: [
      [[opening({ to: [everywhere(["169.254.0.0/16"])] })], "egress 1: it has no ports"],
      [[opening({ to: [{ ipBlock: { cidr: "2000::/3" } }] })], "egress 1: it has no ports"],
      [
        [opening({ to: [{ ipBlock: { cidr: "0.0.0.0/1" } }, { ipBlock: { cidr: "64.0.0.0/2" } }] })],
        "egress 1: it has no ports",
      ],
      [
        [opening({ to: [{ podSelector: { matchLabels: { a: "b" } } }], ports: [{ protocol: "TCP" }] })],
        "egress 1: it has no ports",
      ],
      [
        [opening({ to: [{ ipBlock: { cidr: "::/0" } }], ports: PORTS })],
        "egress 1: ::/0 reaches fd00:ec2::254; add fd00:ec2::/32 to ipBlock.except",
      ],
      [
        [opening({ from: [{ ipBlock: { cidr: "0.0.0.0/1" } }], ports: PORTS }, "ingress")],
        "it lets in 0.0.0.0/1",
      ],
      [[opening({ to: [{ ipBlock: { cidr: "10.0.0.0/abc" } }] })], "10.0.0.0/abc is no range of addresses"],
      [[opening({ to: [{ ipBlock: { cidr: "10.0.0.0/33" } }] })], "10.0.0.0/33 is no range of addresses"],
      ...[
        { namespaceSelector: {}, podSelector: {} },
        { namespaceSelector: { matchLabels: {} } },
        { namespaceSelector: { matchExpressions: [] }, podSelector: { matchLabels: {} } },
      ].map((peer): [ResourceView[], string] => [
        [opening({ to: [peer], ports: PORTS })],
        "it is open to every pod of every namespace",
      ]),
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
