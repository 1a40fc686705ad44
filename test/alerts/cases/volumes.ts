import { METRICS } from "@video-storage/contract/metrics";

import type { AlertCase, Firing } from "../case.js";
import { always, followed, HOUR, MINUTE, ofMetric, ramp, saw } from "../series.js";
import { bytesUsed, inodesUsed, SLOT, WHERE } from "./volume.js";

const usual = saw(70, 85, 10 * MINUTE);

const of = (severity: Firing["severity"], summary: string): Firing => ({ severity, labels: SLOT, summary });
const left = (severity: Firing["severity"], percent: string, what: string): Firing =>
  of(severity, `${WHERE} has ${percent} % of its ${what} left`);

const PUSHED = { environment: "prod", volume: "node-a-slot-0", node: "node-a" };
const DECLARED = { environment: "prod", volume: "node-a-slot-0", instance: "exporter:9102", job: "exporter" };

/** What a sweep of a storage driver's volume, which node-exporter doesn't see, leaves there. */
const leftBySweeps = (used: number, labels: typeof PUSHED) => ({
  [ofMetric(METRICS.volumeUsedBytes, labels)]: always(used),
  [ofMetric(METRICS.volumeCapacityBytes, labels)]: always(1000),
  [ofMetric(METRICS.sweepLastCompletion, labels)]: always(0),
});

/** What holds for the last of bytes and of inodes alike. */
function almostOutOf(kind: "space" | "inodes"): AlertCase[] {
  const used = kind === "space" ? bytesUsed : inodesUsed;
  const steps = [95, 95.5, 96.5, 97.1, 60];
  const told = (severity: Firing["severity"], percent: string) => left(severity, percent, kind);
  return [
    {
      what: `${kind}: less than 5 and less than 3 % are left for five minutes, and then a sweep comes`,
      alert: kind === "space" ? "NodeFilesystemAlmostOutOfSpace" : "NodeFilesystemAlmostOutOfFiles",
      interval: 30,
      series: used((second) => steps[Math.min(Math.floor(second / 600), 4)]!),
      seen: [
        [10 * MINUTE, []],
        [14.5 * MINUTE, []],
        [15 * MINUTE, [told("warning", "4.5")]],
        [29 * MINUTE, [told("warning", "3.5")]],
        [34.5 * MINUTE, [told("warning", "2.9")]],
        [35 * MINUTE, [told("critical", "2.9"), told("warning", "2.9")]],
        [45 * MINUTE, [told("critical", "2.9"), told("warning", "2.9")]],
        [51 * MINUTE, []],
      ],
    },
  ];
}

/** What holds for the trend of bytes and of inodes alike. */
function trendOf(kind: "space" | "inodes"): AlertCase[] {
  const isBytes = kind === "space";
  const common = {
    alert: isBytes ? "NodeFilesystemSpaceFillingUp" : "NodeFilesystemFilesFillingUp",
    interval: 300,
  };
  const used = isBytes ? bytesUsed : inodesUsed;
  const told = (severity: Firing["severity"], percent: string): Firing =>
    of(
      severity,
      `${WHERE} will be out of ${kind} within ${severity === "critical" ? "4h" : "1d"}: ${percent} % is left`,
    );
  return [
    {
      ...common,
      what: `${kind}: fills in 25 hours: told of from the mark on that sweeps empty it down to, and before the last four`,
      // At the mark after 10 hours; freed after 22.
      series: used(followed(ramp(50, 2 / 3600), 22 * HOUR, always(40))),
      seen: [
        [10 * HOUR, []],
        [10 * HOUR + 10 * MINUTE, []],
        [10 * HOUR + 30 * MINUTE, [told("warning", "29.0")]],
        [21 * HOUR + 10 * MINUTE, [told("warning", "7.7")]],
        [21 * HOUR + 30 * MINUTE, [told("critical", "7.0"), told("warning", "7.0")]],
        [22 * HOUR + 5 * MINUTE, [told("critical", "6.2"), told("warning", "6.2")]],
        [22 * HOUR + 20 * MINUTE, []],
      ],
    },
    {
      ...common,
      what: `${kind}: fills in 40 hours: told of when a day is left`,
      series: used(ramp(60, 1 / 3600)),
      seen: [
        [15 * HOUR + 50 * MINUTE, []],
        [16 * HOUR + 30 * MINUTE, [told("warning", "23.5")]],
      ],
    },
  ];
}

export const volumeCases: AlertCase[] = [
  ...trendOf("space"),
  ...trendOf("inodes"),
  ...almostOutOf("space"),
  ...almostOutOf("inodes"),
  {
    what: "is at the threshold, and above it for a minute",
    alert: "VideoStorageVolumeNearlyFull",
    interval: 15,
    series: bytesUsed(followed(always(90), 10 * MINUTE, always(90.1))),
    seen: [
      [10 * MINUTE, []],
      [10 * MINUTE + 45, []],
      [11 * MINUTE, [left("critical", "9.9", "space")]],
    ],
  },
  {
    what: "is swept to below the threshold after it was told of: gone with the next sweep, not on and off",
    alert: "VideoStorageVolumeNearlyFull",
    interval: 15,
    series: bytesUsed(followed(saw(70, 95, 10 * MINUTE), 40 * MINUTE, always(60))),
    seen: [
      [8 * MINUTE, []],
      ...[9.75, 12, 16, 19, 22, 26, 29, 35, 39, 49].map((minute): [number, Firing[]] => {
        const into = minute % 10;
        const percent = minute < 40 && into > 8 ? 30 - 2.5 * into : 5.625;
        return [minute * MINUTE, [left("critical", percent.toFixed(1), "space")]];
      }),
      [52 * MINUTE, []],
    ],
  },
  {
    what: "is another stack's threshold",
    alert: "VideoStorageVolumeNearlyFull",
    stack: { nearlyFullPercent: 95 },
    interval: 15,
    series: bytesUsed(always(93)),
    seen: [[10 * MINUTE, []]],
  },
  {
    what: "has few inodes left, and a filesystem without a limit on them",
    alert: "VideoStorageVolumeInodesNearlyExhausted",
    interval: 15,
    series: {
      ...inodesUsed(followed(always(90), 10 * MINUTE, followed(always(91), 5 * MINUTE, always(60)))),
      'node_filesystem_files_free{mountpoint="/mnt/video-jobs/btrfs",fstype="btrfs"}': always(0),
      'node_filesystem_files{mountpoint="/mnt/video-jobs/btrfs",fstype="btrfs"}': always(0),
    },
    seen: [
      [10 * MINUTE, []],
      [10 * MINUTE + 45, []],
      [11 * MINUTE, [left("critical", "9.0", "inodes")]],
      [20 * MINUTE, [left("critical", "9.0", "inodes")]],
      [26 * MINUTE, []],
    ],
  },
  {
    what: "was never below 80 % in six hours, nor below 90 % in two sweeps",
    alert: "VideoStorageVolumeQuotaNearlyReached",
    interval: 60,
    series: bytesUsed(followed(always(84), 8 * HOUR, always(95))),
    seen: [
      [4 * MINUTE, []],
      [7 * HOUR, [of("warning", `${WHERE} has 84.0 % of its quota in use`)]],
      [8 * HOUR + 24 * MINUTE, [of("warning", `${WHERE} has 84.0 % of its quota in use`)]],
      [
        8 * HOUR + 26 * MINUTE,
        [
          of("critical", `${WHERE} has 95.0 % of its quota in use`),
          of("warning", `${WHERE} has 84.0 % of its quota in use`),
        ],
      ],
    ],
  },
  {
    what: "fills to above 80 % and is swept, also slowly",
    alert: "VideoStorageVolumeQuotaNearlyReached",
    interval: 60,
    series: {
      ...bytesUsed(saw(70, 89, 10 * MINUTE)),
      ...bytesUsed(saw(70, 85, 5 * HOUR), { ...SLOT, mountpoint: "/mnt/video-jobs/slot-1" }),
    },
    seen: [HOUR, 4 * HOUR, 9 * HOUR, 10 * HOUR].map((at) => [at, []]),
  },
  {
    what: "is a storage driver's, and its sweeps leave it at 80 and at 90 %",
    alert: "VideoStorageVolumeQuotaNearlyReached",
    stack: { source: { by: "kubelet", namespace: "video-jobs" }, mounts: null },
    interval: 60,
    series: {
      ...leftBySweeps(900, PUSHED),
      [ofMetric(METRICS.slotInfo, DECLARED)]: always(1),
      ...leftBySweeps(800, { ...PUSHED, volume: "node-a-slot-1" }),
      [ofMetric(METRICS.slotInfo, { ...DECLARED, volume: "node-a-slot-1" })]: always(1),
      ...leftBySweeps(799, { ...PUSHED, volume: "node-a-slot-2" }),
      [ofMetric(METRICS.slotInfo, { ...DECLARED, volume: "node-a-slot-2" })]: always(1),
      // Of a slot that is gone, and of another environment.
      ...leftBySweeps(990, { ...PUSHED, volume: "node-z-slot-0" }),
      ...leftBySweeps(990, { ...PUSHED, environment: "dev" }),
    },
    seen: [
      [4 * MINUTE, []],
      [
        6 * MINUTE,
        [
          {
            severity: "critical",
            labels: PUSHED,
            summary: "node-a-slot-0 has 90.0 % of its quota in use",
          },
          {
            severity: "warning",
            labels: PUSHED,
            summary: "node-a-slot-0 has 90.0 % of its quota in use",
          },
          {
            severity: "warning",
            labels: { ...PUSHED, volume: "node-a-slot-1" },
            summary: "node-a-slot-1 has 80.0 % of its quota in use",
          },
        ],
      ],
    ],
  },
  {
    what: "is a storage driver's of a stack without metrics of its own",
    alert: "VideoStorageVolumeQuotaNearlyReached",
    stack: { source: { by: "kubelet", namespace: "video-jobs" }, mounts: null, exported: [] },
    interval: 60,
    series: {
      'kubelet_volume_stats_available_bytes{namespace="video-jobs",persistentvolumeclaim="hot-slot-3"}':
        always(190),
      'kubelet_volume_stats_capacity_bytes{namespace="video-jobs",persistentvolumeclaim="hot-slot-3"}':
        always(1000),
    },
    seen: [
      [
        6 * MINUTE,
        [
          {
            severity: "warning",
            labels: { namespace: "video-jobs", persistentvolumeclaim: "hot-slot-3" },
            summary: "video-jobs/hot-slot-3 has 81.0 % of its quota in use",
          },
        ],
      ],
    ],
  },
  {
    what: "one of two volumes isn't there, then both are",
    alert: "VideoStorageVolumesUnwatched",
    stack: { mounts: 2 },
    interval: 60,
    series: {
      ...bytesUsed(always(10)),
      ...bytesUsed((second) => (second < 30 * MINUTE ? null : 10), {
        ...SLOT,
        mountpoint: "/mnt/video-jobs/slot-1",
      }),
    },
    seen: [
      [14 * MINUTE, []],
      [
        15 * MINUTE,
        [{ severity: "warning", labels: {}, summary: "1 of 2 volumes are measured by node-exporter" }],
      ],
      [31 * MINUTE, []],
    ],
  },
  {
    what: "no volume is measured at all",
    alert: "VideoStorageVolumesUnwatched",
    interval: 60,
    series: bytesUsed(always(10), { ...SLOT, mountpoint: "/" }),
    seen: [
      [
        15 * MINUTE,
        [{ severity: "warning", labels: {}, summary: "0 of 1 volumes are measured by node-exporter" }],
      ],
    ],
  },
  {
    what: "gets fuller over a day and is swept all the while",
    alert: "NodeFilesystemSpaceFillingUp",
    interval: 300,
    // From 60 % at its fullest to full in 40 hours.
    series: bytesUsed((second) => (second % 600 === 0 ? 50 : 60) + second / 3600),
    seen: [
      [20 * HOUR, []],
      [31 * HOUR, [of("warning", `${WHERE} will be out of space within 1d: 19.0 % is left`)]],
      [
        37 * HOUR + 55 * MINUTE,
        [
          of("critical", `${WHERE} will be out of space within 4h: 2.1 % is left`),
          of("warning", `${WHERE} will be out of space within 1d: 2.1 % is left`),
        ],
      ],
    ],
  },
  {
    what: "fills and is swept, every ten minutes and every five hours, for two days",
    alert: "NodeFilesystemSpaceFillingUp",
    interval: 300,
    series: {
      ...bytesUsed(usual),
      ...bytesUsed(saw(70, 86, 5 * HOUR), { ...SLOT, mountpoint: "/mnt/video-jobs/slot-1" }),
    },
    seen: Array.from({ length: 34 }, (_, hour) => [(hour + 14) * HOUR, []]),
  },
];
