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

/** The table of docs/alerts.md. */
export function alertsParts(): Record<string, string> {
  const rows = buildAlertRules(STACK).groups.flatMap(({ rules }) =>
    rules.map(({ alert, labels, for: wait, annotations }) => [
      `[${alert}](runbooks.md#${alert.toLowerCase()})`,
      labels.severity,
      wait ?? "at once",
      said(annotations.summary),
    ]),
  );
  return { alerts: table(["Alert", "Severity", "After", "It says"], rows) };
}

/** A summary with what each of its templates stands for. */
function said(summary: string): string {
  return summary
    .replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => label.toUpperCase())
    .replace(/\{\{[^}]*\| humanizeDuration \}\}/g, "TIME")
    .replace(/\{\{[^}]*\| humanize1024 \}\}B/g, "BYTES")
    .replace(/\{\{[^}]*\$value[^}]*\}\}/g, "N");
}
