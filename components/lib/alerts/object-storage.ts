import type { ObjectStorageCapability } from "@video-storage/contract/object-storage-capabilities";
import { METRICS } from "@video-storage/contract/metrics";

import { isOneOf, ours, span } from "./promql.js";
import type { AlertDraft } from "./rule.js";
import { longestBetweenEnds } from "./sweep-timing.js";
import type { SweepTiming } from "./sweep-timing.js";
import { ofDeclaredSlots } from "./sweeps.js";

const MINUTE = 60;

export interface ObjectStorageAlertsArgs {
  readonly environment: string;
  readonly timing: SweepTiming;
  /** What the endpoint has to do. */
  readonly required: readonly ObjectStorageCapability[];
  /** The bucket is looked through once in this time; 0 for by no sweep. */
  readonly janitorPeriodSeconds: number;
}

export function objectStorageAlerts(args: ObjectStorageAlertsArgs): AlertDraft[] {
  const { environment, timing, required, janitorPeriodSeconds } = args;
  const overdue = longestBetweenEnds(timing);
  const capability = ours(METRICS.capability, environment);
  const lacking = ours(METRICS.capability, environment, isOneOf("capability", required));
  const looked = `max by (environment, bucket) (${ours(METRICS.janitorLastSuccess, environment)})`;
  const janitorOverdue = 2 * janitorPeriodSeconds + overdue;
  const alerts: AlertDraft[] = [
    {
      alert: "VideoStorageTieringFailing",
      severity: "warning",
      expr: ofDeclaredSlots(environment, `${ours(METRICS.objectStorageAway, environment)} == 1`),
      // Until after the next sweep: one that couldn't reach it may have met a moment.
      forSeconds: timing.periodSeconds + 2 * MINUTE,
      summary:
        "the last sweeps of {{ $labels.volume }} on {{ $labels.node }} could not reach the object storage",
      description: "Jobs that nobody uploaded stay on the volume past their time, which fills it.",
      reads: ["sweep", "exporter"],
    },
    {
      alert: "VideoStorageCapabilityLost",
      severity: "critical",
      expr: `max by (environment, bucket, capability) (${lacking}) == 0`,
      forSeconds: MINUTE,
      summary: "{{ $labels.bucket }} was found to lack {{ $labels.capability }}",
      description:
        "The probe of the last deployment found that the endpoint doesn't do what the stack requires of it.",
      reads: ["sweep"],
    },
    {
      alert: "VideoStorageProbeMissing",
      severity: "warning",
      // Sweeps hand on what the probe left; where none has pushed anything, that is another alert's.
      expr: `absent(${capability}) unless on () absent(${ours(METRICS.sweepLastCompletion, environment)})`,
      forSeconds: overdue,
      summary: "nothing is known of what the object storage of {{ $labels.environment }} keeps",
      description:
        "The probe of the last deployment failed or has not run, so sweeps rely on nothing that the endpoint does.",
      reads: ["sweep"],
    },
  ];
  if (janitorPeriodSeconds > 0) {
    alerts.push({
      alert: "VideoStorageJanitorStale",
      severity: "warning",
      expr: `time() - ${looked} > ${janitorOverdue}`,
      forSeconds: MINUTE,
      summary: "{{ $labels.bucket }} was last looked through {{ $value | humanizeDuration }} ago",
      description: `Unfinished uploads and objects past their time pile up: it is due once in ${span(janitorPeriodSeconds)}.`,
      reads: ["exporter"],
    });
  }
  return alerts;
}
