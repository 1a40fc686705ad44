import { fastPredictions, slowPredictions, trendSeconds } from "../../components/lib/alerts/filling.js";
import type { Prediction } from "../../components/lib/alerts/filling.js";
import { span } from "../../components/lib/alerts/promql.js";
import { buildAlertRules } from "../../components/lib/alerts/rules.js";
import type { AlertRulesArgs } from "../../components/lib/alerts/rules.js";
import { REQUIRED_OF_ANY_ENDPOINT } from "../../components/lib/object-storage-requirements.js";
import { table } from "./generated-parts.js";

/** A stack with the configuration's defaults, and with everything that there are alerts on. */
const STACK: AlertRulesArgs = {
  environment: "ENVIRONMENT",
  source: { by: "node-exporter", directories: ["/mnt/video-jobs"] },
  mounts: 8,
  timing: { periodSeconds: 600, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 },
  bytes: { highPercent: 85, lowPercent: 70 },
  inodes: { highPercent: 85, lowPercent: 70 },
  objectStorage: { required: REQUIRED_OF_ANY_ENDPOINT, janitorPeriodSeconds: 86_400 },
  exported: ["sweep", "exporter", "worker"],
};

/** The tables of docs/alerts.md. */
export function alertsParts(): Record<string, string> {
  const rows = buildAlertRules(STACK).groups.flatMap(({ rules }) =>
    rules.map(({ alert, labels, for: wait, annotations }) => [
      `[${alert}](runbooks.md#${alert.toLowerCase()})`,
      labels.severity,
      wait ?? "at once",
      said(annotations.summary),
    ]),
  );
  return { alerts: table(["Alert", "Severity", "After", "It says"], rows), predictions: predictions() };
}

/** What each prediction looks at, in two ways: the slope of right now, and the trend of what sweeps leave. */
function predictions(): string {
  const row = (prediction: Prediction): string[] => [
    `\`${prediction.alert}\`, ${prediction.severity}`,
    span(prediction.slopeSeconds),
    prediction.overSweeps ? span(trendSeconds(prediction, STACK.timing.periodSeconds)) : "",
    span(prediction.withinSeconds),
    span(prediction.forSeconds),
  ];
  const all = [...fastPredictions("VideoStorage…FillingUp"), ...slowPredictions("NodeFilesystem…FillingUp")];
  return table(["Rule", "Looks back", "Over several sweeps", "Predicts", "Waits"], all.map(row));
}

/** A summary with what each of its templates stands for. */
function said(summary: string): string {
  return summary
    .replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => label.toUpperCase())
    .replace(/\{\{[^}]*\| humanizeDuration \}\}/g, "TIME")
    .replace(/\{\{[^}]*\| humanize1024 \}\}B/g, "BYTES")
    .replace(/\{\{[^}]*\$value[^}]*\}\}/g, "N");
}
