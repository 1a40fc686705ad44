import { longestCronGap } from "@video-storage/contract/cron-schedule";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ConfigError, parseConfig } from "../../infra/config.js";
import { stackConfiguration } from "../../infra/stack-files.js";
import type { ConfigValues } from "../../infra/stack-files.js";
import { INSTALLATIONS } from "../support/installations.js";
import { image } from "../support/local-configuration.js";

type Stack = keyof typeof INSTALLATIONS;

function problemsOf(stack: Stack, change: ConfigValues) {
  try {
    const raw = stackConfiguration(stack, INSTALLATIONS[stack]);
    parseConfig(stack, merged(raw, change));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** Objects merged, everything else replaced, null a removal. */
function merged(base: ConfigValues, over: ConfigValues): ConfigValues {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    if (value === null) delete result[key];
    else if (isObject(value) && isObject(before)) result[key] = merged(before, value);
    else result[key] = value;
  }
  return result;
}

function isObject(value: unknown): value is ConfigValues {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const node = (change: object = {}) => ({
  name: "ssd-9",
  id: 9,
  slots: 4,
  directory: "/mnt/video-jobs",
  disk: "1920G",
  ...change,
});
const pool = (change: object = {}) => ({
  name: "hot",
  id: 0,
  slots: 96,
  slotsPerNode: 8,
  disk: "3750G",
  nodeSelector: { ssd: "fast" },
  ...change,
});

describe("keys that contradict each other", () => {
  it.each<[string, Stack, ConfigValues, string, string]>([
    // The sum of the slots, and what lies beside them, within the disk less its reserve.
    [
      "slots that don't fit on a node's disk",
      "onprem",
      { nodes: [node({ slots: 5 })] },
      "nodes[0].disk",
      "at least 2010Gi: 5 slots of slotSize (400Gi) and storage.diskReserve (10Gi)",
    ],
    [
      "slots that fit on the disk, but not with its reserve",
      "onprem",
      { nodes: [node({ disk: "1600Gi" })] },
      "nodes[0].disk",
      "at least 1610Gi",
    ],
    [
      "slots that don't fit on the nodes of a pool",
      "production",
      { pools: [pool({ slotsPerNode: 9 })] },
      "pools[0].disk",
      "at least 3610Gi: 9 slots",
    ],
    [
      "objects beside the slots",
      "onprem",
      {
        nodes: [node({ disk: "1700Gi" })],
        objectStorage: minio({ node: "ssd-9", path: "/mnt/objects", volumeSize: "100Gi" }),
      },
      "nodes[0].disk",
      "objectStorage.volumeSize (100Gi)",
    ],
    [
      "a disk that nobody measured",
      "onprem",
      { nodes: [node({ disk: undefined })] },
      "nodes[0].disk",
      "the size of",
    ],
    // One Pushgateway, and a Prometheus that is nobody of ours.
    [
      "sweeps with no Pushgateway to push to",
      "production",
      { monitoring: { pushgatewayImage: null } },
      "monitoring.pushgatewayImage",
      "monitoring.pushgatewayUrl of one that is there",
    ],
    [
      "two Pushgateways",
      "production",
      { monitoring: { pushgatewayUrl: "http://pushgateway.monitoring.svc:9091" } },
      "monitoring.pushgatewayUrl",
      "nothing, as monitoring.pushgatewayImage says",
    ],
    [
      "a Prometheus among the workers",
      "production",
      { monitoring: { prometheusNamespace: "video-jobs" } },
      "monitoring.prometheusNamespace",
      "another namespace than namespace and systemNamespace",
    ],
    // The cron period shorter than the time to fill.
    [
      "a sweep that comes after the slot is full",
      "production",
      { cleanup: { schedule: "*/30 * * * *" } },
      "cleanup.schedule",
      "a start at least every 1227s (this one: 30m)",
    ],
    [
      "a sweep that leaves out the night",
      "production",
      { cleanup: { schedule: "*/10 6-22 * * *" } },
      "cleanup.schedule",
      "(this one: 430m)",
    ],
    [
      "workers that write faster than the sweep comes",
      "production",
      { fillRate: "1Gi" },
      "cleanup.schedule",
      "is full after 1m at fillRate (1Gi a second)",
    ],
    [
      "a sweep that never comes",
      "production",
      { cleanup: { schedule: "0 0 30 2 *" } },
      "cleanup.schedule",
      "comes to a start",
    ],
    // The cold delay shorter than the TTL that deletes.
    [
      "objects that are deleted before they are cold",
      "production",
      { retention: { staged: "7d", completed: "1d" } },
      "objectStorage.coldAfter",
      "less than retention.staged (1w)",
    ],
    [
      "jobs that are tiered after their copy is gone",
      "production",
      { retention: { staged: "9d", completed: "9d" } },
      "retention.completed",
      "less than retention.staged (9d)",
    ],
    [
      "half a day of S3's",
      "production",
      { objectStorage: { coldAfter: "36h" } },
      "objectStorage.coldAfter",
      "whole days",
    ],
    [
      "infrequent access too early",
      "production",
      { objectStorage: { coldClass: "STANDARD_IA" } },
      "objectStorage.coldAfter",
      "at least 30d",
    ],
    // Alert thresholds below the quotas, and above what the sweep does by itself.
    [
      "an alert after workers are refused",
      "production",
      { reserve: "60Gi" },
      "alerts.nearlyFullPercent",
      "less than 85, where slotSize less reserve is used up",
    ],
    [
      "an alert before the sweep had its turn",
      "production",
      { alerts: { nearlyFullPercent: 85 } },
      "alerts.nearlyFullPercent",
      "more than cleanup.highWaterPercent (85)",
    ],
    [
      "a warning after the alarm",
      "production",
      { alerts: { quotaWarningPercent: 90 } },
      "alerts.quotaWarningPercent",
      "less than alerts.quotaCriticalPercent (90)",
    ],
    // Times.
    [
      "an abandoned job that goes before it counts as one",
      "production",
      { retention: { abandoned: "4m" } },
      "retention.abandoned",
      "at least heartbeatTimeout (5m)",
    ],
    [
      "a tenant whose abandoned jobs do",
      "production",
      {
        retention: {
          limits: { abandoned: { minimum: "1m", maximum: "1h" } },
          tenants: { acme: { abandoned: "2m" } },
        },
      },
      "retention.tenants.acme.abandoned",
      "at least heartbeatTimeout (5m)",
    ],
    [
      "a scan that outlasts a job's stay",
      "production",
      { scan: { host: "clamd", timeout: "7h" } },
      "scan.timeout",
      "less than staging.maxLocal (6h)",
    ],
    // Places and users.
    ["pools of static storage", "onprem", { pools: [pool({ id: 100 })] }, "pools", "it uses nodes"],
    ["nodes of any other", "production", { nodes: [node({ id: 100 })] }, "nodes", "it uses pools"],
    ["no nodes", "onprem", { nodes: [] }, "nodes", "a list of at least 1"],
    ["no pools", "production", { pools: [] }, "pools", "a list of at least 1"],
    [
      "pools whose users overlap",
      "production",
      { pools: [pool(), pool({ name: "more", id: 2 })] },
      "pools",
      "an id that pool hot has not: pool more takes 3 from 2 on",
    ],
    [
      "a pool with more users than a pod can have",
      "production",
      { pools: [pool({ id: 1389 })] },
      "pools",
      "an id low enough for the 96 slots of pool hot: the last id is 1390",
    ],
    ["two pools of one name", "production", { pools: [pool(), pool({ id: 3 })] }, "pools", "each pool once"],
    [
      "MinIO in two places",
      "onprem",
      { objectStorage: minio({ node: "ssd-0", path: "/mnt/objects", storageClass: "ceph" }) },
      "objectStorage.node",
      "nothing, as objectStorage.storageClass says",
    ],
    [
      "MinIO on a node of no storage mode with nodes",
      "production",
      { objectStorage: minio({}), retention: {} },
      "objectStorage.storageClass",
      "a StorageClass that is there, as storage.mode is cloud-instance-store",
    ],
    // What crosses the network.
    [
      "a catalogue in clear",
      "production",
      { catalogue: { tls: false } },
      "catalogue.tls",
      "true, on every stack",
    ],
    [
      "an endpoint in clear",
      "onprem",
      { objectStorage: { endpoint: "http://s3.example.test" } },
      "objectStorage.endpoint",
      "an https:// URL, on every stack but local",
    ],
    // What isn't there.
    [
      "pressure that tiers to nowhere",
      "onprem",
      {
        objectStorage: { backend: "none", endpoint: null, bucket: null, probeImage: null },
        retention: { completedAction: "keep" },
        cleanup: { unuploadedUnderPressure: "tier" },
      },
      "cleanup.unuploadedUnderPressure",
      "delete or keep, as objectStorage.backend is none",
    ],
    [
      "floors of nobody",
      "production",
      { cleanup: { tenantFloors: { hooli: { size: "1Gi" } } } },
      "cleanup.tenantFloors.hooli",
      "one of tenants: acme, globex",
    ],
  ])("%s (%s) are refused at the key, with what is allowed", (_, stack, change, key, allowed) => {
    const problems = problemsOf(stack, change);
    expect(problems.filter((problem) => problem.key === key).map((problem) => problem.allowed)).toEqual([
      expect.stringContaining(allowed),
    ]);
    const others = problems.filter((problem) => problem.key !== key).map((problem) => problem.key);
    // MinIO in two places is one mistake at two keys.
    expect(others).toEqual(
      change.objectStorage && key === "objectStorage.node" ? ["objectStorage.path"] : [],
    );
  });

  it("are not seen where there is none", () => {
    for (const stack of Object.keys(INSTALLATIONS) as Stack[]) expect(problemsOf(stack, {})).toEqual([]);
  });

  it("are told together with what is wrong by itself", () => {
    const problems = problemsOf("production", {
      slotSize: "huge",
      heartbeat: "4m",
      alerts: { nearlyFullPercent: 85, quotaWarnPercent: 3 },
      pools: [pool({ slots: "many" })],
    });
    expect(problems.map(({ key }) => key)).toEqual([
      "pools[0].slots",
      "slotSize",
      "alerts.quotaWarnPercent",
      "heartbeatTimeout",
      "alerts.nearlyFullPercent",
    ]);
  });
});

function minio(change: object) {
  return {
    backend: "minio",
    ...{ endpoint: null, bucket: "b-b-b", accountId: null, identity: null, region: "us-east-1" },
    ...{ accessLogBucket: null, probeImage: image("probe") },
    ...{ image: image("minio"), clientImage: image("mc"), volumeSize: "1Gi" },
    ...change,
  };
}

describe("a misspelt key", () => {
  it.each([
    ["quotaWarnPercent", "alerts", "did you mean quotaWarningPercent?"],
    ["nearlyfullpercent", "alerts", "did you mean nearlyFullPercent?"],
    ["maxlokal", "staging", "did you mean maxLocal?"],
  ])("%s in %s: %s", (key, holder, hint) => {
    const problems = problemsOf("production", { [holder]: { [key]: 1 } });
    expect(problems).toEqual([
      {
        key: `${holder}.${key}`,
        value: 1,
        allowed: expect.stringContaining(`no such key here; ${hint} the keys are `),
      },
    ]);
  });

  it("that is like no other gets no guess", () => {
    const [problem] = problemsOf("production", { staging: { colour: 1 } });
    expect(problem!.allowed).toBe("no such key here; the keys are maxLocal");
  });
});

describe("the longest time between two starts", () => {
  it.each([
    ["* * * * *", 60],
    ["*/10 * * * *", 600],
    // From :50 to :00 is shorter than from :00 to :25.
    ["*/25 * * * *", 1500],
    ["5/20 * * * *", 1200],
    ["0 * * * *", 3600],
    ["0,15 9-17 * * *", 57_600 - 900],
    ["0 0 * * *", 86_400],
    ["0 0 * * 1-5", 3 * 86_400],
    ["0 0 * * 0", 7 * 86_400],
    ["0 0 1 * *", 31 * 86_400],
    // Either day is enough where both are said: the 1st, or a Monday.
    ["0 0 1 * 1", 7 * 86_400],
    // A step says something too, unless it is of one: the 1st, 3rd and so on, or a Monday.
    ["0 0 */2 * 1", 2 * 86_400],
    ["0 0 */1 * 1", 7 * 86_400],
    ["0 0 1 * */1", 31 * 86_400],
    ["0 0 29 2 *", (4 * 365 + 1) * 86_400],
  ])("of %s is %i seconds", (schedule, seconds) => {
    expect(longestCronGap(schedule)).toBe(seconds);
  });

  it.each([
    "0 0 30 2 *",
    "60 * * * *",
    "* * * *",
    "*/0 * * * *",
    "x * * * *",
    "9-3 * * * *",
    "* * 0 * *",
    "0 0 * * 7",
  ])("of %s is none", (schedule) => {
    expect(longestCronGap(schedule)).toBeUndefined();
  });

  it("is what a walk through the minutes finds", () => {
    const minute = fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { minLength: 1, maxLength: 4 });
    const hour = fc.uniqueArray(fc.integer({ min: 0, max: 23 }), { minLength: 1, maxLength: 4 });
    const weekday = fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(minute, hour, weekday, (minutes, hours, days) => {
        let longest = 0;
        let previous: number | undefined;
        for (let at = 0; at < 3 * 7 * 24 * 60; at++) {
          // The first day of 1970 was a Thursday.
          const day = (Math.floor(at / 1440) + 4) % 7;
          if (!minutes.includes(at % 60) || !hours.includes(Math.floor(at / 60) % 24) || !days.includes(day))
            continue;
          if (previous !== undefined) longest = Math.max(longest, at - previous);
          previous = at;
        }
        expect(longestCronGap(`${minutes.join(",")} ${hours.join(",")} * * ${days.join(",")}`)).toBe(
          longest * 60,
        );
      }),
      { numRuns: 40 },
    );
  });
});
