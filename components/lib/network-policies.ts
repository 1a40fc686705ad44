import { BlockList, isIP } from "node:net";

import { labels, selectorLabels } from "./labels.js";
import type { Role } from "./labels.js";

/** Where the catalogue listens: an address, a Service's name, or another that a NetworkPolicy can't express. */
export interface CatalogueAddress {
  /** An address or a Service's name is opened alone; with another name the port is open anywhere. */
  readonly host: string;
  /** Of Postgres. */
  readonly port: number;
}

export interface NetworkPolicyArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Namespace of the workers. */
  readonly namespace: string;
  /** Namespace of the object storage, the set-up jobs and the monitoring. */
  readonly systemNamespace: string;
  /** Opened to the roles that use it. */
  readonly catalogue: CatalogueAddress;
  /** CIDRs that workers may fetch videos from. */
  readonly workerEgress: readonly string[];
  /** Port of the S3 server in the cluster; null where there is none. */
  readonly objectStoragePort: number | null;
  /** What else some roles of the workers' namespace need: a scanner, an S3 endpoint elsewhere, a Pushgateway. */
  readonly services?: readonly ServiceOpening[];
  /** The same in the system namespace. */
  readonly systemServices?: readonly ServiceOpening[];
  /** Null or nothing: nobody scrapes and nothing is pushed. */
  readonly monitoring?: MonitoringOpenings | null;
}

/** Who scrapes what. */
export interface MonitoringOpenings {
  /** Namespace of the Prometheus that scrapes. */
  readonly prometheusNamespace: string;
  /** Of the exporter. */
  readonly exporterPort: number;
  /** Of each worker that serves metrics. */
  readonly workerPort: number;
  /** Of the stack's own Pushgateway; null where another one is used, which {@link NetworkPolicyArgs.services} opens. */
  readonly pushgatewayPort: number | null;
}

/** A service that some roles may reach. */
export interface ServiceOpening {
  /** Ends the policy's name. */
  readonly name: string;
  /** Whose pods may reach it. */
  readonly roles: readonly Role[];
  /** An address, or a Service's name such as `clamd.scan.svc`; with any other name its port is open anywhere. */
  readonly host: string;
  /** TCP. */
  readonly port: number;
}

/**
 * Where a range that a worker may fetch from must not lead by being wide: the cloud's metadata, whose
 * credentials are the node's, and the networks that the cluster and its neighbours are in. One of them is
 * reached by naming it, or a part of it.
 */
const NEVER_BY_THE_WAY = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "fc00::/7",
  "fe80::/10",
] as const;

/** Where an API server listens behind the `kubernetes` Service: policies are applied after its translation. */
const API_SERVER_PORTS = [443, 6443];

type Peer = Record<string, unknown>;

/**
 * For what has no address that could be written down here. The cloud's metadata service, which hands out the
 * node's own rights to whoever asks, is at a link-local address and, on AWS, at fd00:ec2::254.
 */
export const ANYWHERE: readonly Peer[] = [
  { ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] } },
  { ipBlock: { cidr: "::/0", except: ["fe80::/10", "fd00:ec2::/32"] } },
];
interface Opening {
  readonly name: string;
  readonly namespace: string;
  /** Pods it is for; all pods of the namespace when empty. */
  readonly roles: readonly Role[];
  readonly direction: "Ingress" | "Egress";
  readonly peers: readonly Peer[];
  readonly ports: readonly { readonly protocol: string; readonly port: number }[];
}

/** Nothing in or out of either namespace, and then what each role needs. */
export function buildNetworkPolicies(args: NetworkPolicyArgs) {
  return [
    ...[args.namespace, args.systemNamespace].map((namespace) => ({
      metadata: { name: "default-deny", namespace, labels: labels(args.environment, "isolation") },
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    })),
    ...openings(args).map((opening) => buildOpening(args.environment, opening)),
  ];
}

function openings(args: NetworkPolicyArgs): Opening[] {
  const { namespace, systemNamespace, environment } = args;
  const catalogue = {
    direction: "Egress" as const,
    peers: hostPeers(args.catalogue.host),
    ports: [tcp(args.catalogue.port)],
  };
  const dns = {
    name: "allow-dns",
    roles: [],
    direction: "Egress" as const,
    peers: [namespacePeer("kube-system")],
    ports: [tcp(53), { protocol: "UDP", port: 53 }],
  };
  const result: Opening[] = [
    { ...dns, namespace },
    { ...dns, namespace: systemNamespace },
    { ...catalogue, name: "allow-catalogue", namespace, roles: ["worker", "uploader", "cleanup"] },
    {
      ...catalogue,
      name: "allow-catalogue",
      namespace: systemNamespace,
      roles: ["catalogue-migrations", ...(args.monitoring ? (["exporter"] as const) : [])],
    },
    {
      name: "allow-kubernetes-api",
      namespace,
      roles: ["cleanup", "placement"],
      direction: "Egress",
      peers: ANYWHERE,
      ports: API_SERVER_PORTS.map(tcp),
    },
  ];
  if (args.workerEgress.length > 0) {
    const peers = args.workerEgress.map(rangePeer);
    result.push({
      name: "allow-video-sources",
      namespace,
      roles: ["worker"],
      direction: "Egress",
      peers,
      ports: [],
    });
  }
  const services = [
    ...(args.services ?? []).map((service) => ({ ...service, in: namespace })),
    ...(args.systemServices ?? []).map((service) => ({ ...service, in: systemNamespace })),
  ];
  for (const service of services) {
    result.push({
      name: `allow-${service.name}`,
      namespace: service.in,
      roles: service.roles,
      direction: "Egress",
      peers: hostPeers(service.host),
      ports: [tcp(service.port)],
    });
  }
  const isProbed = services.some(({ roles }) => roles.includes("object-storage-probe"));
  if (args.objectStoragePort !== null || isProbed) {
    // The probe of a deployment leaves its report in the cluster.
    result.push({
      name: "allow-kubernetes-api",
      namespace: systemNamespace,
      roles: ["object-storage-probe"],
      direction: "Egress",
      peers: ANYWHERE,
      ports: API_SERVER_PORTS.map(tcp),
    });
  }
  if (args.objectStoragePort !== null) {
    const ports = [tcp(args.objectStoragePort)];
    const server = podPeer(systemNamespace, selectorLabels(environment, "object-storage"));
    const clients: Role[] = ["worker", "uploader", "cleanup"];
    result.push(
      {
        name: "allow-object-storage",
        namespace,
        roles: clients,
        direction: "Egress",
        peers: [server],
        ports,
      },
      {
        name: "allow-object-storage",
        namespace: systemNamespace,
        roles: ["object-storage-setup", "object-storage-probe"],
        direction: "Egress",
        peers: [server],
        ports,
      },
      {
        name: "allow-object-storage-clients",
        namespace: systemNamespace,
        roles: ["object-storage"],
        direction: "Ingress",
        peers: [
          ...clients.map((role) => podPeer(namespace, selectorLabels(environment, role))),
          podPeer(systemNamespace, selectorLabels(environment, "object-storage-setup")),
          podPeer(systemNamespace, selectorLabels(environment, "object-storage-probe")),
        ],
        ports,
      },
    );
  }
  return [...result, ...(args.monitoring ? monitoringOpenings(args, args.monitoring) : [])];
}

/** Prometheus comes to what it scrapes, and sweeps go to the Pushgateway. */
function monitoringOpenings(
  { environment, namespace, systemNamespace }: NetworkPolicyArgs,
  { prometheusNamespace, exporterPort, workerPort, pushgatewayPort }: MonitoringOpenings,
): Opening[] {
  const scraped = (inNamespace: string, role: readonly Role[], name: string, port: number): Opening => ({
    name,
    namespace: inNamespace,
    roles: role,
    direction: "Ingress",
    peers: [namespacePeer(prometheusNamespace)],
    ports: [tcp(port)],
  });
  const scrapes = [
    scraped(systemNamespace, ["exporter"], "allow-scrapes-of-exporter", exporterPort),
    scraped(namespace, ["worker", "uploader"], "allow-scrapes-of-workers", workerPort),
  ];
  if (pushgatewayPort === null) return scrapes;
  const ports = [tcp(pushgatewayPort)];
  return [
    ...scrapes,
    scraped(systemNamespace, ["pushgateway"], "allow-scrapes-of-pushgateway", pushgatewayPort),
    {
      name: "allow-pushgateway",
      namespace,
      roles: ["cleanup"],
      direction: "Egress",
      peers: [podPeer(systemNamespace, selectorLabels(environment, "pushgateway"))],
      ports,
    },
    {
      name: "allow-pushgateway-clients",
      namespace: systemNamespace,
      roles: ["pushgateway"],
      direction: "Ingress",
      peers: [podPeer(namespace, selectorLabels(environment, "cleanup"))],
      ports,
    },
  ];
}

function buildOpening(environment: string, opening: Opening) {
  const side = opening.direction === "Ingress" ? "from" : "to";
  const rule = {
    [side]: opening.peers,
    ...(opening.ports.length > 0 && { ports: opening.ports }),
  };
  return {
    metadata: { name: opening.name, namespace: opening.namespace, labels: labels(environment, "isolation") },
    spec: {
      podSelector:
        opening.roles.length === 0
          ? {}
          : {
              matchLabels: { "app.kubernetes.io/instance": environment },
              matchExpressions: [
                { key: "app.kubernetes.io/component", operator: "In", values: [...opening.roles] },
              ],
            },
      policyTypes: [opening.direction],
      ...(opening.direction === "Ingress" ? { ingress: [rule] } : { egress: [rule] }),
    },
  };
}

function tcp(port: number) {
  return { protocol: "TCP", port };
}

function namespacePeer(namespace: string): Peer {
  return { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } };
}

function podPeer(namespace: string, matchLabels: Record<string, string>): Peer {
  return { ...namespacePeer(namespace), podSelector: { matchLabels } };
}

/** Other names can't be told to a NetworkPolicy, so there the port alone is opened. */
function hostPeers(host: string): readonly Peer[] {
  const service = /^[a-z0-9-]+\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?$/.exec(host);
  if (service) return [namespacePeer(service[1]!)];
  if (isIP(host) === 4) return [{ ipBlock: { cidr: `${host}/32` } }];
  if (isIP(host) === 6) return [{ ipBlock: { cidr: `${host}/128` } }];
  return ANYWHERE;
}

/** A range without what it would open by the way: see {@link NEVER_BY_THE_WAY}. */
function rangePeer(cidr: string): Peer {
  const except = NEVER_BY_THE_WAY.filter((inner) => isWithin(inner, cidr));
  return { ipBlock: { cidr, ...(except.length > 0 && { except }) } };
}

/** Whether a range is a part of another, and not the same. */
function isWithin(inner: string, outer: string): boolean {
  const [address, length] = inner.split("/") as [string, string];
  const [outerAddress, outerLength] = outer.split("/") as [string, string];
  const family = isIP(address) === 4 ? "ipv4" : "ipv6";
  if (isIP(outerAddress) !== isIP(address) || Number(length) <= Number(outerLength)) return false;
  const list = new BlockList();
  list.addSubnet(outerAddress, Number(outerLength), family);
  return list.check(address, family);
}
