import { isTenantId } from "@video-storage/contract/identity";

import {
  boolean,
  duration,
  integer,
  list,
  mapOf,
  oneOf,
  optional,
  record,
  size,
  text,
  withDefault,
} from "../checks.js";
import { ALERT_DEFAULTS, RUNBOOKS } from "../../components/lib/alerts/rules.js";
import { cronSchedule, image, LABEL_KEY, labelValue, timeZone } from "./patterns.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A label's name, and a value of it that is text of one line. */
const METRIC_LABEL = /^[A-Za-z_][A-Za-z0-9_]*$/;
const metricLabelValue = text(/^[\x20-\x7e]{1,200}$/, "a label's value in Prometheus");

const COMPLETED_ACTIONS = ["tier", "delete", "keep"] as const;

const RANGE = optional(record({ minimum: duration(0), maximum: duration(0) }));
const RETENTION_LIMITS = record({
  uploaded: RANGE,
  completed: RANGE,
  failed: RANGE,
  abandoned: RANGE,
  staged: RANGE,
  orphaned: RANGE,
  completedActions: withDefault(list(oneOf(...COMPLETED_ACTIONS)), []),
});

/** What a tenant may have of its own; null where the stack's holds. */
const TENANT_RETENTION = record({
  uploaded: optional(duration(0)),
  completed: optional(duration(0)),
  failed: optional(duration(0)),
  abandoned: optional(duration(0)),
  staged: optional(duration(0)),
  orphaned: optional(duration(0)),
  completedAction: optional(oneOf(...COMPLETED_ACTIONS)),
});

const RETENTION = record({
  uploaded: withDefault(duration(0), HOUR),
  completed: withDefault(duration(0), 7 * DAY),
  failed: withDefault(duration(0), 3 * DAY),
  abandoned: withDefault(duration(0), DAY),
  trash: withDefault(duration(0), HOUR),
  staged: withDefault(duration(0), 30 * DAY),
  orphaned: withDefault(duration(0), 7 * DAY),
  completedAction: withDefault(oneOf(...COMPLETED_ACTIONS), "keep"),
  // What has limits may be overridden for a tenant, within them.
  limits: withDefault(RETENTION_LIMITS, RETENTION_LIMITS({}, "", [])!),
  tenants: withDefault(mapOf(isTenantId, "tenant ids", TENANT_RETENTION), {}),
});
export const retention = withDefault(RETENTION, RETENTION({}, "retention", [])!);

const FLOOR = record({ age: withDefault(duration(0), 0), size: withDefault(size(0n), 0n) });
const FLOOR_OF_TENANT = record({ age: optional(duration(0)), size: optional(size(0n)) });

export const cleanup = record({
  image,
  migrationsImage: image,
  schedule: withDefault(cronSchedule, "*/10 * * * *"),
  timeZone: withDefault(timeZone, "Etc/UTC"),
  checkPods: withDefault(boolean(), true),
  activeDeadline: withDefault(duration(10), 30 * MINUTE),
  startingDeadline: withDefault(duration(10), 5 * MINUTE),
  // Eviction begins at the high mark and ends at the low one.
  highWaterPercent: withDefault(integer(1, 100), 85),
  lowWaterPercent: withDefault(integer(1, 100), 70),
  inodeHighWaterPercent: withDefault(integer(1, 100), 85),
  inodeLowWaterPercent: withDefault(integer(1, 100), 70),
  // Under pressure: what may happen to jobs that nobody uploaded yet, and what every tenant keeps.
  unuploadedUnderPressure: withDefault(oneOf("keep", "tier", "delete"), "keep"),
  floor: withDefault(FLOOR, FLOOR({}, "", [])!),
  tenantFloors: withDefault(mapOf(isTenantId, "tenant ids", FLOOR_OF_TENANT), {}),
  packBelow: withDefault(size(0n), 128n * 1024n),
  uploadConcurrency: withDefault(integer(1, 16), 4),
  janitorPeriod: withDefault(duration(0), DAY),
  unfinishedUploads: withDefault(duration(60), DAY),
  unuploadedObjects: withDefault(oneOf("keep", "delete"), "keep"),
});

const ALERTS = record({
  /** Percent of a volume in use right now. */
  nearlyFullPercent: withDefault(integer(1, 99), ALERT_DEFAULTS.nearlyFullPercent),
  /** Percent of a volume in use also after sweeps. */
  quotaWarningPercent: withDefault(integer(1, 99), ALERT_DEFAULTS.quotaWarningPercent),
  quotaCriticalPercent: withDefault(integer(1, 99), ALERT_DEFAULTS.quotaCriticalPercent),
  /** So many more abandoned jobs of a tenant within an hour are news. */
  abandonedPerHour: withDefault(integer(1, 1_000_000), ALERT_DEFAULTS.abandonedPerHour),
  /** Whether the rules are a PrometheusRule for Prometheus' operator; null for as monitoring.operator says. */
  operator: optional(boolean()),
  /** By these the operator's Prometheus selects its rules. */
  ruleLabels: withDefault(
    mapOf((key) => LABEL_KEY.test(key), "label keys", labelValue),
    {},
  ),
  /** These tell node-exporter's and the kubelet's series of this cluster from those of others in one Prometheus. */
  sourceLabels: withDefault(
    mapOf((name) => METRIC_LABEL.test(name), "names of labels in Prometheus", metricLabelValue),
    {},
  ),
  /** Where the runbooks are to be read. */
  runbooks: withDefault(text(/^[\x21-\x7e]+$/, "a URL or a path, without spaces"), RUNBOOKS),
});
export const alerts = withDefault(ALERTS, ALERTS({}, "alerts", [])!);

const STAGING = record({
  /** A job that runs longer is staged to the object storage, so that its node can go. */
  maxLocal: withDefault(duration(60), 6 * HOUR),
});
export const staging = withDefault(STAGING, STAGING({}, "staging", [])!);

export type RetentionConfig = NonNullable<ReturnType<typeof retention>>;
export type CleanupSettings = NonNullable<ReturnType<typeof cleanup>>;
