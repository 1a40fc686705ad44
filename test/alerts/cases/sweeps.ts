import { METRICS } from "@video-storage/contract/metrics";
import type { Metric } from "@video-storage/contract/metrics";

import type { AlertCase, Firing } from "../case.js";
import { always, followed, HOUR, MINUTE, ofMetric, ramp } from "../series.js";
import type { Course } from "../series.js";

export const ENVIRONMENT = "prod";
export const EXPORTER = { environment: ENVIRONMENT, instance: "exporter:9102", job: "exporter" };
export const SWEPT = { environment: ENVIRONMENT, volume: "node-a-slot-0", node: "node-a" };
const OTHER = { environment: ENVIRONMENT, volume: "node-b-slot-0", node: "node-b" };
const GONE = { environment: ENVIRONMENT, volume: "node-z-slot-0", node: "node-z" };
const DEV = { ...SWEPT, environment: "dev" };

type SeriesByName = Record<string, Course>;

export const pushed = (metric: Metric, course: Course, labels: typeof SWEPT = SWEPT): SeriesByName => ({
  [ofMetric(metric, labels)]: course,
});

export const declared = (...slots: (typeof SWEPT)[]): SeriesByName =>
  Object.fromEntries(
    slots.map(({ volume }) => [ofMetric(METRICS.slotInfo, { ...EXPORTER, volume }), always(1)]),
  );

/** The end of the last sweep, as a timestamp, when there is one every ten minutes until some time. */
export const sweptUntil =
  (end: number): Course =>
  (second) =>
    Math.floor(Math.min(second, end) / 600) * 600;

const sweptAlways = sweptUntil(Infinity);

const stale = (labels: typeof SWEPT, ago: string): Firing => ({
  severity: "critical",
  labels,
  summary: `${labels.volume} was last swept ${ago} ago`,
});

const failing: Firing = {
  severity: "warning",
  labels: SWEPT,
  summary: "sweeps of node-a-slot-0 on node-a fail, more than one in a row",
};

/** Fails from one sweep on until another. */
const failedBetween = (from: number, to: number): Course => {
  return (second) => (second >= from && second < to ? 1 : 0);
};

/** When the last sweep that succeeded ended, where those between two times failed. */
const succeededBut =
  (from: number, to: number): Course =>
  (second) =>
    second >= from && second < to ? from - 600 : sweptAlways(second);

/** Sweeps of the volume that end at these times and fail or not, as they tell of themselves. */
const sweptAt = (...ends: readonly (readonly [at: number, succeeds: boolean])[]): SeriesByName => {
  const lastEnd = (second: number, counts: (succeeds: boolean) => boolean = () => true) =>
    ends.findLast(([at, succeeds]) => at <= second && counts(succeeds));
  return {
    ...pushed(METRICS.sweepFailed, (second) => {
      const last = lastEnd(second);
      return last ? Number(!last[1]) : null;
    }),
    ...pushed(METRICS.sweepLastCompletion, (second) => lastEnd(second)?.[0] ?? null),
    ...pushed(METRICS.sweepLastSuccess, (second) => lastEnd(second, (succeeds) => succeeds)?.[0] ?? null),
    ...declared(SWEPT),
  };
};

const reclaiming = (eligible: Course, freed: Course, environment = ENVIRONMENT): SeriesByName => ({
  [ofMetric(METRICS.eligibleBytes, { ...EXPORTER, environment, tenant: "acme", state: "failed" })]: eligible,
  [ofMetric(METRICS.eligibleBytes, { ...EXPORTER, environment, tenant: "globex", state: "uploaded" })]:
    eligible,
  [ofMetric(METRICS.freedBytes, { ...EXPORTER, environment })]: freed,
});

const nothingFreed: Firing = {
  severity: "warning",
  labels: {},
  summary: "2GiB could be freed in prod, and no sweep frees any",
};

export const sweepCases: AlertCase[] = [
  {
    what: "sweeps of a volume stop, those of another go on",
    alert: "VideoStorageSweepStale",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepLastCompletion, sweptUntil(HOUR)),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways, OTHER),
      ...declared(SWEPT, OTHER),
    },
    seen: [
      [HOUR + 46 * MINUTE, []],
      [HOUR + 48 * MINUTE, [stale(SWEPT, "48m 0s")]],
      [3 * HOUR, [stale(SWEPT, "2h 0m 0s")]],
    ],
  },
  {
    what: "sweeps stop for almost as long as one may take, and come again",
    alert: "VideoStorageSweepStale",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepLastCompletion, (second) =>
        second < 105 * MINUTE ? sweptUntil(HOUR)(second) : sweptAlways(second),
      ),
      ...declared(SWEPT),
    },
    seen: [HOUR, 104 * MINUTE, 110 * MINUTE, 130 * MINUTE].map((at) => [at, []]),
  },
  {
    what: "another stack's schedule",
    alert: "VideoStorageSweepStale",
    stack: { timing: { periodSeconds: 60, startingDeadlineSeconds: 60, activeDeadlineSeconds: 300 } },
    interval: 15,
    series: { ...pushed(METRICS.sweepLastCompletion, always(0)), ...declared(SWEPT) },
    seen: [
      [8 * MINUTE, []],
      [10 * MINUTE, [stale(SWEPT, "10m 0s")]],
    ],
  },
  {
    what: "the Pushgateway keeps what was pushed of a node that is gone, and another environment's sweeps stop",
    alert: "VideoStorageSweepStale",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...pushed(METRICS.sweepLastCompletion, sweptUntil(HOUR), GONE),
      ...pushed(METRICS.sweepLastCompletion, sweptUntil(HOUR), DEV),
      ...declared(SWEPT),
      [ofMetric(METRICS.slotInfo, { ...EXPORTER, environment: "dev", volume: DEV.volume })]: always(1),
    },
    seen: [
      [2 * HOUR, []],
      [5 * HOUR, []],
    ],
  },
  {
    what: "the exporter is away while sweeps have stopped",
    alert: "VideoStorageSweepStale",
    interval: 60,
    series: pushed(METRICS.sweepLastCompletion, sweptUntil(HOUR)),
    seen: [[2 * HOUR, [stale(SWEPT, "1h 0m 0s")]]],
  },
  {
    what: "a slot is declared, and its node's sweep never comes",
    alert: "VideoStorageVolumeNeverSwept",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...declared(SWEPT, OTHER),
    },
    seen: [
      [44 * MINUTE, []],
      [
        45 * MINUTE,
        [
          {
            severity: "warning",
            labels: { ...EXPORTER, volume: OTHER.volume },
            summary: "node-b-slot-0 is declared and was never swept, while others of prod are",
          },
        ],
      ],
    ],
  },
  {
    what: "nothing of the environment has been pushed, though of another",
    alert: "VideoStorageVolumeNeverSwept",
    interval: 60,
    series: { ...pushed(METRICS.sweepLastCompletion, sweptAlways, DEV), ...declared(SWEPT) },
    seen: [[2 * HOUR, []]],
  },
  {
    what: "two sweeps in a row fail, then one succeeds",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepFailed, failedBetween(60 * MINUTE, 80 * MINUTE)),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...pushed(METRICS.sweepLastSuccess, succeededBut(60 * MINUTE, 80 * MINUTE)),
      ...declared(SWEPT),
    },
    seen: [
      [59 * MINUTE, []],
      [69 * MINUTE, []],
      [71 * MINUTE, []],
      [72 * MINUTE, [failing]],
      [79 * MINUTE, [failing]],
      [80 * MINUTE, []],
    ],
  },
  {
    what: "every other sweep fails",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepFailed, (second) => Math.floor(second / 600) % 2),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...pushed(METRICS.sweepLastSuccess, (second) => Math.floor(second / 1200) * 1200),
      ...declared(SWEPT),
    },
    seen: [15, 19, 25, 35, 39, 55, 59].map((minute) => [minute * MINUTE, []]),
  },
  {
    what: "no sweep of it has ever succeeded; and it is of a slot that is gone",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: {
      ...pushed(METRICS.sweepFailed, always(1)),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...pushed(METRICS.sweepFailed, always(1), GONE),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways, GONE),
      ...declared(SWEPT),
    },
    seen: [
      [9 * MINUTE, []],
      [12 * MINUTE, [failing]],
    ],
  },
  {
    what: "one sweep is ended at its deadline, long after the last success, and the next succeeds",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: sweptAt([HOUR, true], [100 * MINUTE, false], [110 * MINUTE, true]),
    seen: [99, 103, 109, 113].map((minute) => [minute * MINUTE, []]),
  },
  {
    what: "the first sweep that there ever was fails, and the next succeeds",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: sweptAt([10 * MINUTE, false], [20 * MINUTE, true]),
    seen: [12, 19, 23].map((minute) => [minute * MINUTE, []]),
  },
  {
    what: "one sweep in two fails, and some are late",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: sweptAt(
      ...([10, 30, 70, 80, 95].map((minute, index) => [minute * MINUTE, index % 2 === 0]) as [
        number,
        boolean,
      ][]),
    ),
    seen: [35, 69, 85, 94].map((minute) => [minute * MINUTE, []]),
  },
  {
    what: "two in a row fail within minutes, where the schedule is twice in an hour",
    alert: "VideoStorageSweepFailing",
    stack: { timing: { periodSeconds: 3300, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 } },
    interval: 60,
    series: sweptAt([0, true], [300, true], [HOUR, false], [HOUR + 300, false], [2 * HOUR, true]),
    seen: [
      [HOUR + 4 * MINUTE, []],
      [HOUR + 7 * MINUTE, [failing]],
      [2 * HOUR - MINUTE, [failing]],
      [2 * HOUR, []],
    ],
  },
  {
    what: "all fail, each after all the time that it has",
    alert: "VideoStorageSweepFailing",
    interval: 60,
    series: sweptAt(
      [HOUR, true],
      [100 * MINUTE, false],
      [140 * MINUTE, false],
      [180 * MINUTE, false],
      [220 * MINUTE, true],
    ),
    seen: [
      [139 * MINUTE, []],
      [142 * MINUTE, [failing]],
      [182 * MINUTE, [failing]],
      [219 * MINUTE, [failing]],
      [220 * MINUTE, []],
    ],
  },
  {
    what: "jobs are past their time and nothing is freed, though it was before",
    alert: "VideoStorageNothingReclaimed",
    interval: 60,
    series: reclaiming(always(2 ** 30), followed(ramp(1e9, 1e6), HOUR, always(4.6e9))),
    seen: [
      [HOUR + 80 * MINUTE, []],
      [HOUR + 92 * MINUTE, [nothingFreed]],
    ],
  },
  {
    what: "no sweep has ever freed anything, so that there is no total yet",
    alert: "VideoStorageNothingReclaimed",
    interval: 60,
    series: reclaiming(always(2 ** 30), () => null),
    seen: [
      [44 * MINUTE, []],
      [45 * MINUTE, [nothingFreed]],
    ],
  },
  {
    what: "something is eligible at any time, and freed by the next sweep, also after the totals began anew",
    alert: "VideoStorageNothingReclaimed",
    interval: 60,
    series: {
      ...reclaiming(always(2 ** 30), followed(sweptAlways, 2 * HOUR, sweptAlways)),
      ...reclaiming(always(2 ** 30), always(5e9), "dev"),
    },
    seen: [HOUR, 2 * HOUR, 2 * HOUR + 15 * MINUTE, 3 * HOUR, 4 * HOUR].map((at) => [at, []]),
  },
  {
    what: "nothing is eligible, and nothing freed",
    alert: "VideoStorageNothingReclaimed",
    interval: 60,
    series: reclaiming(always(0), always(5e9)),
    seen: [[3 * HOUR, []]],
  },
  {
    what: "what was begun is not finished, and more comes",
    alert: "VideoStorageTrashGrowing",
    interval: 60,
    series: {
      ...pushed(
        METRICS.trashEntries,
        followed(always(0), HOUR, (second) => 1 + Math.floor(second / 3600)),
      ),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...declared(SWEPT),
    },
    seen: [
      [HOUR + 105 * MINUTE, []],
      [
        HOUR + 108 * MINUTE,
        [
          {
            severity: "warning",
            labels: SWEPT,
            summary: "2 deletions of node-a-slot-0 were begun and not finished",
          },
        ],
      ],
    ],
  },
  {
    what: "becomes fewer, or is emptied now and then, or lies on a slot that is gone",
    alert: "VideoStorageTrashGrowing",
    interval: 60,
    series: {
      ...pushed(METRICS.trashEntries, (second) => 100 - Math.floor(second / 3600)),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways),
      ...pushed(METRICS.trashEntries, (second) => Math.floor(second / 1800) % 3, OTHER),
      ...pushed(METRICS.sweepLastCompletion, sweptAlways, OTHER),
      ...pushed(METRICS.trashEntries, always(7), GONE),
      ...pushed(METRICS.sweepLastCompletion, always(0), GONE),
      ...declared(SWEPT, OTHER),
    },
    seen: [2, 3, 4, 5, 6].map((hour) => [hour * HOUR, []]),
  },
];
