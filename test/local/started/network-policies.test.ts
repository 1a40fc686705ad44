import { CoreV1Api, NetworkingV1Api } from "@kubernetes/client-node";
import { beforeAll, describe, expect, it } from "vitest";

import { selectorLabels } from "../../../components/lib/labels.js";
import type { Role } from "../../../components/lib/labels.js";
import { buildNetworkPolicies } from "../../../components/lib/network-policies.js";
import { SERVICES_NAMESPACE } from "../../../local/environment/hosted/names.js";
import { allowedTraffic } from "../../support/network-policies.js";
import type { Peer } from "../../support/network-policies.js";
import { runningEnvironment } from "../../support/running-environment.js";

const NAMESPACES = ["video-jobs", "video-storage", "kube-system", "default"];
const INTERNET = { name: "internet", ip: "203.0.113.7" };
/** Where clouds give a node's credentials to whoever asks. */
const CLOUD_METADATA = { name: "cloud-metadata", ip: "169.254.169.254" };

const namespaceLabels = (namespace: string) => ({ "kubernetes.io/metadata.name": namespace });
let address = 0;
const pod = (name: string, namespace: string, labels: Record<string, string>): Peer => ({
  name,
  ip: `10.200.0.${(address += 1)}`,
  pod: { namespace, namespaceLabels: namespaceLabels(namespace), labels },
});

/** A pod of every role, and those who have no role: in our namespaces, elsewhere, and elsewhere with our labels. */
function everyone(environment: string): Peer[] {
  const role = (name: Role, namespace: string) => pod(name, namespace, selectorLabels(environment, name));
  return [
    pod("worker-acme", "video-jobs", {
      ...selectorLabels(environment, "worker"),
      "video-storage/tenant": "acme",
    }),
    pod("worker-globex", "video-jobs", {
      ...selectorLabels(environment, "worker"),
      "video-storage/tenant": "globex",
    }),
    role("uploader", "video-jobs"),
    role("cleanup", "video-jobs"),
    role("placement", "video-jobs"),
    pod("no-role", "video-jobs", {}),
    pod("other-environment", "video-jobs", selectorLabels("other", "worker")),
    role("object-storage", "video-storage"),
    role("object-storage-setup", "video-storage"),
    role("object-storage-probe", "video-storage"),
    role("catalogue-migrations", "video-storage"),
    role("exporter", "video-storage"),
    role("pushgateway", "video-storage"),
    pod("no-role-system", "video-storage", {}),
    pod("name-service", "kube-system", { "k8s-app": "kube-dns" }),
    pod("prometheus", SERVICES_NAMESPACE, { app: "prometheus" }),
    pod("stranger", "default", { app: "web" }),
    pod("impostor", "default", selectorLabels(environment, "worker")),
  ];
}

const OURS = [
  ...["worker-acme", "worker-globex", "uploader", "cleanup", "placement", "no-role"],
  "other-environment",
  ...["object-storage", "object-storage-setup", "object-storage-probe"],
  ...["catalogue-migrations", "exporter", "pushgateway", "no-role-system"],
];
const OTHERS = ["name-service", "prometheus", "stranger", "impostor"];
const pairs = (sources: readonly string[], destinations: readonly string[], ports: string) =>
  Object.fromEntries(
    sources.flatMap((source) =>
      destinations.filter((to) => to !== source).map((destination) => [`${source} > ${destination}`, ports]),
    ),
  );

describe("the NetworkPolicies of the running stack", () => {
  let allowed: Record<string, string>;

  beforeAll(async () => {
    const { api, contract } = await runningEnvironment();
    const { items } = await api(NetworkingV1Api).listNetworkPolicyForAllNamespaces();
    const { items: namespaces } = await api(CoreV1Api).listNamespace();
    for (const name of NAMESPACES) {
      const found = namespaces.find(({ metadata }) => metadata!.name === name);
      expect(found?.metadata?.labels).toMatchObject(namespaceLabels(name));
    }
    const outside = [
      { name: "catalogue", ip: contract.catalogue.host },
      { name: "video-source", ip: contract.catalogue.host.replace(/\d+$/, "1") },
      INTERNET,
      CLOUD_METADATA,
    ];
    // The client calls `from` `_from`, as the word is another language's.
    const policies = JSON.parse(JSON.stringify(items).replaceAll('"_from":', '"from":')) as typeof items;
    allowed = await allowedTraffic(policies, [...everyone(contract.environment), ...outside]);
  });

  it("allow exactly what the roles need, over every pair and every port", () => {
    const anywhere = ["catalogue", "video-source", "internet", ...OTHERS];
    expect(allowed).toEqual({
      // Names.
      ...pairs(OURS, ["name-service"], "TCP 53, UDP 53"),
      // Jobs, and for the migrations their schema.
      ...pairs(
        ["worker-acme", "worker-globex", "uploader", "catalogue-migrations", "exporter"],
        ["catalogue"],
        "TCP 5432",
      ),
      // Videos.
      ...pairs(["worker-acme", "worker-globex"], ["video-source"], "everything"),
      // Objects.
      ...pairs(
        [
          ...["worker-acme", "worker-globex", "uploader", "cleanup"],
          ...["object-storage-setup", "object-storage-probe"],
        ],
        ["object-storage"],
        "TCP 9000",
      ),
      // Metrics: how sweeps went, and what Prometheus scrapes.
      ...pairs(["cleanup"], ["pushgateway"], "TCP 9091"),
      ...pairs(["prometheus"], ["pushgateway"], "TCP 9091"),
      ...pairs(["prometheus"], ["exporter"], "TCP 9400"),
      ...pairs(["prometheus"], ["worker-acme", "worker-globex", "uploader"], "TCP 9401"),
      // Pods and claims. Where an API server listens isn't known in advance, but not at a link-local address.
      ...pairs(["cleanup", "placement", "object-storage-probe"], anywhere, "TCP 443, TCP 6443"),
      "placement > name-service": "TCP 53, TCP 443, TCP 6443, UDP 53",
      "cleanup > name-service": "TCP 53, TCP 443, TCP 6443, UDP 53",
      "object-storage-probe > name-service": "TCP 53, TCP 443, TCP 6443, UDP 53",
      "cleanup > catalogue": "TCP 443, TCP 5432, TCP 6443",
      // What others do among themselves is not ours to deny.
      ...pairs(OTHERS, ["catalogue", "video-source", "internet", "cloud-metadata", ...OTHERS], "everything"),
      ...pairs(["catalogue", "video-source", "internet", "cloud-metadata"], OTHERS, "everything"),
    });
  });

  it("let no worker reach another worker, another tenant's or the metadata of the cloud", () => {
    const reached = Object.keys(allowed).filter((pair) => pair.startsWith("worker-"));
    expect(reached.filter((pair) => /> (?:worker|cloud-metadata|internet)/.test(pair))).toEqual([]);
  });
});

describe("NetworkPolicies of other settings", () => {
  const scrapes = { prometheusNamespace: SERVICES_NAMESPACE, exporterPort: 9400, workerPort: 9500 };
  const args = {
    environment: "test",
    namespace: "video-jobs",
    systemNamespace: "video-storage",
    catalogue: { host: "db.example.test", port: 5432 },
    workerEgress: [],
    objectStoragePort: null,
  };
  const evaluated = (change: Partial<Parameters<typeof buildNetworkPolicies>[0]>) =>
    allowedTraffic(buildNetworkPolicies({ ...args, ...change }), [
      ...everyone("test"),
      INTERNET,
      CLOUD_METADATA,
      { name: "private", ip: "10.9.8.7" },
      pod("clamd", "scan", { app: "clamd" }),
    ]);
  const of = (allowed: Record<string, string>, source: string) =>
    Object.fromEntries(Object.entries(allowed).filter(([pair]) => pair.startsWith(`${source} > `)));

  it("open the whole internet to workers without the cloud's metadata and any private network", async () => {
    const allowed = await evaluated({ workerEgress: ["0.0.0.0/0"] });
    expect(of(allowed, "worker-acme")).toMatchObject({ "worker-acme > internet": "everything" });
    // The catalogue's name can't be told to a policy, so its port is open to anyone.
    expect(of(allowed, "worker-acme")).toMatchObject({
      "worker-acme > private": "TCP 5432",
      "worker-acme > stranger": "TCP 5432",
    });
    expect(allowed).not.toHaveProperty(["worker-acme > cloud-metadata"]);
    expect(allowed).not.toHaveProperty(["worker-acme > worker-globex"]);
    expect(allowed["uploader > internet"]).toBe("TCP 5432");
  });

  it("open a private network that is named", async () => {
    const allowed = await evaluated({ workerEgress: ["10.9.0.0/16"] });
    expect(allowed["worker-acme > private"]).toBe("everything");
    expect(allowed["worker-acme > internet"]).toBe("TCP 5432");
  });

  it("let nobody scrape without monitoring, and sweeps to a Pushgateway that is elsewhere", async () => {
    const without = await evaluated({});
    expect(Object.keys(without).filter((pair) => /> (?:exporter|pushgateway)/.test(pair))).toEqual([]);
    expect(without).not.toHaveProperty(["prometheus > worker-acme"]);
    expect(without).not.toHaveProperty(["exporter > private"]);
    const theirs = { name: "pushgateway", roles: ["cleanup"] as const, host: "10.9.8.7", port: 9091 };
    const monitoring = { ...scrapes, pushgatewayPort: null };
    const catalogue = { host: "10.9.8.6", port: 5432 };
    const allowed = await evaluated({ monitoring, services: [theirs], catalogue });
    expect(allowed["prometheus > worker-acme"]).toBe("TCP 9500");
    expect(allowed["prometheus > exporter"]).toBe("TCP 9400");
    expect(allowed).not.toHaveProperty(["prometheus > pushgateway"]);
    expect(allowed["cleanup > private"]).toContain("TCP 9091");
    expect(allowed).not.toHaveProperty(["worker-acme > private"]);
  });

  it("open a service in the cluster to the roles that need it, by its namespace", async () => {
    const scanner = { name: "scanner", roles: ["worker"] as const, host: "clamd.scan.svc", port: 3310 };
    const catalogue = { host: "10.9.8.7", port: 5432 };
    const allowed = await evaluated({ services: [scanner], catalogue });
    expect(of(allowed, "worker-globex")).toEqual({
      "worker-globex > name-service": "TCP 53, UDP 53",
      "worker-globex > private": "TCP 5432",
      "worker-globex > clamd": "TCP 3310",
    });
    expect(allowed).not.toHaveProperty(["uploader > clamd"]);
    expect(allowed).not.toHaveProperty(["worker-acme > object-storage"]);
  });
});
