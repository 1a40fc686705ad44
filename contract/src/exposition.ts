import { Counter, Gauge, Registry } from "prom-client";
import type { Metric, MetricLabel } from "./metrics.js";

/** One value of a gauge or a counter. */
export interface Sample {
  readonly metric: Metric;
  /** Every label of the metric. */
  readonly labels: Readonly<Partial<Record<MetricLabel, string>>>;
  readonly value: number;
}

/** The content type of what {@link expose} returns. */
export const EXPOSITION_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * The samples in Prometheus' text format, each metric with its help and type, with these labels on every one besides.
 * Throws when a sample hasn't exactly the labels of its metric.
 */
export async function expose(
  samples: Iterable<Sample>,
  common: Readonly<Record<string, string>> = {},
): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels(common);
  const metrics = new Map<string, Gauge | Counter>();
  for (const { metric, labels, value } of samples) {
    requireLabels(metric, labels);
    const known = metrics.get(metric.name) ?? definedIn(registry, metric);
    metrics.set(metric.name, known);
    if (known instanceof Counter) known.inc(labels, value);
    else known.set(labels, value);
  }
  return registry.metrics();
}

/** What prom-client is told of a metric. */
export function definitionOf({ name, help, labels }: Metric): {
  name: string;
  help: string;
  labelNames: MetricLabel[];
} {
  return { name, help, labelNames: [...labels] };
}

function definedIn(registry: Registry, metric: Metric): Gauge | Counter {
  const definition = { ...definitionOf(metric), registers: [registry] };
  if (metric.type === "gauge") return new Gauge(definition);
  if (metric.type === "counter") return new Counter(definition);
  throw new Error(`${metric.name} is a ${metric.type}, which has no one value`);
}

function requireLabels({ name, labels }: Metric, given: Sample["labels"]): void {
  const found = Object.keys(given);
  if (found.length === labels.length && labels.every((label) => given[label] !== undefined)) return;
  throw new Error(
    `${name} has the labels ${labels.join(", ") || "(none)"}, and not ${found.join(", ") || "none"}`,
  );
}
