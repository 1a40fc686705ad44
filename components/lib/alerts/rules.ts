import type { MetricSource } from "@video-storage/contract/metrics";
import type { ObjectStorageCapability } from "@video-storage/contract/object-storage-capabilities";

import type { Marks } from "./filling.js";
import { jobAlerts } from "./jobs.js";
import { monitoringAlerts } from "./monitoring.js";
import { objectStorageAlerts } from "./object-storage.js";
import { span } from "./promql.js";
import type { AlertDraft, AlertGroup, AlertRule } from "./rule.js";
import { sweepAlerts } from "./sweeps.js";
import type { SweepTiming } from "./sweep-timing.js";
import { stockVolumeAlerts, volumeAlerts } from "./volumes.js";
import { volumeSeries } from "./volume-series.js";
import type { VolumeSource } from "./volume-series.js";

/** What the rules are made from. */
export interface AlertRulesArgs {
  /** Name of the stack, in the labels of every alert, and of which the metrics are. */
  readonly environment: string;
  /** Who measures the volumes. */
  readonly source: VolumeSource;
  /** Labels that tell node-exporter's and the kubelet's series of this environment from those of other clusters. */
  readonly sourceLabels?: Readonly<Record<string, string>>;
  /** How many volumes are mounted on the nodes in all. Default null, for where that isn't to be seen. */
  readonly mounts?: number | null;
  /** When sweeps come: alerts on them and on what they leave follow from it. */
  readonly timing: SweepTiming;
  /** Between these a sweep keeps a volume's bytes. */
  readonly bytes: Marks;
  /** Between these a sweep keeps a volume's inodes. */
  readonly inodes: Marks;
  /** Percent of a volume in use right now. Default 90. */
  readonly nearlyFullPercent?: number;
  /** Percent of a volume in use also after sweeps. Default 80. */
  readonly quotaWarningPercent?: number;
  /** The same. Default 90. */
  readonly quotaCriticalPercent?: number;
  /** So many more abandoned jobs of a tenant within an hour are news. Default 3. */
  readonly abandonedPerHour?: number;
  /** How long a sweep keeps what it finds in a volume's trash without a record. Default one hour. */
  readonly trashSeconds?: number;
  /** What is required of the endpoint, and how often the bucket is looked through. Default null, for none. */
  readonly objectStorage?: {
    readonly required: readonly ObjectStorageCapability[];
    readonly janitorPeriodSeconds: number;
  } | null;
  /** Whose metrics of ours there are: rules on others' are left out, as they would be silent or never end. Default none. */
  readonly exported?: readonly MetricSource[];
  /** Where the runbooks are; an alert's own is `#` and its name in lower case. Default: in this repository. */
  readonly runbooks?: string;
}

/** Where the runbooks are in this repository. */
export const RUNBOOKS = "docs/runbooks.md";

/** What holds where nothing is said. */
export const ALERT_DEFAULTS = {
  nearlyFullPercent: 90,
  quotaWarningPercent: 80,
  quotaCriticalPercent: 90,
  abandonedPerHour: 3,
} as const;

const DEFAULTS = {
  ...ALERT_DEFAULTS,
  mounts: null,
  trashSeconds: 3600,
  objectStorage: null,
  exported: [],
  runbooks: RUNBOOKS,
};

/** The URL of an alert's runbook: the anchor that a heading with the alert's name has. */
export function runbookUrl(base: string, alert: string): string {
  return `${base}#${alert.toLowerCase()}`;
}

/** Every rule of an environment, in groups by what they are about. */
export function buildAlertRules(given: AlertRulesArgs): { groups: AlertGroup[] } {
  const args = { ...DEFAULTS, ...given };
  const { environment, timing, objectStorage, exported } = args;
  const volumes = {
    ...args,
    series: volumeSeries(args.source, args.sourceLabels),
    periodSeconds: timing.periodSeconds,
    sweepMetrics: exported.includes("sweep") && exported.includes("exporter"),
  };
  const drafts: [string, readonly AlertDraft[], interval?: string][] = [
    ["volumes", volumeAlerts(volumes)],
    // They look at a day, in which nothing changes within a minute.
    ["volumes-trend", args.source.by === "node-exporter" ? stockVolumeAlerts(volumes) : [], "1m"],
    ["sweeps", sweepAlerts(args)],
    ["jobs", jobAlerts(args)],
    ["object-storage", objectStorage ? objectStorageAlerts({ environment, timing, ...objectStorage }) : []],
    ["monitoring", monitoringAlerts(args)],
  ];
  return {
    groups: drafts.flatMap(([subject, all, interval]) => {
      const rules = all
        .filter(({ reads }) => reads.every((source) => exported.includes(source)))
        .map((draft) => rule(args, draft));
      if (rules.length === 0) return [];
      return [{ name: `video-storage-${environment}-${subject}`, ...(interval && { interval }), rules }];
    }),
  };
}

function rule(
  { environment, runbooks }: { environment: string; runbooks: string },
  draft: AlertDraft,
): AlertRule {
  const { alert, severity, expr, forSeconds, keepFiringForSeconds, summary, description } = draft;
  return {
    alert,
    expr,
    ...(forSeconds > 0 && { for: span(forSeconds) }),
    ...(keepFiringForSeconds !== undefined && { keep_firing_for: span(keepFiringForSeconds) }),
    // What others export doesn't say whose environment's it is.
    labels: { severity, environment },
    annotations: { summary, description, runbook_url: runbookUrl(runbooks, alert) },
  };
}
