import type { ResourceView } from "../../../policies/model";
import { claim, cronJob, describeRules, kubernetes, pod, podSpec } from "../examples.js";

const SWEEP = {
  restartPolicy: "Never",
  priorityClassName: "sweep",
  tolerations: [{ key: "node.kubernetes.io/disk-pressure", operator: "Exists" }],
  volumes: [{ name: "jobs", persistentVolumeClaim: { claimName: "c" } }],
};
const sweep = (change: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) =>
  cronJob(spec, { template: { spec: podSpec({ ...SWEEP, ...change }) } });
const priority = (value: number, name = "sweep") =>
  kubernetes("scheduling.k8s.io/v1", "PriorityClass", { metadata: { name }, value });
const worker = (priorityClassName: string | undefined, claimName = "c") =>
  pod(podSpec({ priorityClassName, volumes: [{ name: "jobs", persistentVolumeClaim: { claimName } }] }));
const named = (length: number) => {
  const job = cronJob();
  return { ...job, props: { ...job.props, metadata: { name: "c".repeat(length) } } };
};

describeRules("cleanup-jobs", {
  "cron-job-bounded": {
    pass: [[cronJob()], [pod()]],
    fail: [
      [[cronJob({ concurrencyPolicy: "Allow" })], "concurrencyPolicy is Allow; set Forbid"],
      [[cronJob({ concurrencyPolicy: undefined })], "concurrencyPolicy is not set"],
      [[cronJob({ startingDeadlineSeconds: 9 })], "set 10 or more"],
      [[cronJob({}, { activeDeadlineSeconds: undefined })], "activeDeadlineSeconds"],
      [[cronJob({}, { backoffLimit: undefined })], "backoffLimit"],
      [[cronJob({ concurrencyPolicy: "Replace" }, {}, "CronJobPatch")], "concurrencyPolicy is Replace"],
    ],
  },
  "cron-job-kept-in-sight": {
    pass: [[cronJob()], [named(52)]],
    fail: [
      [[named(53)], "its name has 53 characters"],
      [[cronJob({ suspend: true })], "it is suspended"],
      [
        [cronJob({}, { template: { spec: podSpec({ restartPolicy: "Always" }) } })],
        "restartPolicy is Always",
      ],
      [[cronJob({ successfulJobsHistoryLimit: 0 })], "successfulJobsHistoryLimit is 0"],
      [[cronJob({ failedJobsHistoryLimit: undefined })], "failedJobsHistoryLimit is not set"],
      [[cronJob({}, { ttlSecondsAfterFinished: 60 })], "ttlSecondsAfterFinished"],
    ],
  },
  "schedule-stated": {
    pass: [
      [cronJob()],
      [cronJob({ schedule: "7,37 2-4 * * 1-5" })],
      [cronJob({ schedule: "0 3 ? jan-mar SUN,wed/2" })],
    ],
    fail: [
      [
        [cronJob({ schedule: "61 * * * *" })],
        'schedule 61 * * * * can\'t be read, because its minute is "61"; write 0 to 59, alone',
      ],
      ...["0 3 * * 7", "0 3 * * 5#2", "0 3 * * 5L", "0 3 * * L", "0 3 * * H"].map(
        (schedule): [ResourceView[], string] => [
          [cronJob({ schedule })],
          `because its day of the week is "${schedule.slice(8)}"; write 0 to 6 or SUN to SAT`,
        ],
      ),
      [[cronJob({ schedule: "0 3 L * *" })], 'its day of the month is "L"; write 1 to 31'],
      [[cronJob({ schedule: "H * * * *" })], 'its minute is "H"'],
      [[cronJob({ schedule: "0/0 * * * *" })], 'its minute is "0/0"'],
      [[cronJob({ schedule: "0 9-3 * * *" })], 'its hour is "9-3"'],
      [[cronJob({ schedule: "0 0 30 feb *" })], "never comes to a start; name a day that there is"],
      [[cronJob({ schedule: "TZ=Europe/Zurich 1 * * * *" })], "names a time zone"],
      [[cronJob({ schedule: "* * * *" })], "has 4 fields"],
      [[cronJob({ schedule: "0 * * * * *" })], "has 6 fields"],
      [[cronJob({ schedule: undefined })], "schedule not set"],
      [[cronJob({ timeZone: undefined })], "timeZone is not set"],
    ],
  },
  "swept-before-full": {
    // A gibibyte at a mebibyte a second is full after 1,024 s.
    pass: [
      [claim(), sweep()],
      [claim(), cronJob({ schedule: "0 0 * * *" })],
      [claim(), sweep({}, { schedule: "nonsense" })],
    ],
    fail: [
      [
        [claim(), sweep({}, { schedule: "*/20 * * * *" })],
        "claim c is swept every 1200 s and full after 1024 s at 1Mi/s",
      ],
      // Often in one hour, never in the rest of the day.
      [[claim(), sweep({}, { schedule: "* 4 * * *" })], "swept every 82860 s"],
      [[claim(), sweep({}, { schedule: "* 0-5 * * *" })], "swept every 64860 s"],
    ],
    limits: { fillBytesPerSecond: "1Mi" },
  },
  "sweep-outranks": {
    pass: [
      [sweep(), priority(1)],
      [sweep()],
      [cronJob()],
      [sweep({ tolerations: [{ operator: "Exists" }] })],
      [sweep({ tolerations: [{ key: "node.kubernetes.io/disk-pressure", effect: "NoSchedule" }] })],
      [sweep(), priority(1000), worker(undefined)],
      [sweep(), priority(1000), priority(999, "workers"), worker("workers")],
      [sweep(), priority(1), priority(1000, "workers"), worker("workers", "another")],
      [sweep({ priorityClassName: "system-node-critical" }), priority(1000, "workers"), worker("workers")],
    ],
    fail: [
      [
        [sweep(), priority(1), priority(1000, "workers"), worker("workers")],
        "priority class sweep (1) is not above that of Pod p (1000); give it a higher value",
      ],
      ...[{ effect: "NoExecute" }, { operator: "Equal", value: "full" }].map(
        (change): [ResourceView[], string] => [
          [sweep({ tolerations: [{ key: "node.kubernetes.io/disk-pressure", ...change }] })],
          "tolerate node.kubernetes.io/disk-pressure with NoSchedule",
        ],
      ),
      [[sweep({ priorityClassName: undefined })], "it has the priority of any pod"],
      [[sweep(), priority(0)], "priority class sweep is not above"],
      [[sweep({ tolerations: [] })], "tolerate node.kubernetes.io/disk-pressure"],
    ],
  },
});
