import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { beforeAll, describe, expect, it } from "vitest";

import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { parseTenantId } from "@video-storage/contract/identity";

import { ArtifactBucket } from "../../components/artifact-bucket.js";
import { Catalogue } from "../../components/catalogue.js";
import { CleanupCronJob } from "../../components/cleanup-cron-job.js";
import { Contract } from "../../components/contract.js";
import { GrafanaDashboard } from "../../components/grafana-dashboard.js";
import { slotsOf } from "../../components/lib/slots.js";
import { LocalSsdStorage } from "../../components/local-ssd-storage.js";
import { Monitoring } from "../../components/monitoring.js";
import { NodeExporterAlerts } from "../../components/node-exporter-alerts.js";
import { TenantIsolation } from "../../components/tenant-isolation.js";
import { WorkerScratch } from "../../components/worker-scratch.js";
import { RETENTION, stackContract } from "../support/documents.js";
import { image } from "../support/local-configuration.js";
import { declared } from "../support/recorder.js";
import type { Declared } from "../support/recorder.js";

const environment = "test";
const namespace = "jobs";
const systemNamespace = "system";
const tenants = ["acme", "globex"].map(parseTenantId);
const slots = slotsOf([
  { name: "node-a", id: 0, slots: 2, directory: "/mnt/a" },
  { name: "node-b", id: 1, slots: 1, directory: "/mnt/b" },
]);
const catalogue = { host: "10.0.0.5", port: 5432, database: "storage", tls: true };
const cleanupConfig: CleanupConfig = {
  version: 1,
  retention: RETENTION,
  heartbeatTimeoutSeconds: 60,
  namespace,
  catalogue,
  objectStorage: null,
  pressure: {
    bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
    inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
    unuploaded: "keep",
    floor: { seconds: 0, bytes: 0 },
    tenantFloors: {},
  },
  tenantRetention: { limits: {}, overrides: {} },
  tiering: { packBelowBytes: 131_072, concurrency: 4 },
  janitor: {
    periodSeconds: 86_400,
    unfinishedUploadSeconds: 86_400,
    unuploaded: "keep",
    doubtAboveObjects: 100,
    doubtAbovePercent: 20,
  },
  checkPods: true,
};

type Make = (name: string, opts: pulumi.ComponentResourceOptions) => pulumi.ComponentResource;

/** Every component, as small as it gets, and the names of its children by kind. */
const COMPONENTS: Record<string, { make: Make; children: string[] }> = {
  LocalSsdStorage: {
    make: (name, opts) =>
      new LocalSsdStorage(
        name,
        {
          environment,
          className: "fast",
          mode: "static",
          volumes: [
            {
              name: "v0",
              node: "node-a",
              path: "/mnt/a/slot-0",
              bytes: 2n ** 30n,
              claim: { namespace, name: "c0" },
            },
          ],
          protectData: true,
        },
        opts,
      ),
    children: ["PersistentVolume x-v0", "StorageClass x-class"],
  },
  WorkerScratch: {
    make: (name, opts) =>
      new WorkerScratch(
        name,
        { environment, namespace, storageClass: "fast", slots, slotBytes: 2n ** 30n, protectData: true },
        opts,
      ),
    children: [
      "LimitRange x-limits",
      "PersistentVolumeClaim x-node-a-slot-0",
      "PersistentVolumeClaim x-node-a-slot-1",
      "PersistentVolumeClaim x-node-b-slot-0",
      "ResourceQuota x-quota",
    ],
  },
  TenantIsolation: {
    make: (name, opts) =>
      new TenantIsolation(
        name,
        { environment, namespace, systemNamespace, catalogue, workerEgress: [], objectStoragePort: null },
        opts,
      ),
    children: [
      "LimitRange x-system-limits",
      "Namespace x-namespace",
      "Namespace x-system-namespace",
      "NetworkPolicy x-allow-catalogue",
      "NetworkPolicy x-allow-dns",
      "NetworkPolicy x-allow-kubernetes-api",
      "NetworkPolicy x-default-deny",
      "NetworkPolicy x-system-allow-catalogue",
      "NetworkPolicy x-system-allow-dns",
      "NetworkPolicy x-system-default-deny",
      "ResourceQuota x-system-quota",
      "Role x-cleanup-role",
      "RoleBinding x-cleanup-binding",
      "ServiceAccount x-catalogue-migrations",
      "ServiceAccount x-cleanup",
      "ServiceAccount x-uploader",
      "ServiceAccount x-worker",
    ],
  },
  ArtifactBucket: {
    make: (name, opts) =>
      new ArtifactBucket(
        name,
        {
          environment,
          namespace,
          systemNamespace,
          tenants: tenants.slice(0, 1),
          bucket: "artifacts",
          region: "us-east-1",
          probeImage: image("probe"),
          backing: {
            kind: "minio",
            image: image("minio"),
            clientImage: image("mc"),
            storageClass: "fast",
            volume: "system-object-storage",
            volumeBytes: 2n ** 30n,
            credentialRotation: 1,
          },
          protectData: true,
        },
        opts,
      ),
    children: [
      "ConfigMap x-capabilities",
      "ConfigMap x-probe",
      "ConfigMap x-setup",
      "Job x-probe",
      "Job x-setup",
      "PersistentVolumeClaim x-claim",
      "RandomBytes x-kms-key",
      "RandomBytes x-tls-authority-seed",
      "RandomBytes x-tls-server-seed",
      "RandomPassword x-cleanup-password",
      "RandomPassword x-probe-password",
      "RandomPassword x-root-password",
      "RandomPassword x-uploader-password",
      "RandomPassword x-worker-acme-password",
      "ResourceQuota x-quota",
      "Role x-probe-job",
      "Role x-probe-report",
      "RoleBinding x-probe-job",
      "RoleBinding x-probe-report",
      "Secret x-cleanup",
      "Secret x-probe",
      "Secret x-server",
      "Secret x-setup",
      "Secret x-tls",
      "Secret x-uploader",
      "Secret x-worker-acme",
      "Service x-service",
      "ServiceAccount x-probe",
      "StatefulSet x-server",
    ],
  },
  Catalogue: {
    make: (name, opts) =>
      new Catalogue(
        name,
        {
          environment,
          namespace,
          systemNamespace,
          tenants: tenants.slice(0, 1),
          migrationsImage: image("catalogue"),
          adminUrl: pulumi.secret("postgresql://admin@db/storage"),
          tls: true,
          ca: null,
          credentialRotation: 1,
        },
        opts,
      ),
    children: [
      "ConfigMap x-logins",
      "Job x-migrations",
      "RandomPassword x-archivist-password",
      "RandomPassword x-auditor-password",
      "RandomPassword x-cleanup-password",
      "RandomPassword x-monitor-password",
      "RandomPassword x-uploader-password",
      "RandomPassword x-worker-acme-password",
      "Secret x-admin",
      "Secret x-archivist",
      "Secret x-auditor",
      "Secret x-cleanup",
      "Secret x-logins",
      "Secret x-monitor",
      "Secret x-uploader",
      "Secret x-worker-acme",
    ],
  },
  CleanupCronJob: {
    make: (name, opts) =>
      new CleanupCronJob(
        name,
        {
          environment,
          namespace,
          slots,
          image: image("cleanup-job"),
          schedule: "*/10 * * * *",
          timeZone: "Etc/UTC",
          activeDeadlineSeconds: 600,
          startingDeadlineSeconds: 60,
          checkPods: true,
          catalogueSecret: "catalogue-cleanup",
          objectStorageSecret: null,
          config: cleanupConfig,
        },
        opts,
      ),
    children: [
      "ConfigMap x-config",
      "CronJob x-cleanup-node-a",
      "CronJob x-cleanup-node-b",
      "ResourceQuota x-priority",
    ],
  },
  Monitoring: {
    make: (name, opts) =>
      new Monitoring(
        name,
        {
          ...{ environment, namespace, systemNamespace, image: image("monitor"), workerPort: 9401 },
          ...{ contract: stackContract(), cleanupConfig, catalogueCa: null },
          ...{ pushgatewayImage: image("pushgateway"), operator: true },
        },
        opts,
      ),
    children: [
      "ConfigMap x-exporter",
      "Deployment x-exporter",
      "Deployment x-pushgateway",
      "Service x-exporter",
      "Service x-pushgateway",
      "Service x-worker-metrics",
      "ServiceMonitor x-video-storage-exporter",
      "ServiceMonitor x-video-storage-pushgateway",
      "ServiceMonitor x-video-storage-worker",
    ],
  },
  GrafanaDashboard: {
    make: (name, opts) =>
      new GrafanaDashboard(
        name,
        {
          environment,
          namespace,
          source: { by: "node-exporter", directories: ["/mnt/a"] },
          bytes: { highPercent: 85, lowPercent: 70 },
          inodes: { highPercent: 85, lowPercent: 70 },
          nearlyFullPercent: 90,
        },
        opts,
      ),
    children: ["ConfigMap x-dashboard"],
  },
  NodeExporterAlerts: {
    make: (name, opts) =>
      new NodeExporterAlerts(
        name,
        {
          environment,
          namespace,
          source: { by: "node-exporter", directories: ["/mnt/a"] },
          timing: { periodSeconds: 600, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 },
          bytes: { highPercent: 85, lowPercent: 70 },
          inodes: { highPercent: 85, lowPercent: 70 },
        },
        opts,
      ),
    children: ["ConfigMap x-rules"],
  },
  Contract: {
    make: (name, opts) => new Contract(name, { contract: stackContract() }, opts),
    children: ["ConfigMap x-config"],
  },
};

class Surroundings extends pulumi.ComponentResource {}

/** Each component three ways: with its own providers, inside another component, and told to wait for something. */
async function declareEach(make: Make): Promise<Record<"alone" | "inside" | "waiting", Declared>> {
  const providers = () => [new k8s.Provider("cluster", { context: "test" }), new random.Provider("random")];
  return {
    alone: await declared(() => make("x", { providers: providers() })),
    inside: await declared(() => {
      const outer = new Surroundings("test:test:Surroundings", "outer", {}, { providers: providers() });
      make("x", { parent: outer });
    }),
    waiting: await declared(() => {
      const first = new k8s.core.v1.Namespace("first", {}, { provider: providers()[0]! });
      make("x", {
        providers: [new k8s.Provider("other", {}), new random.Provider("other-random")],
        dependsOn: first,
      });
    }),
  };
}

const isChild = ({ type, name }: { type: string; name: string }) =>
  /^(kubernetes|random):/.test(type) && name !== "first";

describe.each(Object.entries(COMPONENTS))("%s", (type, { make, children }) => {
  let ways: Record<"alone" | "inside" | "waiting", Declared>;
  beforeAll(async () => {
    ways = await declareEach(make);
  });

  it("declares exactly its children", () => {
    const names = ways.alone.resources
      .filter(isChild)
      .map((resource) => `${resource.type.split(":").at(-1)} ${resource.name}`);
    expect(names.sort()).toEqual(children);
  });

  it("is their parent, by itself as inside another component, with distinct names", () => {
    for (const [way, chain] of [
      ["alone", ""],
      ["inside", "test:test:Surroundings$"],
    ] as const) {
      const urn = `urn:pulumi:test::video-storage::${chain}video-storage:kubernetes:${type}::x`;
      const own = ways[way].resources.filter(isChild);
      expect([...new Set(own.map(({ parent }) => parent))]).toEqual([urn]);
      expect(new Set(own.map((resource) => resource.urn)).size).toBe(children.length);
    }
  });

  it("hands down the providers it was given, and no ambient one", () => {
    const used = (way: "alone" | "inside" | "waiting") =>
      [...new Set(ways[way].resources.filter(isChild).map(({ provider }) => provider.split("::")[3]))].sort();
    const withRandom = children.some((child) => child.startsWith("Random"));
    expect(used("alone")).toEqual(withRandom ? ["cluster", "random"] : ["cluster"]);
    expect(used("inside")).toEqual(withRandom ? ["cluster", "random"] : ["cluster"]);
    expect(used("waiting")).toEqual(withRandom ? ["other", "other-random"] : ["other"]);
  });

  it("makes its Kubernetes objects wait for what it was told to wait for", () => {
    const hasty = ways.waiting.resources.filter(
      ({ type: childType, name, dependencies }) =>
        childType.startsWith("kubernetes:") &&
        name !== "first" &&
        !dependencies.some((urn) => urn.endsWith("::first")),
    );
    expect(hasty.map(({ name }) => name)).toEqual([]);
  });

  it("keeps its inputs out of the state, and finishes once", () => {
    const component = ways.alone.one(type, "x");
    expect(component.inputs).toEqual({});
    expect(ways.alone.finished).toEqual([component.urn]);
  });
});

describe("options that the engine needs told", () => {
  let all: Declared;
  beforeAll(async () => {
    all = await declared(() => {
      const providers = [new k8s.Provider("cluster", { context: "test" }), new random.Provider("random")];
      for (const [type, { make }] of Object.entries(COMPONENTS)) make(type, { providers });
    });
  });

  it("replace what the API can't change", () => {
    const told = all.resources
      .filter(({ replaceOnChanges }) => replaceOnChanges.length > 0)
      .map(({ name, replaceOnChanges, deleteBeforeReplace }) => ({
        name,
        replaceOnChanges,
        deleteBeforeReplace,
      }));
    expect(told.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      {
        name: "LocalSsdStorage-class",
        replaceOnChanges: ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
        deleteBeforeReplace: true,
      },
      {
        name: "LocalSsdStorage-v0",
        replaceOnChanges: ["spec.local", "spec.nodeAffinity"],
        deleteBeforeReplace: true,
      },
    ]);
  });

  it("protect what holds data: workers' and objects' claims, their volumes, and the objects' key", () => {
    const guarded = all.resources
      .filter((resource) => resource.protect || resource.retainOnDelete)
      .map(({ name, protect, retainOnDelete }) => ({ name, protect, retainOnDelete }));
    expect(guarded.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: "ArtifactBucket-claim", protect: true, retainOnDelete: true },
      { name: "ArtifactBucket-kms-key", protect: true, retainOnDelete: false },
      { name: "ArtifactBucket-tls-authority-seed", protect: true, retainOnDelete: false },
      { name: "LocalSsdStorage-v0", protect: true, retainOnDelete: false },
      ...slots.map(({ name }) => ({ name: `WorkerScratch-${name}`, protect: true, retainOnDelete: false })),
    ]);
  });

  it("skip waiting where nothing in the stack would end the wait", () => {
    const skipping = all.resources
      .filter(({ inputs }) => JSON.stringify(inputs).includes('"pulumi.com/skipAwait":"true"'))
      .map(({ name }) => name);
    expect(skipping.sort()).toEqual([
      "ArtifactBucket-claim",
      "ArtifactBucket-service",
      "Monitoring-exporter",
      "Monitoring-pushgateway",
      "Monitoring-worker-metrics",
      "WorkerScratch-node-a-slot-0",
      "WorkerScratch-node-a-slot-1",
      "WorkerScratch-node-b-slot-0",
    ]);
  });

  it("make claims wait for their quota", () => {
    const claims = all.resources.filter(({ type }) => type.endsWith(":PersistentVolumeClaim"));
    const quotas = claims.map(({ name, dependencies }) => [
      name,
      dependencies.filter((urn) => urn.endsWith("-quota")).length,
    ]);
    expect(Object.fromEntries(quotas)).toEqual({
      "ArtifactBucket-claim": 1,
      "WorkerScratch-node-a-slot-0": 1,
      "WorkerScratch-node-a-slot-1": 1,
      "WorkerScratch-node-b-slot-0": 1,
    });
  });
});
