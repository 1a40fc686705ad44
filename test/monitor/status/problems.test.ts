import { describe, expect, it } from "vitest";
import { NOT_VERIFIED } from "@video-storage/monitor/status/audit";
import type { Alert, Problem, Status, Volume, VolumeCondition } from "@video-storage/monitor/status/model";
import { levelOf, problemsOf } from "@video-storage/monitor/status/problems";
import { alertsOf } from "@video-storage/monitor/status/prometheus";
import type { RuleGroup } from "@video-storage/monitor/status/prometheus";

const AT = "2026-03-04T05:00:00.000Z";
const WELL = { state: "ok", problem: null, readAt: AT } as const;
const INTACT = {
  ...NOT_VERIFIED,
  state: "intact",
  entries: 4,
  chains: 1,
  finishedAt: AT,
  seconds: 1,
} as const;

function status(change: Partial<Status> = {}): Status {
  return {
    ...{ statusVersion: 1, environment: "test", at: AT, level: "ok", problems: [] },
    ...{ catalogue: WELL, prometheus: WELL, volumes: null, next: null, jobs: null, sweeps: null },
    audit: { verification: INTACT, recent: [], open: 0, oldestOpenSeconds: 0 },
    alerts: { rules: 3, alerts: [] },
    ...change,
  };
}

function volume(name: string, condition: VolumeCondition, usedPercent = 50): Volume {
  return {
    ...{ name, node: null, tenant: null, capacityBytes: 100, usedBytes: usedPercent, usedPercent },
    ...{ inodesUsedPercent: null, measuredBy: "sweep", measuredAt: AT, condition, unfinishedSince: null },
    lastSweep: {
      ...{
        volume: name,
        startedAt: AT,
        finishedAt: "2026-03-04T04:00:00.000Z",
        result: "ok",
        actor: "sweep",
      },
      ...{
        deleted: 0,
        tiered: 0,
        kept: 0,
        failed: 2,
        freedBytes: 0,
        usageBytes: usedPercent,
        capacityBytes: 100,
      },
    },
  };
}

const codes = (problems: readonly Problem[]): [string, string][] =>
  problems.map(({ level, code }) => [level, code]);

describe("what needs a look", () => {
  it("is nothing while all is well, and then the level is ok", () => {
    expect(
      problemsOf(status(), [volume("a", "ok"), volume("b", "undeclared"), volume("c", "over-high-mark")]),
    ).toEqual([]);
    expect(levelOf([])).toBe("ok");
  });

  it("has the worst first and is as bad as that", () => {
    const problems = problemsOf(
      status({ prometheus: { state: "unreachable", problem: "Prometheus can't be asked", readAt: null } }),
      [volume("a", "never-swept"), volume("b", "sweep-late")],
    );
    expect(codes(problems)).toEqual([
      ["failing", "sweep-late"],
      ["attention", "prometheus-unreachable"],
      ["attention", "never-swept"],
    ]);
    expect([levelOf(problems), levelOf(problems.slice(1))]).toEqual(["failing", "attention"]);
  });

  it("names one volume and counts several, the fullest of them by name", () => {
    const said = (...volumes: Volume[]): string =>
      problemsOf(status(), volumes)[0]!.message.replaceAll("\u00a0", " ");
    expect(said(volume("a", "sweep-failed"))).toBe("a: the last sweep could not deal with 2 jobs");
    expect(said(volume("a", "sweep-late"))).toBe("a: no sweep has ended since 1 h ago");
    expect(said(volume("a", "still-full", 91))).toBe(
      "a: the last sweep left it 91 % full, over its high mark: nothing more may go there",
    );
    expect(said(volume("a", "still-full", 91), volume("b", "still-full", 95))).toBe(
      "2 volumes that their last sweep left over the high mark: nothing more may go there, among them b",
    );
  });

  it("says that the catalogue is away and how old is what is shown", () => {
    const away = { state: "unreachable", problem: "the catalogue can't be reached" } as const;
    const readAt = "2026-03-04T04:58:00.000Z";
    const said = problemsOf(status({ catalogue: { ...away, readAt } }), []);
    expect(said.map(({ level, message }) => [level, message.replaceAll("\u00a0", " ")])).toEqual([
      ["failing", "the catalogue can't be reached; what is shown is from 2 min ago"],
    ]);
    expect(problemsOf(status({ catalogue: { ...away, readAt: null } }), [])[0]!.message).toBe(
      "the catalogue can't be reached; nothing of it is known yet",
    );
    expect(
      codes(problemsOf(status({ catalogue: { state: "waiting", problem: null, readAt: null } }), [])),
    ).toEqual([["attention", "catalogue-waiting"]]);
    expect(problemsOf(status({ catalogue: { state: "waiting", problem: null, readAt } }), [])).toEqual([]);
  });

  it("says what is wrong with the audit", () => {
    const audit = (change: Partial<Status["audit"]>): [string, string][] =>
      codes(problemsOf(status({ audit: { ...status().audit, ...change } }), []));
    const broken = {
      ...INTACT,
      state: "broken",
      problemsFound: 1,
      problems: [{ volume: "a", sequence: 3, problem: "is missing" }],
    } as const;
    expect(audit({ verification: broken })).toEqual([["failing", "audit-broken"]]);
    expect(audit({ verification: { ...NOT_VERIFIED, state: "failed", failure: "no answer" } })).toEqual([
      ["failing", "audit-unverified"],
    ]);
    expect(audit({ open: 1, oldestOpenSeconds: 3600 })).toEqual([]);
    expect(audit({ open: 1, oldestOpenSeconds: 3601 })).toEqual([["attention", "audit-open"]]);
    expect(audit({ verification: NOT_VERIFIED })).toEqual([]);
  });

  it("has every alert that fires, by its severity, and none that is pending", () => {
    const alert = (change: Partial<Alert>): Alert => ({
      ...{
        name: "A",
        state: "firing",
        severity: "warning",
        since: AT,
        summary: "filling",
        description: "",
        runbook: null,
      },
      ...change,
    });
    const alerts = [alert({}), alert({ severity: "critical", name: "B" }), alert({ state: "pending" })];
    expect(codes(problemsOf(status({ alerts: { rules: 3, alerts } }), []))).toEqual([
      ["failing", "alert-B"],
      ["attention", "alert-A"],
    ]);
  });
});

describe("alerts of Prometheus", () => {
  const rule = (name: string, alerts: RuleGroup["rules"][number]["alerts"]): RuleGroup["rules"][number] => ({
    ...{ name, type: "alerting", alerts },
  });
  const active = (state: "firing" | "pending", labels: Record<string, string>, annotations = {}) => ({
    ...{ state, labels, annotations, activeAt: "2026-03-04T04:00:00.5Z" },
  });

  it("are those of the storage and of this environment, firing before pending, the worst first", () => {
    const groups: RuleGroup[] = [
      { name: "node", rules: [rule("Other", [active("firing", { severity: "critical" })])] },
      {
        name: "video-storage-volumes",
        rules: [
          rule("Quiet", []),
          rule("Pending", [active("pending", { severity: "critical" })]),
          rule("Filling", [
            active(
              "firing",
              { severity: "warning", environment: "test" },
              { summary: "a fills", description: "soon" },
            ),
            active("firing", { severity: "warning", environment: "production" }),
          ]),
          rule("Full", [
            active("firing", { severity: "critical" }, { runbook_url: "https://runbooks.example/full" }),
          ]),
        ],
      },
    ];
    const { rules, alerts } = alertsOf(groups, "test");
    expect(rules).toBe(4);
    expect(
      alerts.map(({ name, state, severity, summary, runbook }) => [name, state, severity, summary, runbook]),
    ).toEqual([
      ["Full", "firing", "critical", "Full", "https://runbooks.example/full"],
      ["Filling", "firing", "warning", "a fills", null],
      ["Pending", "pending", "critical", "Pending", null],
    ]);
    expect(alerts[1]!.since).toBe("2026-03-04T04:00:00.500Z");
  });

  it("lead only to the web", () => {
    const runbookOf = (address: string): string | null =>
      alertsOf(
        [{ name: "video-storage", rules: [rule("A", [active("firing", {}, { runbook_url: address })])] }],
        "test",
      ).alerts[0]!.runbook;
    expect(
      ["javascript:alert(1)", "data:text/html,x", "docs/runbooks.md", "http://h/x"].map(runbookOf),
    ).toEqual([...[null, null, null, "http://h/x"]]);
  });
});
