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
    expect(await play(one)).toEqual({ code: 0, output: "Unit Testing:  test.yml\n  SUCCESS\n\n" });
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
