import type { AlertCase, Firing } from "../case.js";
import { always, HOUR, MINUTE, ramp, saw, followed } from "../series.js";
import type { Course } from "../series.js";
import { bytesUsed, GIGABYTE_A_SECOND, inodesUsed, SIZE, SLOT, WHERE } from "./volume.js";

const alert = "VideoStorageVolumeFillingUp";

/** A volume as its sweeps keep it: between the two marks, by every ten minutes' sweep. */
const usual = saw(70, 85, 10 * MINUTE);

const soon = (severity: Firing["severity"], left: string): Firing => ({
  severity,
  labels: SLOT,
  summary: `${WHERE} will be out of space within ${severity === "critical" ? "5m" : "30m"}: ${left} % is left`,
});

const every = (minutes: number, until: number): number[] =>
  Array.from(
    { length: Math.floor(until / (minutes * MINUTE)) },
    (_, index) => (index + 1) * minutes * MINUTE,
  );

/** Unlike one another in their tops, as real ones are, the same in every run. */
const uneven: Course = (second) => {
  const tooth = Math.floor(second / 600);
  const top = 84 + ((tooth * 7) % 5) / 2;
  return 70 + ((top - 70) * (second % 600)) / 600;
};

/** Each tooth begins and ends higher than the one before. */
const growing =
  (each: number): Course =>
  (second) =>
    70 + each * Math.floor(second / 600) + (10 * (second % 600)) / 600;

/** Ends each tooth close to full, and every fifth one a little closer. */
const tight: Course = (second) => {
  const top = Math.floor(second / 600) % 5 === 4 ? 95.9 : 95;
  return 86 + ((top - 86) * (second % 600)) / 600;
};

/** Percent of a slot of 400 GiB that one gigabyte a second fills in a second. */
const SLOT_AT_A_GIGABYTE = 100 / 429.5;

/** What holds for bytes and for inodes alike. */
function ofBoth(kind: "space" | "inodes"): AlertCase[] {
  const isBytes = kind === "space";
  const common = {
    alert: isBytes ? "VideoStorageVolumeFillingUp" : "VideoStorageVolumeInodesFillingUp",
    interval: 15,
  };
  const used = isBytes ? bytesUsed : inodesUsed;
  const told = (severity: Firing["severity"], left: string): Firing => ({
    severity,
    labels: SLOT,
    summary: `${WHERE} will be out of ${kind} within ${severity === "critical" ? "5m" : "30m"}: ${left} % is left`,
  });
  return [
    {
      ...common,
      what: `${kind}: half a minute of a prediction that comes true is told of, and not less`,
      // Past the mark at 5 minutes and 1 second; swept a minute later.
      series: used(followed(ramp(0, SLOT_AT_A_GIGABYTE), 6 * MINUTE, always(40))),
      seen: [
        [5 * MINUTE, []],
        [5.5 * MINUTE, []],
        [5.75 * MINUTE, [told("critical", "19.7")]],
        [15 * MINUTE, [told("critical", "19.7")]],
        [17 * MINUTE, []],
      ],
    },
    {
      ...common,
      what: `${kind}: fills in fifty minutes`,
      // At the mark after 35 minutes.
      series: used(ramp(0, 2 / MINUTE)),
      seen: [
        [35 * MINUTE, []],
        [36.75 * MINUTE, []],
        [37.25 * MINUTE, [told("warning", "25.5")]],
      ],
    },
    {
      ...common,
      what: `${kind}: fills in 25 minutes to just below that mark, and stops`,
      series: used(followed(ramp(0, 68 / (25 * MINUTE)), 25 * MINUTE, always(68))),
      seen: every(0.5, 40 * MINUTE).map((at) => [at, []]),
    },
    {
      ...common,
      what: `${kind}: fills as fast to just below the mark that sweeps empty it down to, and stops`,
      series: used(followed(ramp(0, SLOT_AT_A_GIGABYTE), 292, always(68))),
      seen: every(0.5, 15 * MINUTE).map((at) => [at, []]),
    },
    {
      ...common,
      what: `${kind}: each tooth ends close to full, some a little closer`,
      series: used(tight),
      seen: every(0.5, 3 * HOUR)
        .filter((at) => at > 30 * MINUTE)
        .map((at) => [at, []]),
    },
    {
      ...common,
      what: `${kind}: grew over the sweeps for half an hour, and then sweeps free it: told of until the next one had its turn`,
      series: used(followed(growing(2.5), 74 * MINUTE, always(40))),
      seen: [
        [72 * MINUTE, [told("warning", (100 - growing(2.5)(72 * MINUTE)!).toFixed(1))]],
        [80 * MINUTE, [told("warning", "8.8")]],
        [86 * MINUTE, []],
      ],
    },
  ];
}

export const fillingCases: AlertCase[] = [
  ...ofBoth("space"),
  ...ofBoth("inodes"),
  {
    what: "a gigabyte a second after an hour of usual work: critical three minutes before the volume is full",
    alert,
    interval: 15,
    // Full 9.6 minutes after the hour.
    series: bytesUsed(followed(usual, HOUR, ramp(70, GIGABYTE_A_SECOND))),
    seen: [
      [HOUR, []],
      [HOUR + 5 * MINUTE, []],
      [HOUR + 6.5 * MINUTE, [soon("critical", "9.7")]],
      [HOUR + 9 * MINUTE, [soon("critical", "1.9"), soon("warning", "1.9")]],
    ],
  },
  {
    what: "a gigabyte a second onto an empty disk",
    alert,
    interval: 15,
    // Full after 32 minutes.
    series: bytesUsed(ramp(0, GIGABYTE_A_SECOND)),
    seen: [
      [22 * MINUTE, []],
      [26 * MINUTE, [soon("warning", "18.8")]],
      [28 * MINUTE, [soon("critical", "12.5"), soon("warning", "12.5")]],
    ],
  },
  {
    what: "fills and is swept every ten minutes",
    alert,
    interval: 15,
    series: bytesUsed(usual),
    seen: every(1, 3 * HOUR).map((at) => [at, []]),
  },
  {
    what: "fills and is swept every ten minutes, to tops that are not alike",
    alert,
    interval: 15,
    series: bytesUsed(uneven),
    seen: every(1, 3 * HOUR).map((at) => [at, []]),
  },
  {
    what: "fills and is swept, each time at the last moment, once it has a past",
    alert,
    interval: 15,
    series: bytesUsed(saw(60, 97, 10 * MINUTE)),
    seen: every(1, 4 * HOUR)
      .filter((at) => at > 30 * MINUTE)
      .map((at) => [at, []]),
  },
  {
    what: "fills and is swept, a tooth in forty minutes",
    alert,
    interval: 15,
    series: bytesUsed(saw(70, 86, 40 * MINUTE)),
    seen: every(2, 5 * HOUR).map((at) => [at, []]),
  },
  {
    what: "is swept, and yet each tooth is higher than the last: a warning while there is time, and not on and off",
    alert,
    interval: 15,
    // The tops are 80, 82.5, 85 … 100 % after 90 minutes.
    series: bytesUsed(growing(2.5)),
    seen: [
      [50 * MINUTE, []],
      ...[72, 73, 74, 75, 76, 77, 78].map((minute): [number, Firing[]] => {
        const left = 100 - growing(2.5)(minute * MINUTE)!;
        return [minute * MINUTE, [soon("warning", left.toFixed(1))]];
      }),
    ],
  },
  {
    what: "fills fast from far below the marks, and stops",
    alert,
    interval: 15,
    series: bytesUsed(followed(ramp(10, GIGABYTE_A_SECOND), 15 * MINUTE, always(57))),
    seen: every(1, 40 * MINUTE).map((at) => [at, []]),
  },
  {
    what: "fills, is told of, and is swept: told of until the next sweep, and no longer",
    alert,
    interval: 15,
    series: bytesUsed(followed(usual, HOUR, followed(ramp(70, GIGABYTE_A_SECOND), 8 * MINUTE, always(40)))),
    seen: [
      [HOUR + 7 * MINUTE, [soon("critical", "8.1")]],
      [HOUR + 12 * MINUTE, [soon("critical", "5.8")]],
      [HOUR + 19 * MINUTE, []],
    ],
  },
  {
    what: "its node goes while it fills",
    alert,
    interval: 15,
    series: bytesUsed(
      followed(followed(usual, HOUR, ramp(70, GIGABYTE_A_SECOND)), HOUR + 7 * MINUTE, () => null),
    ),
    seen: [
      [HOUR + 6.5 * MINUTE, [soon("critical", "9.7")]],
      [HOUR + 25 * MINUTE, []],
    ],
  },
  {
    what: "the node's own filesystem fills, and what covers slots that aren't mounted",
    alert,
    interval: 15,
    series: {
      ...bytesUsed(ramp(70, GIGABYTE_A_SECOND), { ...SLOT, mountpoint: "/" }),
      ...bytesUsed(ramp(70, GIGABYTE_A_SECOND), { ...SLOT, mountpoint: "/mnt/video-jobs" }),
      ...bytesUsed(ramp(70, GIGABYTE_A_SECOND), {
        ...SLOT,
        mountpoint: "/mnt/video-jobs/a",
        fstype: "tmpfs",
      }),
    },
    seen: every(1, 10 * MINUTE).map((at) => [at, []]),
  },
  {
    what: "another environment's volume of the same name fills, told apart by a label",
    alert,
    stack: { sourceLabels: { cluster: "prod" } },
    interval: 15,
    series: {
      ...bytesUsed(usual, { ...SLOT, cluster: "prod" }),
      ...bytesUsed(ramp(70, GIGABYTE_A_SECOND), { ...SLOT, cluster: "dev" }),
    },
    seen: every(1, 10 * MINUTE).map((at) => [at, []]),
  },
  {
    what: "a claim of a storage driver's volume fills, which the kubelet sees",
    alert,
    stack: { source: { by: "kubelet", namespace: "video-jobs" }, mounts: null },
    interval: 15,
    series: {
      'kubelet_volume_stats_available_bytes{namespace="video-jobs",persistentvolumeclaim="hot-slot-3"}': ramp(
        SIZE * 0.3,
        -1e9,
      ),
      'kubelet_volume_stats_capacity_bytes{namespace="video-jobs",persistentvolumeclaim="hot-slot-3"}':
        always(SIZE),
      'kubelet_volume_stats_available_bytes{namespace="other",persistentvolumeclaim="data"}': ramp(
        SIZE * 0.3,
        -1e9,
      ),
      'kubelet_volume_stats_capacity_bytes{namespace="other",persistentvolumeclaim="data"}': always(SIZE),
    },
    seen: [
      [
        6 * MINUTE,
        [
          {
            severity: "critical",
            labels: { namespace: "video-jobs", persistentvolumeclaim: "hot-slot-3" },
            summary: "video-jobs/hot-slot-3 will be out of space within 5m: 11.2 % is left",
          },
        ],
      ],
    ],
  },
  {
    what: "inodes are used up fast",
    alert: "VideoStorageVolumeInodesFillingUp",
    interval: 15,
    series: inodesUsed(followed(usual, HOUR, ramp(70, 0.05))),
    seen: [
      [HOUR + 5 * MINUTE, []],
      [
        HOUR + 7 * MINUTE,
        [
          {
            severity: "critical",
            labels: SLOT,
            summary: `${WHERE} will be out of inodes within 5m: 9.0 % is left`,
          },
        ],
      ],
    ],
  },
  {
    what: "inodes are used up over an hour",
    alert: "VideoStorageVolumeInodesFillingUp",
    interval: 30,
    series: inodesUsed(ramp(50, 50 / (60 * MINUTE))),
    seen: [
      [
        50 * MINUTE,
        [
          {
            severity: "warning",
            labels: SLOT,
            summary: `${WHERE} will be out of inodes within 30m: 8.3 % is left`,
          },
        ],
      ],
    ],
  },
  {
    what: "inodes of a filesystem that has no limit on them, and those of one that is swept",
    alert: "VideoStorageVolumeInodesFillingUp",
    interval: 15,
    series: {
      'node_filesystem_files_free{mountpoint="/mnt/video-jobs/btrfs",fstype="btrfs"}': always(0),
      'node_filesystem_files{mountpoint="/mnt/video-jobs/btrfs",fstype="btrfs"}': always(0),
      ...inodesUsed(usual),
    },
    seen: every(1, 2 * HOUR).map((at) => [at, []]),
  },
];
