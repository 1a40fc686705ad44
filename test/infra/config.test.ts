import { describe, expect, it } from "vitest";

import {
  CONFIG_KEYS,
  ConfigError,
  OPTIONAL_SECRET_KEYS,
  parseConfig,
  SECRET_KEYS,
} from "../../infra/config.js";
import { readProjectFile, stackConfiguration } from "../../infra/stack-files.js";
import { image, LOCAL_CONFIGURATION } from "../support/local-configuration.js";

const VALID = stackConfiguration("local", LOCAL_CONFIGURATION);

/** The valid configuration with one value replaced, at a path of keys. */
function having(path: string, value: unknown): Record<string, unknown> {
  const copy = structuredClone(VALID) as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop()!;
  const holder = keys.reduce((inner, key) => inner[key] as Record<string, unknown>, copy);
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return copy;
}

function problemsOf(raw: Record<string, unknown>) {
  try {
    parseConfig("local", raw);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** What isn't said about tenants' own times and about pressure. */
const NO_LIMITS = {
  uploaded: null,
  completed: null,
  failed: null,
  abandoned: null,
  staged: null,
  orphaned: null,
  completedActions: [],
};

describe("a configuration", () => {
  it("is read into bytes and seconds, with the defaults of what isn't given", () => {
    expect(parseConfig("local", VALID)).toEqual({
      environment: "local",
      context: "local",
      namespace: "video-jobs",
      systemNamespace: "video-storage",
      storage: { mode: "static", diskReserve: 10n * 2n ** 30n, preparation: null },
      nodes: [{ name: "node-0", id: 0, slots: 3, directory: "/mnt/video-jobs", disk: null }],
      pools: [],
      slotSize: 64n * 2n ** 20n,
      reserve: 4n * 2n ** 20n,
      fillRate: 100n * 2n ** 10n,
      jobsPerSlot: 16,
      monitoring: {
        image: image("monitor"),
        pushgatewayImage: image("pushgateway"),
        pushgatewayUrl: null,
        prometheusNamespace: "monitoring",
        dashboard: true,
        operator: false,
        workerPort: 9401,
      },
      tenants: ["acme", "globex"],
      heartbeat: 5,
      heartbeatTimeout: 20,
      retention: {
        uploaded: 30,
        completed: 60,
        failed: 60,
        abandoned: 40,
        trash: 60,
        staged: 3600,
        orphaned: 3600,
        completedAction: "tier",
        limits: NO_LIMITS,
        tenants: {},
      },
      cleanup: {
        image: image("cleanup-job"),
        migrationsImage: image("catalogue"),
        schedule: "* * * * *",
        timeZone: "Etc/UTC",
        checkPods: true,
        activeDeadline: 120,
        startingDeadline: 60,
        highWaterPercent: 85,
        lowWaterPercent: 70,
        inodeHighWaterPercent: 85,
        inodeLowWaterPercent: 70,
        unuploadedUnderPressure: "keep",
        floor: { age: 0, size: 0n },
        tenantFloors: {},
        packBelow: 131_072n,
        uploadConcurrency: 4,
        janitorPeriod: 86_400,
        unfinishedUploads: 86_400,
        unuploadedObjects: "keep",
      },
      staging: { maxLocal: 21_600 },
      scan: null,
      alerts: {
        nearlyFullPercent: 90,
        quotaWarningPercent: 80,
        quotaCriticalPercent: 90,
        abandonedPerHour: 3,
        operator: null,
        ruleLabels: {},
        sourceLabels: {},
        runbooks: "docs/runbooks.md",
      },
      catalogue: { host: "10.231.0.2", port: 5432, database: "storage", tls: false, ca: null },
      objectStorage: {
        backend: "minio",
        image: image("minio"),
        clientImage: image("mc"),
        probeImage: image("object-storage-probe"),
        volumeSize: 2n ** 30n,
        node: "node-0",
        path: "/mnt/video-jobs/object-storage",
        storageClass: null,
        bucket: "video-storage",
        region: "us-east-1",
        tlsSecret: null,
        ca: null,
      },
      workerEgress: [],
      isolation: { userNamespaces: false, tolerations: [], slotTenants: {} },
      credentialRotation: 1,
      protectData: false,
      admissionPolicies: true,
    });
  });

  it("keeps finished jobs where nothing is said of them", () => {
    expect(parseConfig("local", having("retention", undefined)).retention).toEqual({
      uploaded: 3600,
      completed: 604_800,
      failed: 259_200,
      abandoned: 86_400,
      trash: 3600,
      staged: 2_592_000,
      orphaned: 604_800,
      completedAction: "keep",
      limits: NO_LIMITS,
      tenants: {},
    });
  });

  it("gives tenants times and floors of their own", () => {
    const { retention, cleanup } = parseConfig("local", {
      ...having("retention", {
        limits: { failed: { minimum: "1h", maximum: "7d" }, completedActions: ["keep"] },
        tenants: { acme: { failed: "2h", completedAction: "keep" } },
      }),
      cleanup: { ...(VALID["cleanup"] as object), tenantFloors: { globex: { age: "1d", size: "1Gi" } } },
    });
    expect(retention.tenants).toEqual({
      acme: {
        ...{ uploaded: null, completed: null, failed: 7200, abandoned: null, staged: null, orphaned: null },
        completedAction: "keep",
      },
    });
    expect(cleanup.tenantFloors).toEqual({ globex: { age: 86_400, size: 2n ** 30n } });
  });

  it.each([
    [
      { tenants: { acme: { failed: "2h" } } },
      "retention.tenants.acme.failed",
      "nothing, as retention.limits",
    ],
    [
      { limits: { failed: { minimum: "3h", maximum: "4h" } }, tenants: { acme: { failed: "2h" } } },
      "retention.tenants.acme.failed",
      "from 3h to 4h",
    ],
    [
      { limits: { failed: { minimum: "3h", maximum: "2h" } } },
      "retention.limits.failed.minimum",
      "at most maximum (2h)",
    ],
    [
      { limits: { completedActions: ["tier"] }, tenants: { acme: { completedAction: "delete" } } },
      "retention.tenants.acme.completedAction",
      "one of retention.limits.completedActions (tier)",
    ],
    [{ tenants: { hooli: {} } }, "retention.tenants.hooli", "one of tenants: acme, globex"],
  ])("refuses times of tenants outside the limits: %j", (retention, key, allowed) => {
    const problems = problemsOf(having("retention", retention));
    expect(problems.map((problem) => problem.key)).toEqual([key]);
    expect(problems[0]!.allowed).toContain(allowed);
  });

  it.each([
    ["nodes", undefined, "nodes", "a list of at least 1"],
    ["nodes", [], "nodes", "a list of at least 1"],
    ["nodes", "[{", "nodes", "a list"],
    [
      "nodes",
      [{ name: "node-0", id: 0, slots: 0, directory: "/d" }],
      "nodes[0].slots",
      "a whole number from 1 to 32",
    ],
    [
      "nodes",
      [{ name: "node-0", id: 0, slots: 1, directory: "/d/../e" }],
      "nodes[0].directory",
      "an absolute path",
    ],
    [
      "nodes",
      [{ name: "node-0", id: 0, slots: 1, directory: "/d/" }],
      "nodes[0].directory",
      "an absolute path",
    ],
    [
      "nodes",
      [{ name: "node-0", slots: 1, directory: "/d" }],
      "nodes[0].id",
      "a whole number from 0 to 1390",
    ],
    [
      "nodes",
      [{ name: "node-0", id: 1391, slots: 1, directory: "/d" }],
      "nodes[0].id",
      "a whole number from 0 to 1390",
    ],
    ["nodes", [{ name: "N", id: 0, slots: 1, directory: "/d" }], "nodes[0].name", "a node's name"],
    ["slotSize", "64MB", "slotSize", "a size of at least 16777216 bytes"],
    ["slotSize", "1Mi", "slotSize", "a size of at least 16777216 bytes"],
    ["tenants", [], "tenants", "a list of at least 1"],
    ["tenants", ["Acme"], "tenants[0]", "a tenant id"],
    ["heartbeat", "fast", "heartbeat", "a duration of at least 1 seconds"],
    ["retention.failed", "3", "retention.failed", "a duration of at least 0 seconds"],
    ["retention.completedAction", "archive", "retention.completedAction", "one of tier, delete, keep"],
    ["retention.compelted", "1d", "retention.compelted", "no such key here"],
    ["cleanup.image", "example.test/cleanup:latest", "cleanup.image", "an image by digest"],
    ["cleanup.schedule", "every minute", "cleanup.schedule", "a cron schedule"],
    ["cleanup.schedule", "* * * *", "cleanup.schedule", "a cron schedule"],
    ["cleanup.schedule", "0 3 * * 7", "cleanup.schedule", "the day of the week from 0, Sunday, to 6"],
    ["cleanup.schedule", "60 3 * * 1", "cleanup.schedule", "a cron schedule"],
    ["cleanup.startingDeadline", "5s", "cleanup.startingDeadline", "a duration of at least 10 seconds"],
    ["cleanup.checkPods", "maybe", "cleanup.checkPods", "true or false"],
    ["catalogue.port", 70_000, "catalogue.port", "a whole number from 1 to 65535"],
    ["catalogue.host", undefined, "catalogue.host", "a host name or address"],
    ["objectStorage.backend", "gcs", "objectStorage.backend", "one of none, minio, aws, s3"],
    ["objectStorage.image", undefined, "objectStorage.image", "an image by digest"],
    ["objectStorage.bucket", "No", "objectStorage.bucket", "a bucket name"],
    ["isolation", { userNamespaces: "maybe" }, "isolation.userNamespaces", "true or false"],
    [
      "isolation",
      { tolerations: [{ operator: "Exists" }] },
      "isolation.tolerations[0].key",
      "the key of a taint",
    ],
    [
      "isolation",
      { slotTenants: { "node-0-slot-9": "acme" } },
      "isolation.slotTenants.node-0-slot-9",
      "names of slots, such as node-0-slot-0",
    ],
    [
      "isolation",
      { slotTenants: { "node-0-slot-0": "nobody" } },
      "isolation.slotTenants.node-0-slot-0",
      "one of tenants: acme, globex",
    ],
    ["workerEgress", ["300.0.0.0/8"], "workerEgress[0]", "a CIDR"],
    ["workerEgress", ["10.0.0.0/8", "10.0.0.0"], "workerEgress[1]", "a CIDR"],
    ["credentialRotation", "0", "credentialRotation", "a whole number from 1"],
    ["slotSizes", "64Mi", "slotSizes", "no such key here"],
    ["systemNamespace", "Video_Storage", "systemNamespace", "a Kubernetes namespace"],
  ])("with %s = %j is refused at %s", (path, value, key, allowed) => {
    const problems = problemsOf(having(path, value));
    expect(problems.map((problem) => problem.key)).toEqual([key]);
    expect(problems[0]!.allowed).toContain(allowed);
  });

  it.each([
    ["heartbeatTimeout", "9s", "heartbeatTimeout", "at least twice heartbeat (10s)"],
    ["reserve", "64Mi", "reserve", "less than slotSize (67108864 bytes)"],
    ["cleanup.lowWaterPercent", 85, "cleanup.lowWaterPercent", "less than cleanup.highWaterPercent (85)"],
    [
      "cleanup.inodeLowWaterPercent",
      90,
      "cleanup.inodeLowWaterPercent",
      "less than cleanup.inodeHighWaterPercent (85)",
    ],
    ["systemNamespace", "video-jobs", "systemNamespace", "another namespace than namespace"],
    ["tenants", ["acme", "acme"], "tenants", "each tenant once"],
    ["objectStorage.node", "node-9", "objectStorage.node", "one of nodes: node-0"],
    ["objectStorage.path", "/mnt/video-jobs/slot-1", "objectStorage.path", "a directory that is no slot's"],
    ["objectStorage", { backend: "none" }, "retention.completedAction", "delete or keep"],
  ])("whose %s = %j doesn't go with the rest is refused at %s", (path, value, key, allowed) => {
    const problems = problemsOf(having(path, value));
    expect(problems.map((problem) => problem.key)).toEqual([key]);
    expect(problems[0]!.allowed).toContain(allowed);
  });

  it("refuses two nodes whose slots would have one name", () => {
    const nodes = ["a.b", "a-b"].map((name, id) => ({ name, id, slots: 1, directory: "/d" }));
    const problems = problemsOf({
      ...having("nodes", nodes),
      objectStorage: { backend: "none" },
      retention: {},
    });
    expect(problems).toEqual([
      { key: "nodes", value: "a-b-slot-0", allowed: "nodes whose slots have different names" },
    ]);
  });

  it("refuses two nodes with one id, whose workers could read each other's files", () => {
    const nodes = ["node-0", "b"].map((name) => ({ name, id: 5, slots: 1, directory: "/d" }));
    expect(problemsOf(having("nodes", nodes))).toEqual([
      {
        key: "nodes",
        value: 5,
        allowed: "an id that node node-0 has not: one for each node, also of those that are gone",
      },
    ]);
  });

  it("tells all problems at once: key, value, what is allowed and what to do", () => {
    const raw = {
      ...VALID,
      slotSize: "big",
      tenants: undefined,
      cleanup: { image: "x", migrationsImage: image("m") },
      catalogue: { host: "db" },
    };
    expect(() => parseConfig("dev", raw)).toThrow(
      new ConfigError("dev", [
        { key: "slotSize", value: "big", allowed: problemsOf(raw)[0]!.allowed },
        { key: "tenants", value: undefined, allowed: "a list of at least 1" },
        {
          key: "cleanup.image",
          value: "x",
          allowed: "an image by digest: name@sha256: and 64 hexadecimal digits",
        },
      ]),
    );
    const lines = new ConfigError("dev", problemsOf(raw)).message.split("\n");
    expect(lines).toEqual([
      "the configuration of stack dev has 3 problems; correct Pulumi.dev.yaml, or use `pulumi config set --path KEY VALUE`:",
      '  video-storage:slotSize is "big"; allowed: a size of at least 16777216 bytes, as a whole number and one unit of Ki, Mi, Gi, Ti, k, M, G or T',
      "  video-storage:tenants is missing; allowed: a list of at least 1",
      '  video-storage:cleanup.image is "x"; allowed: an image by digest: name@sha256: and 64 hexadecimal digits',
    ]);
  });
});

describe("Pulumi.yaml", () => {
  it("gives every key a default, or the engine would tell of missing ones before the program tells of all", () => {
    const without = Object.entries(readProjectFile().config).filter(
      ([, entry]) => entry.default === undefined,
    );
    expect(without.map(([key]) => key)).toEqual([]);
  });

  it("whose defaults count as not given: what a stack must say is missing without it", () => {
    expect(problemsOf(stackConfiguration("nowhere")).map(({ key }) => key)).toEqual([
      "context",
      "slotSize",
      "tenants",
      "cleanup.image",
      "cleanup.migrationsImage",
      "catalogue.host",
      "objectStorage.backend",
      "nodes",
    ]);
  });

  const declaredConfig = readProjectFile().config as Record<
    string,
    { type: string; description?: string; secret?: boolean }
  >;

  it("declares the keys that the program reads, and no other", () => {
    expect(Object.keys(declaredConfig).sort()).toEqual([...Object.keys(CONFIG_KEYS), ...SECRET_KEYS].sort());
  });

  it.each(Object.entries(declaredConfig))(
    "describes %s, with the type and secrecy that the program expects",
    (key, entry) => {
      expect(entry.description).toMatch(/\w{3}/);
      const must = SECRET_KEYS.filter((secret) => !OPTIONAL_SECRET_KEYS.includes(secret));
      expect(entry.secret === true).toBe((must as readonly string[]).includes(key));
      const isJson = CONFIG_KEYS[key as keyof typeof CONFIG_KEYS] === "json";
      expect(["array", "object"].includes(entry.type)).toBe(isJson);
    },
  );
});

describe("a stack's configuration", () => {
  it("merges objects, replaces lists, and leaves encrypted values to the engine", () => {
    const values = stackConfiguration("local", { tenants: ["solo"], retention: { failed: "5m" } });
    expect(values.tenants).toEqual(["solo"]);
    expect(values.retention).toMatchObject({ failed: "5m", uploaded: "30s", completedAction: "tier" });
    expect(values.namespace).toBe("video-jobs");
  });

  it("is the defaults alone for a stack without a file", () => {
    const notGiven = {
      kubeconfig: "",
      context: "",
      slotSize: "",
      catalogueAdminUrl: "",
      objectStorageKey: "",
    };
    const empty = {
      retention: {},
      cleanup: {},
      staging: {},
      scan: {},
      alerts: {},
      catalogue: {},
      isolation: {},
      monitoring: {},
    };
    expect(stackConfiguration("nowhere")).toEqual({
      ...notGiven,
      ...empty,
      ...{ nodes: [], pools: [], tenants: [], storage: { mode: "static" }, objectStorage: {} },
      namespace: "video-jobs",
      systemNamespace: "video-storage",
      reserve: "256Mi",
      heartbeat: "30s",
      heartbeatTimeout: "5m",
      fillRate: "50Mi",
      jobsPerSlot: 1,
      workerEgress: [],
      credentialRotation: 1,
      protectData: true,
      admissionPolicies: true,
    });
  });
});
