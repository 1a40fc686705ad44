import { METRICS } from "@video-storage/contract/metrics";
import type { Metric, MetricSource } from "@video-storage/contract/metrics";

import { table } from "./generated-parts.js";

const SOURCES: Readonly<Record<MetricSource, string>> = {
  sweep: "Pushed by each sweep",
  exporter: "Exported from the catalogue",
  worker: "Of each worker and upload worker",
};

/** The table of the metrics, by where they arise. */
export function monitoringParts(): Record<string, string> {
  const parts = Object.entries(SOURCES).map(([source, heading]) => {
    const metrics = Object.values(METRICS).filter((metric) => metric.source === source);
    return `### ${heading}\n\n${table(["Metric", "Type", "Labels", "What it says"], metrics.map(rowOf))}\n`;
  });
  return { metrics: `\n${parts.join("\n")}\n` };
}

function rowOf({ name, type, labels, help }: Metric): string[] {
  return [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(", "), help];
}
