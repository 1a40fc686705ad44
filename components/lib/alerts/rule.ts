import type { MetricSource } from "@video-storage/contract/metrics";

export type Severity = "warning" | "critical";

/** An alerting rule, before it is known whose environment's it is. */
export interface AlertDraft {
  readonly alert: string;
  readonly severity: Severity;
  readonly expr: string;
  /** How long the expression must hold without a break. 0 is left out. */
  readonly forSeconds: number;
  /** How long the alert stays after the expression last held, so that what comes and goes is told of once. */
  readonly keepFiringForSeconds?: number;
  /** One line, with what was measured. */
  readonly summary: string;
  readonly description: string;
  /** Whose metrics the expression reads; a rule without its metrics is left out. None for what others export. */
  readonly reads: readonly MetricSource[];
}

/** An alerting rule as Prometheus and its operator take it. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
  readonly labels: { readonly severity: Severity; readonly environment: string };
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
  };
}

export interface AlertGroup {
  readonly name: string;
  /** How often it is evaluated; Prometheus' own interval where it isn't given. */
  readonly interval?: string;
  readonly rules: readonly AlertRule[];
}
