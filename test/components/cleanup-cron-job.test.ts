import { readFileSync } from "node:fs";

import * as k8s from "@pulumi/kubernetes";
import { longestCronGap } from "@video-storage/contract/cron-schedule";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { buildSweepQuota, CleanupCronJob } from "../../components/cleanup-cron-job.js";
import type { CleanupCronJobArgs } from "../../components/cleanup-cron-job.js";
import { buildCleanupCronJobs } from "../../components/lib/cleanup-cron-jobs.js";
import { spreadSchedule } from "../../components/lib/cleanup-schedule.js";
import { slotsOf, slotsOfPools } from "../../components/lib/slots.js";
import { image } from "../support/local-configuration.js";
import { declared } from "../support/recorder.js";

const slots = slotsOf([
  { name: "node-a.example", id: 7, slots: 2, directory: "/mnt/a" },
  { name: "node-b", id: 3, slots: 1, directory: "/mnt/b" },
]);
const args = {
  environment: "test",
  namespace: "jobs",
  slots,
  image: image("cleanup-job"),
  schedule: "*/10 * * * *",
  timeZone: "Etc/UTC",
  activeDeadlineSeconds: 600,
  startingDeadlineSeconds: 60,
  checkPods: false,
  catalogueSecret: "catalogue-cleanup",
  objectStorageSecret: "object-storage-cleanup",
};
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

describe("the cleanup CronJobs", () => {
  const cronJobs = buildCleanupCronJobs(args);
  const job = cronJobs[0]!.spec.jobTemplate.spec;
  const pod = job.template.spec;

  it("are one for each node, by turns, never two at once, and always end", () => {
    expect(cronJobs.map(({ metadata }) => metadata.name)).toEqual([
      "cleanup-node-a-example",
      "cleanup-node-b",
    ]);
    expect(cronJobs.map(({ spec }) => spec.schedule)).toEqual(["7-59/10 * * * *", "3-59/10 * * * *"]);
    expect(cronJobs[0]!.spec).toEqual({
      schedule: "7-59/10 * * * *",
      jobTemplate: cronJobs[0]!.spec.jobTemplate,
      timeZone: "Etc/UTC",
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 60,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 2,
      suspend: false,
    });
    expect([job.backoffLimit, job.activeDeadlineSeconds]).toEqual([0, 600]);
    expect(job).not.toHaveProperty("ttlSecondsAfterFinished");
    expect(pod.restartPolicy).toBe("Never");
  });

  it("go to a node whose disk is full or that is cordoned, and to the nodes' own taints", () => {
    const condition = (name: string) => ({
      key: `node.kubernetes.io/${name}`,
      operator: "Exists",
      effect: "NoSchedule",
    });
    expect(pod.priorityClassName).toBe("system-node-critical");
    expect(pod.tolerations).toEqual([condition("disk-pressure"), condition("unschedulable")]);
    const dedicated = { key: "dedicated", operator: "Exists" };
    const [other] = buildCleanupCronJobs({ ...args, priorityClass: "mine", tolerations: [dedicated] });
    const otherPod = other!.spec.jobTemplate.spec.template.spec;
    expect(otherPod.priorityClassName).toBe("mine");
    expect(otherPod.tolerations).toEqual([condition("disk-pressure"), condition("unschedulable"), dedicated]);
  });

  it("ask for so little that no worker is ended for them, and are bounded", () => {
    for (const { resources } of pod.containers) {
      expect(resources).toEqual({
        requests: { cpu: "1m", memory: "8Mi", "ephemeral-storage": "1Mi" },
        limits: { memory: "256Mi", "ephemeral-storage": "64Mi" },
      });
    }
  });

  it("sweep each slot in a container of its own, as its owner, seeing it alone", () => {
    const seen = pod.containers.map(({ name, args: words, securityContext, volumeMounts }) => ({
      name,
      words,
      securityContext,
      slots: volumeMounts.filter((mount) => mount.mountPath === "/tmp/video-jobs"),
    }));
    const container = (index: number) => ({
      name: `sweep-slot-${index}`,
      words: [
        ...["sweep", "--volume", `node-a-example-slot-${index}`, "--root", "/tmp/video-jobs"],
        ...["--config", "/etc/video-storage/cleanup.json"],
      ],
      securityContext: { runAsUser: 21_224 + index, runAsGroup: 21_224 + index, ...RESTRICTED },
      slots: [{ name: `slot-${index}`, mountPath: "/tmp/video-jobs" }],
    });
    expect(seen).toEqual([container(0), container(1)]);
    expect(pod.volumes.slice(0, 2)).toEqual([
      { name: "slot-0", persistentVolumeClaim: { claimName: "node-a-example-slot-0" } },
      { name: "slot-1", persistentVolumeClaim: { claimName: "node-a-example-slot-1" } },
    ]);
  });

  it("mount no path of the host, and have a token only to ask for pods", () => {
    expect(JSON.stringify(cronJobs)).not.toContain("hostPath");
    expect(pod.automountServiceAccountToken).toBe(false);
    const [asking] = buildCleanupCronJobs({ ...args, checkPods: true });
    expect(asking!.spec.jobTemplate.spec.template.spec.automountServiceAccountToken).toBe(true);
  });

  it("have users of their own and the volume's prepared directory where the stack says so", () => {
    expect(pod).not.toHaveProperty("hostUsers");
    const pool = { name: "hot", id: 0, slots: 2, slotsPerNode: 2 };
    const [other] = buildCleanupCronJobs({ ...args, userNamespaces: true, slots: slotsOfPools([pool]) });
    const { hostUsers, containers } = other!.spec.jobTemplate.spec.template.spec as typeof pod & {
      hostUsers?: boolean;
    };
    expect(hostUsers).toBe(false);
    expect(containers[1]!.volumeMounts[0]).toEqual({
      name: "slot-1",
      mountPath: "/tmp/video-jobs",
      subPath: "jobs",
    });
  });

  it("give up a name that nobody answers after two seconds, for it holds a thread that deletes", () => {
    expect(pod.dnsConfig).toEqual({
      options: [
        { name: "timeout", value: "1" },
        { name: "attempts", value: "2" },
      ],
    });
  });

  it("delete with as many threads as the image for people does", () => {
    expect(pod.containers[0]!.env[0]).toEqual({ name: "UV_THREADPOOL_SIZE", value: "8" });
  });
});

/** The minutes of a day at which an hourly repeating schedule starts. */
function starts(schedule: string): number[] {
  const [minutes, hours] = schedule.split(" ");
  if (hours !== "*") throw new Error(`${schedule} doesn't repeat every hour`);
  const [, from, step] = /^(?:\*|(\d+))(?:-59)?(?:\/(\d+))?$/.exec(minutes!)!;
  const first = Number(from ?? 0);
  const each = step === undefined && from !== undefined ? 60 : Number(step ?? 1);
  return Array.from({ length: (24 * 60) / each }, (_, index) => first + index * each);
}

describe("a schedule", () => {
  const steps = fc.constantFrom(1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30);

  it("is spread over its period: each node as often, evenly, with nodes in turn", () => {
    fc.assert(
      fc.property(steps, fc.nat(1390), fc.integer({ min: 1, max: 300 }), (step, first, nodes) => {
        // The gaps are counted over decades, so for one node.
        expect(longestCronGap(spreadSchedule(`*/${step} * * * *`, first))).toBe(step * 60);
        const schedules = Array.from({ length: nodes }, (_, i) =>
          spreadSchedule(`*/${step} * * * *`, first + i),
        );
        const load = new Map<number, number>();
        for (const schedule of schedules) {
          const times = starts(schedule);
          expect(times.length).toBe((24 * 60) / step);
          for (const time of times) load.set(time, (load.get(time) ?? 0) + 1);
        }
        const busiest = Math.max(...load.values());
        expect(busiest).toBe(Math.ceil(nodes / step));
      }),
      { numRuns: 20 },
    );
  });

  it("of a node depends on its own number alone, whatever nodes come and go", () => {
    const of = (nodes: readonly { name: string; id: number }[]) =>
      Object.fromEntries(
        buildCleanupCronJobs({
          ...args,
          slots: slotsOf(nodes.map((node) => ({ ...node, slots: 1, directory: "/mnt" }))),
        }).map(({ metadata, spec }) => [metadata.name, spec.schedule]),
      );
    const before = [
      { name: "a", id: 0 },
      { name: "b", id: 1 },
    ];
    const after = [{ name: "c", id: 2 }, ...before.toReversed()];
    expect(of(after)).toEqual({ ...of(before), "cleanup-c": "2-59/10 * * * *" });
  });

  it.each([
    ["*/10 * * * *", 13, "3-59/10 * * * *"],
    ["*/10 3 * * 1", 13, "3-59/10 3 * * 1"],
    ["*/30 * * * *", 0, "0-59/30 * * * *"],
    ["* * * * *", 13, "* * * * *"],
    ["*/7 * * * *", 13, "*/7 * * * *"],
    ["5 * * * *", 13, "5 * * * *"],
    ["0,30 4 * * *", 13, "0,30 4 * * *"],
  ])("%s of node %i is %s", (schedule, order, spread) => {
    expect(spreadSchedule(schedule, order)).toBe(spread);
  });

  it("of a thousand slots on 125 nodes starts 13 pods in the busiest minute of ten, and 125 in all", () => {
    const pool = { name: "hot", id: 0, slots: 1000, slotsPerNode: 8 };
    const cronJobs = buildCleanupCronJobs({ ...args, slots: slotsOfPools([pool]) });
    const minutes = cronJobs.map(({ spec }) => Number(/^\d+/.exec(spec.schedule)![0]));
    const perMinute = Array.from({ length: 10 }, (_, minute) => minutes.filter((m) => m === minute).length);
    expect(perMinute).toEqual([13, 13, 13, 13, 13, 12, 12, 12, 12, 12]);
    const containers = cronJobs.map(({ spec }) => spec.jobTemplate.spec.template.spec.containers.length);
    expect(containers).toEqual(Array.from({ length: 125 }, () => 8));
  });
});

describe("docs/cleanup-schedule.md", () => {
  const page = readFileSync(new URL("../../docs/cleanup-schedule.md", import.meta.url), "utf8");
  const rows = page.split("\n").flatMap((line) => {
    const cells = line.split("|").map((cell) => Number(cell.trim()));
    return cells.length === 7 && cells[1]! > 0
      ? [cells.slice(1, 6) as [number, number, number, number, number]]
      : [];
  });

  it("has a table of pods", () => expect(rows).toHaveLength(4));

  it.each(rows)("is right on %i slots, %i a node", (count, slotsPerNode, pods, busiest, containers) => {
    const hot = { name: "hot", id: 0, slots: count, slotsPerNode };
    const cronJobs = buildCleanupCronJobs({ ...args, slots: slotsOfPools([hot]) });
    const load = new Map<string, number>();
    for (const { spec } of cronJobs) load.set(spec.schedule, (load.get(spec.schedule) ?? 0) + 1);
    const first = cronJobs[0]!.spec.jobTemplate.spec.template.spec.containers.length;
    expect([cronJobs.length, Math.max(...load.values()), first]).toEqual([pods, busiest, containers]);
  });

  it("says how much of a finished sweep is kept", () => {
    const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = buildCleanupCronJobs(args)[0]!.spec;
    expect([successfulJobsHistoryLimit, failedJobsHistoryLimit]).toEqual([1, 2]);
    expect(page).toContain("its last good Job and the last two that failed: at most three Jobs");
  });
});

describe("leave to be critical", () => {
  it("is for two pods of each CronJob, of that priority alone", () => {
    expect(buildSweepQuota(args, 2)).toMatchObject({
      metadata: { name: "cleanup-priority", namespace: "jobs" },
      spec: {
        hard: { pods: "4" },
        scopeSelector: {
          matchExpressions: [
            { scopeName: "PriorityClass", operator: "In", values: ["system-node-critical"] },
          ],
        },
      },
    });
  });

  it("is there before the CronJobs, and not at all for somebody's own PriorityClass", async () => {
    const declare = (priorityClass?: string) =>
      declared(() => {
        const own = { ...args, config: {} as CleanupCronJobArgs["config"] };
        const provider = new k8s.Provider("cluster", { context: "test" });
        new CleanupCronJob("x", { ...own, ...(priorityClass && { priorityClass }) }, { provider });
      });
    const reserved = await declare();
    expect(reserved.names().filter((name) => name.startsWith("ResourceQuota"))).toEqual([
      "ResourceQuota x-priority",
    ]);
    const { dependencies } = reserved.one("CronJob", "x-cleanup-node-b");
    expect(dependencies.map((urn) => urn.split("::").at(-1)).sort()).toEqual(["x-config", "x-priority"]);
    const own = await declare("mine");
    expect(own.names().filter((name) => name.startsWith("ResourceQuota"))).toEqual([]);
  });
});
