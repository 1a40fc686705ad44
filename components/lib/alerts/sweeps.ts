import { METRICS } from "@video-storage/contract/metrics";

import { ours, span } from "./promql.js";
import type { AlertDraft } from "./rule.js";
import { longestBetweenEnds } from "./sweep-timing.js";
import type { SweepTiming } from "./sweep-timing.js";

const MINUTE = 60;

export interface SweepAlertsArgs {
  readonly environment: string;
  readonly timing: SweepTiming;
  /** How long something lies in a volume's trash whose deletion no record explains. */
  readonly trashSeconds: number;
}

/**
 * Only series of slots that the stack declares: a Pushgateway keeps for ever what was pushed of others. While the
 * exporter, which knows them, is away, all count, because an alert that goes quiet with it would be missed.
 */
export function ofDeclaredSlots(environment: string, expr: string): string {
  const slots = ours(METRICS.slotInfo, environment);
  const swept = ours(METRICS.sweepLastCompletion, environment);
  return `(${expr}) and on (environment, volume) (${slots} or (${swept} unless on (environment) ${slots}))`;
}

/**
 * When the first sweep ended that failed since the last success; a volume without any success has all its sweeps looked at.
 * Two in a row aren't told by the time since that success: a schedule's gaps differ, one sweep may take longer than several
 * others, and nodes go and come back.
 */
function firstFailure(completion: string, success: string, overdue: number): string {
  // Twice: while the alert holds the sweep before the last must not be forgotten, until the next one is overdue.
  const lookBack = 2 * overdue;
  // Of ends that are closer to each other than that one may be missed; then the next one tells.
  const step = Math.max(MINUTE, Math.round(lookBack / 120 / MINUTE) * MINUTE);
  const failed =
    `${completion} unless on (environment, volume) ` +
    // The last success of now, not of the moment that is looked back to.
    `${completion} <= on (environment, volume) ${success} @ end()`;
  return `min by (environment, volume) (min_over_time((${failed})[${span(lookBack)}:${span(step)}]))`;
}

/** The sweeps themselves: that they come, and get done what is due. */
export function sweepAlerts({ environment, timing, trashSeconds }: SweepAlertsArgs): AlertDraft[] {
  const overdue = longestBetweenEnds(timing);
  const completion = ours(METRICS.sweepLastCompletion, environment);
  const success = ours(METRICS.sweepLastSuccess, environment);
  const slots = ours(METRICS.slotInfo, environment);
  const trash = ours(METRICS.trashEntries, environment);
  const eligible = `sum by (environment) (${ours(METRICS.eligibleBytes, environment)})`;
  const freed = `sum by (environment) (increase(${ours(METRICS.freedBytes, environment)}[${span(overdue)}]))`;
  // A sweep keeps what it can't explain for so long; the next one after that has to remove it.
  const kept = trashSeconds + overdue;
  return [
    {
      alert: "VideoStorageSweepStale",
      severity: "critical",
      expr: ofDeclaredSlots(environment, `time() - ${completion} > ${overdue}`),
      // For as long the exporter may be restarted, see ofDeclaredSlots.
      forSeconds: 2 * MINUTE,
      summary: "{{ $labels.volume }} was last swept {{ $value | humanizeDuration }} ago",
      description:
        `Nothing frees the volume any more. With its schedule and deadlines a sweep ends at least every ${span(overdue)}; ` +
        `none has.`,
      reads: ["sweep", "exporter"],
    },
    {
      alert: "VideoStorageVolumeNeverSwept",
      severity: "warning",
      // Without any series of the environment it is the Pushgateway that is missing, which has an alert of its own.
      expr: `${slots} unless on (environment, volume) ${completion} and on (environment) ${completion}`,
      forSeconds: overdue,
      summary:
        "{{ $labels.volume }} is declared and was never swept, while others of {{ $labels.environment }} are",
      description: "Its node's CronJob has made no Job yet, or the Job can't start.",
      reads: ["sweep", "exporter"],
    },
    {
      alert: "VideoStorageSweepFailing",
      severity: "warning",
      // One failed sweep is made good by the next.
      expr: ofDeclaredSlots(
        environment,
        `${ours(METRICS.sweepFailed, environment)} == 1 and on (environment, volume) ` +
          `${completion} > on (environment, volume) ${firstFailure(completion, success, overdue)}`,
      ),
      forSeconds: 2 * MINUTE,
      summary: "sweeps of {{ $labels.volume }} on {{ $labels.node }} fail, more than one in a row",
      description: "Some jobs that are due stay on the volume. The sweep's log says of each why.",
      reads: ["sweep", "exporter"],
    },
    {
      alert: "VideoStorageNothingReclaimed",
      severity: "warning",
      // A little is eligible at any time between two sweeps; nothing freed over all of a sweep's time is another matter. A
      // total that isn't there is of sweeps that never freed anything.
      expr: `${eligible} > 0 unless on (environment) ${freed} > 0`,
      forSeconds: overdue,
      summary:
        "{{ $value | humanize1024 }}B could be freed in {{ $labels.environment }}, and no sweep frees any",
      description: `Jobs are past their time, and in ${span(overdue)} no sweep has freed a byte.`,
      reads: ["exporter"],
    },
    {
      alert: "VideoStorageTrashGrowing",
      severity: "warning",
      expr: ofDeclaredSlots(
        environment,
        `${trash} >= ${trash} offset ${span(kept)} and min_over_time(${trash}[${span(kept)}]) > 0`,
      ),
      forSeconds: 2 * MINUTE,
      summary: "{{ $value }} deletions of {{ $labels.volume }} were begun and not finished",
      description: `The volume's trash was never empty in ${span(kept)} and holds no less than then: space that should be free isn't.`,
      reads: ["sweep", "exporter"],
    },
  ];
}
