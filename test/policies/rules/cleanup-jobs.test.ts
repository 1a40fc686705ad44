import { claim, cronJob, describeRules, kubernetes, pod, podSpec } from "../examples.js";

const SWEEP = {
  restartPolicy: "Never",
  priorityClassName: "sweep",
  tolerations: [{ key: "node.kubernetes.io/disk-pressure", operator: "Exists" }],
  volumes: [{ name: "jobs", persistentVolumeClaim: { claimName: "c" } }],
};
const sweep = (change: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) =>
  cronJob(spec, { template: { spec: podSpec({ ...SWEEP, ...change }) } });
const priority = (value: number) =>
  kubernetes("scheduling.k8s.io/v1", "PriorityClass", { metadata: { name: "sweep" }, value });
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
    pass: [[cronJob()], [cronJob({ schedule: "7,37 2-4 * * 1-5" })]],
    fail: [
      [[cronJob({ schedule: "61 * * * *" })], "schedule 61 * * * * can't be read"],
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
    ],
    limits: { fillBytesPerSecond: "1Mi" },
  },
  "sweep-outranks": {
    pass: [
      [sweep(), priority(1)],
      [sweep()],
      [cronJob()],
      [sweep({ tolerations: [{ operator: "Exists" }] })],
    ],
    fail: [
      [[sweep({ priorityClassName: undefined })], "it has the priority of any pod"],
      [[sweep(), priority(0)], "priority class sweep is not above"],
      [[sweep({ tolerations: [] })], "tolerate node.kubernetes.io/disk-pressure"],
    ],
  },
});
