import { METRICS } from "@video-storage/contract/metrics";

import { is, ours, span } from "./promql.js";
import type { AlertDraft } from "./rule.js";
import { longestBetweenEnds } from "./sweep-timing.js";
import type { SweepTiming } from "./sweep-timing.js";

const MINUTE = 60;

export interface JobAlertsArgs {
  readonly environment: string;
  readonly timing: SweepTiming;
  /** So many more abandoned jobs of one tenant in an hour are news. */
  readonly abandonedPerHour: number;
}

/** Jobs and workers: what is left behind, what is refused, and whether there is a record of it. */
export function jobAlerts({ environment, timing, abandonedPerHour }: JobAlertsArgs): AlertDraft[] {
  const overdue = longestBetweenEnds(timing);
  const jobs = (state: string) => ours(METRICS.jobs, environment, is("state", state));
  const abandoned = `sum by (environment, tenant) (${jobs("abandoned")})`;
  const earlier = `sum by (environment, tenant) (${jobs("abandoned")} offset 1h)`;
  const up = ours(METRICS.catalogueUp, environment);
  const limit = `max by (environment) (${ours(METRICS.extractionLimit, environment)})`;
  const slots = `max by (environment) (${ours(METRICS.slots, environment)})`;
  const refused = ours(METRICS.workerRefusals, environment);
  return [
    {
      alert: "VideoStorageAbandonedJobsGrowing",
      severity: "warning",
      // A tenant without such a job has no series. Its absence an hour ago says zero only if the catalogue was asked then.
      expr:
        `${abandoned} - (${earlier} or (0 * ${abandoned} and on (environment) ${up} offset 1h == 1)) ` +
        `>= ${abandonedPerHour}`,
      forSeconds: 2 * MINUTE,
      keepFiringForSeconds: 15 * MINUTE,
      summary: "{{ $value }} more jobs of {{ $labels.tenant }} were abandoned in the last hour",
      description: "Workers end without a word: killed, out of memory, or with a node that went.",
      reads: ["exporter"],
    },
    {
      alert: "VideoStorageSlotsAllTaken",
      severity: "warning",
      expr: `max by (environment) (${ours(METRICS.slotsInUse, environment)}) >= (${slots} > 0)`,
      forSeconds: 10 * MINUTE,
      summary: "all {{ $value }} slots of {{ $labels.environment }} are in use",
      description: "The next worker waits for a slot. Add a node.",
      reads: ["exporter"],
    },
    {
      alert: "VideoStorageExtractionLimitReached",
      severity: "warning",
      expr: `sum by (environment) (${jobs("active")}) >= (${limit} > 0)`,
      forSeconds: 10 * MINUTE,
      summary: "{{ $value }} extractions run in {{ $labels.environment }}, which is the limit",
      description: "Every further job is refused until one ends. Add a node, or raise jobsPerSlot.",
      reads: ["exporter"],
    },
    {
      alert: "VideoStorageJobsRefused",
      severity: "warning",
      expr: `sum by (environment, reason) (increase(${refused}[10m])) > 0`,
      // One refusal is how a job finds the worker that has room.
      forSeconds: 10 * MINUTE,
      summary:
        '{{ printf "%.0f" $value }} jobs were refused in ten minutes in {{ $labels.environment }}: {{ $labels.reason }}',
      description:
        "Workers have been refusing jobs for a while, for lack of room (space) or of a place (concurrency).",
      reads: ["worker"],
    },
    {
      alert: "VideoStorageUnreplayedRecords",
      severity: "warning",
      // While the catalogue is away that is how it has to be, and there is an alert for that.
      expr:
        `sum by (environment, tenant) (${ours(METRICS.workerSpooledRecords, environment)}) > 0 ` +
        `unless on (environment) max by (environment) (${up}) == 0`,
      forSeconds: 15 * MINUTE,
      summary: "{{ $value }} changes of jobs of {{ $labels.tenant }} are on volumes and not in the catalogue",
      description:
        "Workers can't tell the catalogue, though it answers: their network, certificate or login.",
      reads: ["worker"],
    },
    {
      alert: "VideoStorageAuditLag",
      severity: "warning",
      expr: `max by (environment, action) (${ours(METRICS.auditLag, environment)}) > ${overdue}`,
      forSeconds: MINUTE,
      summary:
        "a {{ $labels.action }} in {{ $labels.environment }} was begun {{ $value | humanizeDuration }} ago and has no outcome",
      description:
        `What a killed sweep began the next one finishes, within ${span(overdue)}. Nobody knows yet whether the job is ` +
        `gone.`,
      reads: ["exporter"],
    },
  ];
}
