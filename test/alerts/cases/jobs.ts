import { METRICS } from "@video-storage/contract/metrics";

import type { AlertCase, Firing } from "../case.js";
import { always, followed, HOUR, MINUTE, ofMetric, ramp } from "../series.js";
import type { Course } from "../series.js";
import { ENVIRONMENT, EXPORTER } from "./sweeps.js";

type SeriesByName = Record<string, Course>;

const jobs = (state: string, course: Course, tenant = "acme", environment = ENVIRONMENT): SeriesByName => ({
  [ofMetric(METRICS.jobs, { ...EXPORTER, environment, tenant, state, location: "local" })]: course,
});

const catalogueUp = (course: Course = always(1)): SeriesByName => ({
  [ofMetric(METRICS.catalogueUp, EXPORTER)]: course,
});

const WORKER = { environment: ENVIRONMENT, instance: "worker-1:9103", job: "workers" };

const warning = (labels: Firing["labels"], summary: string): Firing => ({
  severity: "warning",
  labels,
  summary,
});

const slots = (inUse: Course, all: number, environment = ENVIRONMENT): SeriesByName => ({
  [ofMetric(METRICS.slotsInUse, { ...EXPORTER, environment })]: inUse,
  [ofMetric(METRICS.slots, { ...EXPORTER, environment })]: always(all),
});

const limit = (value: number): SeriesByName => ({
  [ofMetric(METRICS.extractionLimit, EXPORTER)]: always(value),
});

const refusals = (reason: string, course: Course, instance = WORKER.instance): SeriesByName => ({
  [ofMetric(METRICS.workerRefusals, { ...WORKER, instance, tenant: "acme", reason })]: course,
});

const unreplayed = (course: Course, instance = WORKER.instance): SeriesByName => ({
  [ofMetric(METRICS.workerSpooledRecords, { ...WORKER, instance, tenant: "acme" })]: course,
});

const lag = (action: string, course: Course, environment = ENVIRONMENT): SeriesByName => ({
  [ofMetric(METRICS.auditLag, { ...EXPORTER, environment, action })]: course,
});

export const jobCases: AlertCase[] = [
  {
    what: "three more jobs are abandoned within an hour, and then no more",
    alert: "VideoStorageAbandonedJobsGrowing",
    interval: 60,
    series: {
      ...catalogueUp(),
      ...jobs("abandoned", followed(always(10), 2 * HOUR, always(13))),
      // Two are as usual.
      ...jobs("abandoned", followed(always(10), 2 * HOUR, always(12)), "globex"),
      ...jobs("failed", followed(always(10), 2 * HOUR, always(50))),
      ...jobs("abandoned", followed(always(0), 2 * HOUR, always(50)), "acme", "dev"),
    },
    seen: [
      [2 * HOUR, []],
      [2 * HOUR + MINUTE, []],
      [
        2 * HOUR + 2 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, tenant: "acme" },
            "3 more jobs of acme were abandoned in the last hour",
          ),
        ],
      ],
      [
        3 * HOUR + 10 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, tenant: "acme" },
            "3 more jobs of acme were abandoned in the last hour",
          ),
        ],
      ],
      [3 * HOUR + 20 * MINUTE, []],
    ],
  },
  {
    what: "the first that are abandoned at all",
    alert: "VideoStorageAbandonedJobsGrowing",
    interval: 60,
    series: { ...catalogueUp(), ...jobs("abandoned", (second) => (second < 2 * HOUR ? null : 3)) },
    seen: [
      [2 * HOUR, []],
      [
        2 * HOUR + 5 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, tenant: "acme" },
            "3 more jobs of acme were abandoned in the last hour",
          ),
        ],
      ],
    ],
  },
  {
    what: "were abandoned long before there was an exporter to ask, and while the catalogue was away",
    alert: "VideoStorageAbandonedJobsGrowing",
    interval: 60,
    series: {
      ...catalogueUp((second) => (second < HOUR ? null : second < 2 * HOUR ? 0 : 1)),
      ...jobs("abandoned", (second) => (second < 2 * HOUR ? null : 20)),
    },
    seen: [123, 150, 177, 183, 240].map((minute) => [minute * MINUTE, []]),
  },
  {
    what: "all slots are taken for ten minutes",
    alert: "VideoStorageSlotsAllTaken",
    interval: 60,
    series: slots(followed(always(23), HOUR, always(24)), 24),
    seen: [
      [HOUR + 9 * MINUTE, []],
      [HOUR + 10 * MINUTE, [warning({}, "all 24 slots of prod are in use")]],
    ],
  },
  {
    what: "all are taken for a moment, in another environment for good, and there is none",
    alert: "VideoStorageSlotsAllTaken",
    interval: 60,
    series: {
      ...slots((second) => (second % 600 < 300 ? 24 : 23), 24),
      ...slots(always(8), 8, "dev"),
    },
    seen: [HOUR, 2 * HOUR].map((at) => [at, []]),
  },
  {
    what: "a stack whose slots aren't counted yet",
    alert: "VideoStorageSlotsAllTaken",
    interval: 60,
    series: slots(always(0), 0),
    seen: [[HOUR, []]],
  },
  {
    what: "as many extractions run as may, of two tenants together",
    alert: "VideoStorageExtractionLimitReached",
    interval: 60,
    series: {
      ...jobs("active", followed(always(7), HOUR, always(8))),
      ...jobs("active", always(8), "globex"),
      ...jobs("completed", always(100)),
      ...limit(16),
    },
    seen: [
      [HOUR + 9 * MINUTE, []],
      [HOUR + 10 * MINUTE, [warning({}, "16 extractions run in prod, which is the limit")]],
    ],
  },
  {
    what: "a stack without a limit",
    alert: "VideoStorageExtractionLimitReached",
    interval: 60,
    series: jobs("active", always(1000)),
    seen: [[HOUR, []]],
  },
  {
    what: "workers refuse jobs for a quarter of an hour",
    alert: "VideoStorageJobsRefused",
    interval: 60,
    series: {
      ...refusals("space", followed(always(0), HOUR, ramp(0, 1 / 60))),
      // One of them was started anew meanwhile.
      ...refusals("space", followed(always(40), HOUR, always(0)), "worker-2:9103"),
    },
    seen: [
      [HOUR, []],
      [
        HOUR + 15 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, reason: "space" },
            "10 jobs were refused in ten minutes in prod: space",
          ),
        ],
      ],
    ],
  },
  {
    what: "one job is refused once, and a worker is started anew",
    alert: "VideoStorageJobsRefused",
    interval: 60,
    series: {
      ...refusals("concurrency", followed(always(3), HOUR, always(4))),
      ...refusals("space", followed(always(40), HOUR, always(0)), "worker-2:9103"),
    },
    seen: [5, 9, 10, 11, 15].map((minute) => [HOUR + minute * MINUTE, []]),
  },
  {
    what: "records stay on volumes though the catalogue answers",
    alert: "VideoStorageUnreplayedRecords",
    interval: 60,
    series: {
      ...catalogueUp(),
      ...unreplayed(followed(always(0), HOUR, always(2))),
      ...unreplayed(followed(always(0), HOUR, always(1)), "worker-2:9103"),
    },
    seen: [
      [HOUR + 14 * MINUTE, []],
      [
        HOUR + 15 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, tenant: "acme" },
            "3 changes of jobs of acme are on volumes and not in the catalogue",
          ),
        ],
      ],
    ],
  },
  {
    what: "records wait for a catalogue that is away, and are replayed",
    alert: "VideoStorageUnreplayedRecords",
    interval: 60,
    series: {
      ...catalogueUp(followed(always(0), HOUR, always(1))),
      ...unreplayed(followed(always(5), HOUR + 5 * MINUTE, always(0))),
    },
    seen: [30, 59, 65, 90].map((minute) => [minute * MINUTE, []]),
  },
  {
    what: "the exporter isn't there to say whether the catalogue answers",
    alert: "VideoStorageUnreplayedRecords",
    interval: 60,
    series: unreplayed(always(1)),
    seen: [
      [
        20 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, tenant: "acme" },
            "1 changes of jobs of acme are on volumes and not in the catalogue",
          ),
        ],
      ],
    ],
  },
  {
    what: "a deletion has no outcome after every sweep's time",
    alert: "VideoStorageAuditLag",
    interval: 60,
    series: {
      ...lag("delete", ramp(0, 1)),
      ...lag("tier", always(2600)),
      ...lag("evict", ramp(0, 1), "dev"),
    },
    seen: [
      [45 * MINUTE, []],
      [46 * MINUTE, []],
      [
        47 * MINUTE,
        [
          warning(
            { environment: ENVIRONMENT, action: "delete" },
            "a delete in prod was begun 47m 0s ago and has no outcome",
          ),
        ],
      ],
    ],
  },
];
