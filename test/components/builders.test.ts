import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseTenantId } from "@video-storage/contract/identity";

import { catalogueLogins } from "../../components/lib/catalogue-logins.js";
import { buildClaim } from "../../components/lib/claims.js";
import { canonicalJson, cappedName, contentHash, cronJobName } from "../../components/lib/names.js";
import { buildNetworkPolicies } from "../../components/lib/network-policies.js";
import {
  OBJECT_STORAGE_USER,
  SETUP_USER,
  UPLOAD_GROUP,
  UPLOADER_USER,
} from "../../components/lib/security-context.js";
import { slotsOf, slotsOfPools } from "../../components/lib/slots.js";
import { buildCleanupRole } from "../../components/tenant-isolation.js";
import { buildLimits, buildQuota } from "../../components/worker-scratch.js";
import { tenantIds } from "../support/arbitraries.js";

const slots = slotsOf([
  { name: "node-a.example", id: 0, slots: 2, directory: "/mnt/a" },
  { name: "node-b", id: 7, slots: 1, directory: "/mnt/b" },
]);

describe("slots", () => {
  it("have a name, a place and a user of their own", () => {
    expect(slots).toEqual([
      {
        name: "node-a-example-slot-0",
        group: "node-a.example",
        groupNumber: 0,
        node: "node-a.example",
        pool: null,
        indexOnNode: 0,
        path: "/mnt/a/slot-0",
        claim: "node-a-example-slot-0",
        runAsUser: 21_000,
      },
      {
        name: "node-a-example-slot-1",
        group: "node-a.example",
        groupNumber: 0,
        node: "node-a.example",
        pool: null,
        indexOnNode: 1,
        path: "/mnt/a/slot-1",
        claim: "node-a-example-slot-1",
        runAsUser: 21_001,
      },
      {
        name: "node-b-slot-0",
        group: "node-b",
        groupNumber: 7,
        node: "node-b",
        pool: null,
        indexOnNode: 0,
        path: "/mnt/b/slot-0",
        claim: "node-b-slot-0",
        runAsUser: 21_224,
      },
    ]);
  });

  it("stay what they are when nodes come, go and change places, and no two share a user", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 32 }), { minLength: 1, maxLength: 6 });
    const ids = fc.uniqueArray(fc.integer({ min: 0, max: 1390 }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(sizes, ids, fc.infiniteStream(fc.boolean()), (counts, [...given], stays) => {
        const nodes = counts.map((size, i) => ({
          name: `n${i}`,
          id: given[i]!,
          slots: size,
          directory: "/d",
        }));
        const before = slotsOf(nodes);
        const after = slotsOf(nodes.filter(() => stays.next().value).reverse());
        expect(before).toEqual(expect.arrayContaining(after));
        const users = before.map(({ runAsUser }) => runAsUser);
        expect(new Set(users).size).toBe(before.length);
        // Above the users of everything else.
        expect(Math.min(...users)).toBeGreaterThanOrEqual(21_000);
        expect(Math.max(UPLOAD_GROUP, UPLOADER_USER, OBJECT_STORAGE_USER, SETUP_USER)).toBeLessThan(21_000);
        // What a pod with hostUsers: false can be.
        expect(Math.max(...users)).toBeLessThan(65_536);
      }),
    );
  });
});

describe("slots of a pool", () => {
  const pool = { name: "i4i", id: 10, slots: 66, slotsPerNode: 4 };

  it("are grouped by the node that their storage will choose, and follow the pool's id", () => {
    const [first, fifth, last] = [0, 4, 65].map((index) => slotsOfPools([pool])[index]);
    expect(first).toEqual({
      name: "i4i-slot-0",
      group: "i4i-0",
      groupNumber: 10,
      node: null,
      pool: "i4i",
      indexOnNode: 0,
      path: null,
      claim: "i4i-slot-0",
      runAsUser: 21_320,
    });
    expect(fifth).toMatchObject({ group: "i4i-1", indexOnNode: 0, runAsUser: 21_324 });
    // The third of the ids that 66 slots take.
    expect(last).toMatchObject({ group: "i4i-16", indexOnNode: 1, runAsUser: 21_000 + 12 * 32 + 1 });
  });

  it("stay what they are when it grows", () => {
    const grown = slotsOfPools([{ ...pool, slots: 80 }]);
    expect(grown.slice(0, 66)).toEqual(slotsOfPools([pool]));
    expect(grown).toHaveLength(80);
  });
});

describe("a local volume", () => {
  it("is claimed by name", () => {
    const claim = buildClaim({
      environment: "test",
      role: "worker",
      namespace: "jobs",
      name: "c",
      storageClass: "fast",
      volume: "v",
      bytes: 2n ** 26n,
    });
    expect(claim.metadata.annotations).toEqual({ "pulumi.com/skipAwait": "true" });
    expect(claim.spec).toEqual({
      accessModes: ["ReadWriteOnce"],
      volumeMode: "Filesystem",
      storageClassName: "fast",
      volumeName: "v",
      resources: { requests: { storage: "64Mi" } },
    });
  });
});

describe("the workers' namespace", () => {
  const args = {
    environment: "test",
    namespace: "jobs",
    storageClass: "fast",
    slots,
    slotBytes: 2n ** 26n,
    protectData: true,
  };

  it("may claim as much as its slots hold, of any class", () => {
    expect(buildQuota(args).spec.hard).toEqual({
      persistentvolumeclaims: "3",
      "requests.storage": "192Mi",
      "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "3",
      "fast.storageclass.storage.k8s.io/requests.storage": "192Mi",
    });
  });

  it("bounds each claim, and what a container takes from the node's own disk", () => {
    expect(buildLimits(args).spec.limits).toEqual([
      { type: "PersistentVolumeClaim", max: { storage: "64Mi" } },
      {
        type: "Container",
        defaultRequest: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
        default: { memory: "512Mi", "ephemeral-storage": "128Mi" },
      },
    ]);
  });

  it("lets the cleanup job get pods by name and nothing else", () => {
    const role = buildCleanupRole({
      environment: "test",
      namespace: "jobs",
      systemNamespace: "system",
      catalogue: { host: "h", port: 1 },
      workerEgress: [],
      objectStoragePort: null,
    });
    expect(role.rules).toEqual([{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]);
  });
});

describe("names", () => {
  it("of CronJobs stay within what their Jobs can append to, and apart", () => {
    const node = fc.string({ unit: fc.constantFrom(..."abc019.-"), minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(node, node, (a, b) => {
        expect(cronJobName(a).length).toBeLessThanOrEqual(52);
        const same = a.replaceAll(".", "-") === b.replaceAll(".", "-");
        expect(cronJobName(a) === cronJobName(b)).toBe(same);
      }),
    );
  });

  it("that fit are kept, and longer ones end in a hash", () => {
    expect(cappedName("short", 20)).toBe("short");
    expect(cappedName("a-rather-long-name-of-a-node", 20)).toMatch(/^a-rather-[0-9a-f]{10}$/);
  });

  it("hash content, not the order of its keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      }),
    );
    expect(contentHash({ a: 1, b: [2] })).toBe(contentHash({ b: [2], a: 1 }));
    expect(contentHash({ a: 1 })).not.toBe(contentHash({ a: 2 }));
  });
});

describe("logins of the catalogue", () => {
  it("are one for each tenant and one for each other role", () => {
    expect(catalogueLogins([parseTenantId("big-co")])).toEqual([
      { login: "worker_big_co", role: "worker", tenantId: "big-co", owner: "worker-big-co" },
      { login: "uploader", role: "uploader", owner: "uploader" },
      { login: "cleanup", role: "cleanup", owner: "cleanup" },
      { login: "auditor", role: "auditor", owner: "auditor" },
      { login: "monitor", role: "monitor", owner: "monitor" },
      { login: "archivist", role: "archivist", owner: "archivist" },
    ]);
  });

  it("are distinct for distinct tenants", () => {
    fc.assert(
      fc.property(fc.uniqueArray(tenantIds, { maxLength: 8 }), (ids) => {
        expect(new Set(catalogueLogins(ids).map(({ login }) => login)).size).toBe(ids.length + 5);
      }),
    );
  });
});

describe("network policies", () => {
  const args = {
    environment: "test",
    namespace: "jobs",
    systemNamespace: "system",
    catalogue: { host: "10.0.0.5", port: 5432 },
    workerEgress: ["203.0.113.0/24"],
    objectStoragePort: 9000,
  };
  const policies = buildNetworkPolicies(args);
  const of = (namespace: string, name: string) =>
    policies.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name)!.spec;

  it("deny everything in both namespaces, and then open this much", () => {
    expect(policies.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual([
      "jobs/default-deny",
      "system/default-deny",
      "jobs/allow-dns",
      "system/allow-dns",
      "jobs/allow-catalogue",
      "system/allow-catalogue",
      "jobs/allow-kubernetes-api",
      "jobs/allow-video-sources",
      "system/allow-kubernetes-api",
      "jobs/allow-object-storage",
      "system/allow-object-storage",
      "system/allow-object-storage-clients",
    ]);
    expect(of("jobs", "default-deny")).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  });

  it("open the catalogue's one address and port", () => {
    expect(of("jobs", "allow-catalogue")).toEqual({
      podSelector: {
        matchLabels: { "app.kubernetes.io/instance": "test" },
        matchExpressions: [
          { key: "app.kubernetes.io/component", operator: "In", values: ["worker", "uploader", "cleanup"] },
        ],
      },
      policyTypes: ["Egress"],
      egress: [{ to: [{ ipBlock: { cidr: "10.0.0.5/32" } }], ports: [{ protocol: "TCP", port: 5432 }] }],
    });
  });

  it("open the port anywhere but to the metadata service where the catalogue has a host name", () => {
    const named = buildNetworkPolicies({ ...args, catalogue: { host: "db.example.test", port: 5433 } });
    const spec = named.find(({ metadata }) => metadata.name === "allow-catalogue")!.spec;
    expect(spec).toMatchObject({
      egress: [
        {
          to: [
            { ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] } },
            { ipBlock: { cidr: "::/0", except: ["fe80::/10", "fd00:ec2::/32"] } },
          ],
          ports: [{ protocol: "TCP", port: 5433 }],
        },
      ],
    });
  });

  it("let nobody but the cleanup job and placement reach the API server, and nobody but workers the videos", () => {
    const roles = (name: string) =>
      (of("jobs", name).podSelector as { matchExpressions: { values: string[] }[] }).matchExpressions[0]!
        .values;
    expect(roles("allow-kubernetes-api")).toEqual(["cleanup", "placement"]);
    expect(roles("allow-video-sources")).toEqual(["worker"]);
    expect(of("jobs", "allow-video-sources")).toMatchObject({
      egress: [{ to: [{ ipBlock: { cidr: "203.0.113.0/24" } }] }],
    });
  });

  it("let the deployment's probe reach the API server and the object storage", () => {
    const values = (name: string) =>
      (of("system", name).podSelector as { matchExpressions: { values: string[] }[] }).matchExpressions[0]!
        .values;
    expect(values("allow-kubernetes-api")).toEqual(["object-storage-probe"]);
    expect(values("allow-object-storage")).toEqual(["object-storage-setup", "object-storage-probe"]);
  });

  it("open an endpoint outside to the probe too, with the API server for its report", () => {
    const service = { name: "object-storage", host: "192.0.2.1", port: 443 };
    const outside = buildNetworkPolicies({
      ...args,
      objectStoragePort: null,
      services: [{ ...service, roles: ["worker"] }],
      systemServices: [{ ...service, roles: ["object-storage-probe"] }],
    });
    const found = outside.filter(({ metadata }) => /object-storage|kubernetes-api/.test(metadata.name));
    expect(found.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual([
      "jobs/allow-kubernetes-api",
      "jobs/allow-object-storage",
      "system/allow-object-storage",
      "system/allow-kubernetes-api",
    ]);
    expect(found[2]!.spec).toMatchObject({
      egress: [{ to: [{ ipBlock: { cidr: "192.0.2.1/32" } }], ports: [{ protocol: "TCP", port: 443 }] }],
    });
  });

  it("let in nobody but the object storage's clients", () => {
    const ingress = policies.filter(({ spec }) => "ingress" in spec);
    expect(ingress.map(({ metadata }) => metadata.name)).toEqual(["allow-object-storage-clients"]);
  });
});
