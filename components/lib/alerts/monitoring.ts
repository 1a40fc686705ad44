import { METRICS, PUSH_JOB } from "@video-storage/contract/metrics";

import { is, ours, selector } from "./promql.js";
import type { AlertDraft } from "./rule.js";
import { longestBetweenEnds } from "./sweep-timing.js";
import type { SweepTiming } from "./sweep-timing.js";

const MINUTE = 60;

export interface MonitoringAlertsArgs {
  readonly environment: string;
  readonly timing: SweepTiming;
}

/** What the other rules stand on: without it they are silent, whatever happens. */
export function monitoringAlerts({ environment, timing }: MonitoringAlertsArgs): AlertDraft[] {
  const up = ours(METRICS.catalogueUp, environment);
  // The Pushgateway's own, one for each group; the name of the job by which it is scraped is its owner's choice.
  const pushed = selector("push_time_seconds", [is("job", PUSH_JOB), is("environment", environment)]);
  return [
    {
      alert: "VideoStorageCatalogueDown",
      severity: "critical",
      expr: `max by (environment) (${up}) == 0`,
      forSeconds: 2 * MINUTE,
      summary: "the catalogue of {{ $labels.environment }} doesn't answer",
      description: "Extractions go on, but nothing is deleted: volumes fill up from now on.",
      reads: ["exporter"],
    },
    {
      alert: "VideoStorageExporterDown",
      severity: "warning",
      expr: `absent(${up})`,
      forSeconds: 5 * MINUTE,
      summary: "the exporter of {{ $labels.environment }} is not scraped",
      description: "Alerts on jobs, slots, the audit and the catalogue are silent until it is.",
      reads: ["exporter"],
    },
    {
      alert: "VideoStoragePushgatewayAbsent",
      severity: "warning",
      expr: `absent(${pushed})`,
      // One that was restarted has nothing until the next sweep has ended.
      forSeconds: longestBetweenEnds(timing),
      summary: "no sweep of {{ $labels.environment }} has pushed anything that is still there",
      description:
        "The Pushgateway is away or not scraped, or no sweep reaches it: alerts on sweeps are silent.",
      reads: ["sweep"],
    },
  ];
}
