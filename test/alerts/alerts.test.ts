import { beforeAll, describe, expect, it } from "vitest";

import { buildAlertRules } from "../../components/lib/alerts/rules.js";
import { AS_EXPECTED, playAll, STACK } from "./case.js";
import type { AlertCase } from "./case.js";
import { fillingCases } from "./cases/filling.js";
import { jobCases } from "./cases/jobs.js";
import { surroundingsCases } from "./cases/surroundings.js";
import { sweepCases } from "./cases/sweeps.js";
import { volumeCases } from "./cases/volumes.js";
import { promtool } from "./promtool.js";

const CASES: readonly AlertCase[] = [
  ...fillingCases,
  ...volumeCases,
  ...sweepCases,
  ...jobCases,
  ...surroundingsCases,
];

const rules = buildAlertRules(STACK).groups.flatMap((group) => group.rules);
const known = new Set(rules.map(({ alert }) => alert));

/** Alerts whose cases are all of what carries the environment. */
const ours = [...known].filter((alert) => {
  const { annotations } = rules.find((rule) => rule.alert === alert)!;
  const cases = CASES.filter((one) => one.alert === alert && one.stack?.source === undefined);
  const names = cases.flatMap(({ series }) => Object.keys(series));
  return (
    !annotations.summary.includes("$labels.mountpoint") &&
    names.every((name) => name.includes('environment="'))
  );
});

const FIRE_WITHOUT_METRICS = ["VideoStorageExporterDown", "VideoStoragePushgatewayAbsent"];
/** Their cases that fire, where another environment's metrics are all there is: nothing is to be seen. */
const elsewhere = ours
  .filter((alert) => !FIRE_WITHOUT_METRICS.includes(alert))
  .map((alert) => ({
    alert,
    cases: CASES.filter((one) => one.alert === alert && one.seen.some(([, firing]) => firing.length > 0)).map(
      inAnotherEnvironment,
    ),
  }));

function inAnotherEnvironment({ series, seen, ...rest }: AlertCase): AlertCase {
  const others = Object.entries(series).map(([name, course]) => [
    name.replace(/environment="prod"/, 'environment="other"'),
    course,
  ]);
  return { ...rest, series: Object.fromEntries(others), seen: seen.map(([at]) => [at, []] as const) };
}

let said: ReadonlyMap<AlertCase, string>;
beforeAll(async () => {
  said = await playAll([...CASES, ...elsewhere.flatMap(({ cases }) => cases)]);
});

describe.each([...known])("%s", (alert) => {
  const cases = CASES.filter((one) => one.alert === alert);

  it("is seen firing at each of its severities, and silent", () => {
    const seen = cases.flatMap((one) => one.seen.map(([, firing]) => firing));
    const severities = rules.filter((rule) => rule.alert === alert).map(({ labels }) => labels.severity);
    for (const severity of severities) {
      const fires = seen.map((firing) => firing.some((one) => one.severity === severity));
      expect([severity, fires.includes(true), fires.includes(false)]).toEqual([severity, true, true]);
    }
  });

  it.for(cases.map((one) => [one.what, one] as const))("%s", ([, one]) => {
    expect(said.get(one)).toBe(AS_EXPECTED);
  });
});

describe("another environment in the same Prometheus", () => {
  it.for(elsewhere.map(({ alert, cases }) => [alert, cases] as const))(
    "has no %s of this one",
    ([, cases]) => {
      expect(cases.length).toBeGreaterThan(0);
      for (const one of cases) expect(said.get(one)).toBe(AS_EXPECTED);
    },
  );

  it("is looked for in every alert on metrics of ours", () => {
    expect(ours.length).toBeGreaterThan(15);
  });
});

it("no case is of an alert that there isn't", () => {
  expect(CASES.filter(({ alert }) => !known.has(alert))).toEqual([]);
});

it("are rules that Prometheus takes", async () => {
  const { code, output } = await promtool(["check", "rules", "rules.yml"], {
    "rules.yml": buildAlertRules(STACK),
  });
  expect(output).toContain(`SUCCESS: ${rules.length} rules found`);
  expect(code).toBe(0);
});
