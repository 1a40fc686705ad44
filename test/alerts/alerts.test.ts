import { describe, expect, it } from "vitest";

import { buildAlertRules } from "../../components/lib/alerts/rules.js";
import { play, STACK } from "./case.js";
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

/** What promtool says when everything was as expected. */
const TAKEN = { code: 0, output: "Unit Testing:  test.yml\n  SUCCESS\n\n" };

const rules = buildAlertRules(STACK).groups.flatMap((group) => group.rules);
const known = new Set(rules.map(({ alert }) => alert));

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

  it.for(cases.map((one) => [one.what, one] as const))("%s", async ([, one]) => {
    expect(await play(one)).toEqual(TAKEN);
  });
});

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

describe("another environment in the same Prometheus", () => {
  const absent = ["VideoStorageExporterDown", "VideoStoragePushgatewayAbsent"];

  it.for(ours.filter((alert) => !absent.includes(alert)))("has no %s of this one", async (alert) => {
    const cases = CASES.filter(
      (one) => one.alert === alert && one.seen.some(([, firing]) => firing.length > 0),
    );
    expect(cases.length).toBeGreaterThan(0);
    for (const { series, seen, ...rest } of cases) {
      const others = Object.entries(series).map(([name, course]) => [
        name.replace(/environment="prod"/, 'environment="other"'),
        course,
      ]);
      const silent = seen.map(([at]) => [at, []] as const);
      expect(await play({ ...rest, series: Object.fromEntries(others), seen: silent })).toEqual(TAKEN);
    }
  });

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
