import { METRICS, PUSH_JOB } from "@video-storage/contract/metrics";

import type { AlertCase, Firing } from "../case.js";
import { always, followed, HOUR, MINUTE, named, ofMetric, ramp } from "../series.js";
import type { Course } from "../series.js";
import { declared, ENVIRONMENT, EXPORTER, pushed, SWEPT, sweptUntil } from "./sweeps.js";

type SeriesByName = Record<string, Course>;

const BUCKET = { environment: ENVIRONMENT, job: PUSH_JOB, bucket: "artifacts" };

const capability = (name: string, course: Course, environment = ENVIRONMENT): SeriesByName => ({
  [ofMetric(METRICS.capability, { ...BUCKET, environment, capability: name })]: course,
});

const swept = pushed(METRICS.sweepLastCompletion, sweptUntil(Infinity));

const catalogueUp = (
  course: Course,
  instance = EXPORTER.instance,
  environment = ENVIRONMENT,
): SeriesByName => ({
  [ofMetric(METRICS.catalogueUp, { ...EXPORTER, environment, instance })]: course,
});

const pushTime = (course: Course, environment = ENVIRONMENT): SeriesByName => ({
  [named("push_time_seconds", { job: PUSH_JOB, environment, volume: SWEPT.volume })]: course,
});

const looked = (course: Course): SeriesByName => ({
  [ofMetric(METRICS.janitorLastSuccess, { ...EXPORTER, bucket: "artifacts" })]: course,
});

const tiering: Firing = {
  severity: "warning",
  labels: SWEPT,
  summary: "the last sweeps of node-a-slot-0 on node-a could not reach the object storage",
};

const probeMissing: Firing = {
  severity: "warning",
  labels: {},
  summary: "nothing is known of what the object storage of prod keeps",
};

const down: Firing = {
  severity: "critical",
  labels: {},
  summary: "the catalogue of prod doesn't answer",
};

const exporterDown: Firing = {
  severity: "warning",
  labels: {},
  summary: "the exporter of prod is not scraped",
};

const pushgatewayAbsent: Firing = {
  severity: "warning",
  labels: { job: PUSH_JOB },
  summary: "no sweep of prod has pushed anything that is still there",
};

/** The object storage, the catalogue, and what exports metrics. */
export const surroundingsCases: AlertCase[] = [
  {
    what: "two sweeps in a row can't reach the object storage, then one can",
    alert: "VideoStorageTieringFailing",
    interval: 60,
    series: {
      ...pushed(METRICS.objectStorageAway, (second) => (second >= HOUR && second < HOUR + 1200 ? 1 : 0)),
      ...swept,
      ...declared(SWEPT),
    },
    seen: [
      [HOUR + 11 * MINUTE, []],
      [HOUR + 12 * MINUTE, [tiering]],
      [HOUR + 19 * MINUTE, [tiering]],
      [HOUR + 20 * MINUTE, []],
    ],
  },
  {
    what: "one sweep can't reach it",
    alert: "VideoStorageTieringFailing",
    interval: 60,
    series: {
      ...pushed(METRICS.objectStorageAway, (second) => (second >= HOUR && second < HOUR + 600 ? 1 : 0)),
      ...swept,
      ...declared(SWEPT),
    },
    seen: [5, 9, 11, 12, 15].map((minute) => [HOUR + minute * MINUTE, []]),
  },
  {
    what: "what is required is lacking, and so is what isn't",
    alert: "VideoStorageCapabilityLost",
    interval: 60,
    series: {
      ...capability("tls-only", followed(always(1), HOUR, always(0))),
      ...capability("multipart", always(1)),
      ...capability("tags", always(0)),
      ...capability("tls-only", always(0), "dev"),
    },
    seen: [
      [HOUR, []],
      [
        HOUR + MINUTE,
        [
          {
            severity: "critical",
            labels: { environment: ENVIRONMENT, bucket: "artifacts", capability: "tls-only" },
            summary: "artifacts was found to lack tls-only",
          },
        ],
      ],
    ],
  },
  {
    what: "sweeps have pushed, and know nothing of the bucket",
    alert: "VideoStorageProbeMissing",
    interval: 60,
    series: { ...swept, ...capability("tls-only", always(1), "dev") },
    seen: [
      [44 * MINUTE, []],
      [45 * MINUTE, [probeMissing]],
    ],
  },
  {
    what: "the probe has left what it found",
    alert: "VideoStorageProbeMissing",
    interval: 60,
    series: { ...swept, ...capability("tls-only", always(0)) },
    seen: [[2 * HOUR, []]],
  },
  {
    what: "no sweep has pushed anything",
    alert: "VideoStorageProbeMissing",
    interval: 60,
    series: pushed(METRICS.sweepLastCompletion, always(0), { ...SWEPT, environment: "dev" }),
    seen: [[2 * HOUR, []]],
  },
  {
    what: "the bucket is not looked through, twice as long as it should be",
    alert: "VideoStorageJanitorStale",
    interval: 60,
    series: looked(always(0)),
    seen: [
      [48 * HOUR + 46 * MINUTE, []],
      [
        48 * HOUR + 47 * MINUTE,
        [
          {
            severity: "warning",
            labels: { environment: ENVIRONMENT, bucket: "artifacts" },
            summary: "artifacts was last looked through 2d 0h 47m 0s ago",
          },
        ],
      ],
    ],
  },
  {
    what: "the catalogue is away, in another environment too",
    alert: "VideoStorageCatalogueDown",
    interval: 15,
    series: {
      ...catalogueUp(followed(always(1), 10 * MINUTE, always(0))),
      ...catalogueUp(always(0), "exporter:9102", "dev"),
    },
    seen: [
      [10 * MINUTE, []],
      [11 * MINUTE, []],
      [12 * MINUTE, [down]],
    ],
  },
  {
    what: "one of two exporters, as while they are replaced, can't reach it",
    alert: "VideoStorageCatalogueDown",
    interval: 15,
    series: { ...catalogueUp(always(1)), ...catalogueUp(always(0), "exporter-2:9102") },
    seen: [[HOUR, []]],
  },
  {
    what: "the exporter goes, while another environment's is there",
    alert: "VideoStorageExporterDown",
    interval: 60,
    series: {
      ...catalogueUp(followed(always(1), HOUR, () => null)),
      ...catalogueUp(always(1), "exporter:9102", "dev"),
    },
    seen: [
      [HOUR, []],
      [HOUR + 8 * MINUTE, []],
      [HOUR + 11 * MINUTE, [exporterDown]],
    ],
  },
  {
    what: "it says that the catalogue is away",
    alert: "VideoStorageExporterDown",
    interval: 60,
    series: catalogueUp(always(0)),
    seen: [[HOUR, []]],
  },
  {
    what: "nothing was ever pushed, though of another environment",
    alert: "VideoStoragePushgatewayAbsent",
    interval: 60,
    series: pushTime(ramp(0, 1), "dev"),
    seen: [
      [44 * MINUTE, []],
      [45 * MINUTE, [pushgatewayAbsent]],
    ],
  },
  {
    what: "it was restarted, and is pushed to again after the next sweep",
    alert: "VideoStoragePushgatewayAbsent",
    interval: 60,
    series: pushTime((second) => (second > HOUR && second < HOUR + 600 ? null : second)),
    seen: [HOUR, HOUR + 9 * MINUTE, 2 * HOUR].map((at) => [at, []]),
  },
];
