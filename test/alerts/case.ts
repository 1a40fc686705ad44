import { buildAlertRules, RUNBOOKS } from "../../components/lib/alerts/rules.js";
import type { AlertRulesArgs } from "../../components/lib/alerts/rules.js";
import type { Severity } from "../../components/lib/alerts/rule.js";
import { promtool } from "./promtool.js";
import { samples } from "./series.js";
import type { Course, Labels } from "./series.js";

/** A stack as the defaults make it: swept every ten minutes, so that a sweep has ended 45 minutes after the last. */
export const STACK: AlertRulesArgs = {
  environment: "prod",
  source: { by: "node-exporter", directories: ["/mnt/video-jobs"] },
  mounts: 1,
  timing: { periodSeconds: 600, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 },
  bytes: { highPercent: 85, lowPercent: 70 },
  inodes: { highPercent: 85, lowPercent: 70 },
  nearlyFullPercent: 90,
  quotaWarningPercent: 80,
  quotaCriticalPercent: 90,
  abandonedPerHour: 3,
  trashSeconds: 3600,
  objectStorage: { required: ["tls-only", "no-public-access", "multipart"], janitorPeriodSeconds: 86_400 },
  exported: ["sweep", "exporter", "worker"],
  runbooks: RUNBOOKS,
};

/** An alert that fires, as Alertmanager gets it: labels besides `severity` and `environment`. */
export interface Firing {
  readonly severity: Severity;
  readonly labels: Labels;
  readonly summary: string;
}

/** Something that happens, and what of one alert is to be seen at some moments. */
export interface AlertCase {
  readonly what: string;
  readonly alert: string;
  readonly stack?: Partial<AlertRulesArgs>;
  /** Seconds between samples, and between evaluations. */
  readonly interval: number;
  readonly series: Readonly<Record<string, Course>>;
  /** Seconds since the beginning, and the whole of what fires then. */
  readonly seen: readonly (readonly [at: number, firing: readonly Firing[]])[];
}

/** What promtool says when everything was as expected. */
export const AS_EXPECTED = "SUCCESS";

/**
 * Plays cases through the real evaluation of rules, and gives what promtool says of each: in one process, since most of
 * them take no longer than its start.
 */
export async function playAll(cases: readonly AlertCase[]): Promise<ReadonlyMap<AlertCase, string>> {
  const files = cases.map((one, index) => filesOf(one, String(index)));
  const tests = cases.map((_, index) => testFile(String(index)));
  const { output } = await promtool(["test", "rules", ...tests], Object.assign({}, ...files));
  const said = new Map(
    output
      .split(/^Unit Testing: +/m)
      .slice(1)
      .map((part) => {
        const [test, ...rest] = part.split("\n");
        return [test!, rest.join("\n").trim()];
      }),
  );
  return new Map(cases.map((one, index) => [one, said.get(tests[index]!) ?? `was not played: ${output}`]));
}

const testFile = (name: string): string => `test-${name}.yml`;

function filesOf(one: AlertCase, name: string): Record<string, unknown> {
  const stack = { ...STACK, ...one.stack };
  const groups = buildAlertRules(stack).groups.filter(({ rules }) =>
    rules.some(({ alert }) => alert === one.alert),
  );
  const rules = groups.flatMap((group) => group.rules).filter(({ alert }) => alert === one.alert);
  const end = Math.max(...one.seen.map(([at]) => at));
  const interval = `${one.interval}s`;
  const test = {
    interval,
    input_series: Object.entries(one.series).map(([series, course]) => ({
      series,
      values: samples(course, one.interval, end),
    })),
    alert_rule_test: one.seen.map(([at, firing]) => ({
      eval_time: `${at}s`,
      alertname: one.alert,
      exp_alerts: firing.map(({ severity, labels, summary }) => {
        const rule = rules.find((candidate) => candidate.labels.severity === severity);
        return {
          exp_labels: { ...labels, severity, environment: stack.environment },
          exp_annotations: {
            summary,
            description: rule?.annotations.description,
            runbook_url: rule?.annotations.runbook_url,
          },
        };
      }),
    })),
  };
  const rulesFile = `rules-${name}.yml`;
  return {
    [rulesFile]: { groups: groups.map((group) => ({ ...group, rules })) },
    [testFile(name)]: { rule_files: [rulesFile], evaluation_interval: interval, tests: [test] },
  };
}
