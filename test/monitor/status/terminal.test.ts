import { describe, expect, it } from "vitest";
import { NOT_VERIFIED } from "@video-storage/monitor/status/audit";
import { jobsPart } from "@video-storage/monitor/status/jobs";
import type { ShownVolume, Status, Sweep } from "@video-storage/monitor/status/model";
import { formatStatus } from "@video-storage/monitor/status/terminal";
import type { TenantId } from "@video-storage/contract/identity";

const AT = "2026-03-04T05:00:00.000Z";
const JOB = "01a20478-d67f-7000-8000-0123456789ab";
const MIB = 2 ** 20;

const SWEEP: Sweep = {
  ...{
    volume: "node-0-slot-0",
    startedAt: "2026-03-04T04:58:58.000Z",
    finishedAt: "2026-03-04T04:59:00.000Z",
  },
  ...{ result: "ok", deleted: 2, tiered: 1, kept: 1200, failed: 0, freedBytes: 5 * MIB, actor: "sweep-pod" },
  ...{ usageBytes: 40 * MIB, capacityBytes: 64 * MIB },
};

const VOLUME: ShownVolume = {
  ...{ name: "node-0-slot-0", node: "node-0", tenant: null, capacityBytes: 64 * MIB, usedBytes: 40 * MIB },
  ...{ usedPercent: 62.5, inodesUsedPercent: null, measuredBy: "sweep", measuredAt: AT, condition: "ok" },
  ...{ lastSweep: SWEEP, unfinishedSince: null },
  usage: [
    [Date.parse(AT) / 1000 - 3600, 40 * MIB],
    [Date.parse(AT) / 1000 - 60, 20 * MIB],
  ],
};

const WELL = { state: "ok", problem: null, readAt: AT } as const;

const STATUS: Status = {
  ...{ statusVersion: 1, environment: "test", at: AT, level: "failing", catalogue: WELL, prometheus: WELL },
  problems: [
    {
      level: "failing",
      code: "alert-Full",
      message: "node-0-slot-1 has less than 10 % left, and workers are refused",
      part: "alerts",
    },
  ],
  volumes: {
    ...{
      total: 2,
      usedBytes: 40 * MIB,
      capacityBytes: 128 * MIB,
      conditions: { ok: 1, "never-swept": 1 },
      hours: 24,
    },
    ...{ highWaterPercent: 85, search: "", sort: "fullness", matching: 2, page: 1, pageSize: 25 },
    shown: [
      VOLUME,
      {
        ...{
          ...VOLUME,
          name: "node-0-slot-1",
          usedBytes: null,
          usedPercent: null,
          lastSweep: null,
          usage: [],
        },
        condition: "never-swept",
      },
    ],
  },
  next: {
    ...{ schedule: "*/5 * * * *", rulesFrom: "contract", due: [], silent: 1, pressed: [] },
    totals: { delete: { jobs: 1, bytes: 3 * MIB }, tier: { jobs: 0, bytes: 0 } },
    jobs: [
      {
        ...{
          job: JOB,
          tenant: "acme",
          volume: "node-0-slot-0",
          state: "uploaded",
          bytes: 3 * MIB,
          action: "delete",
        },
        ...{ code: "uploaded-expired", reason: "uploaded for 61s, allowed are 30s" },
      },
    ],
  },
  jobs: jobsPart([
    { tenantId: "acme" as TenantId, location: "local", state: "uploaded", jobs: 1, bytes: 3 * MIB },
    { tenantId: "acme" as TenantId, location: "object", state: "completed", jobs: 2, bytes: MIB },
    { tenantId: "globex" as TenantId, location: "local", state: "active", jobs: 1234, bytes: 0 },
  ]),
  sweeps: [
    SWEEP,
    { ...SWEEP, finishedAt: null, result: "unfinished", deleted: 0, tiered: 0, kept: 0, freedBytes: 0 },
  ],
  audit: {
    verification: { ...NOT_VERIFIED, state: "intact", entries: 2, chains: 1, finishedAt: AT, seconds: 0.2 },
    recent: [
      {
        ...{
          at: AT,
          volume: "node-0-slot-0",
          sequence: 2,
          tenant: "acme",
          job: JOB,
          phase: "outcome",
          action: "delete",
        },
        ...{
          reason: "uploaded for 61s,\u001b[2J allowed are 30s",
          bytes: 3 * MIB,
          files: 2,
          actor: "sweep-pod",
        },
      },
    ],
    ...{ open: 0, oldestOpenSeconds: 0 },
  },
  alerts: {
    rules: 3,
    alerts: [
      {
        ...{ name: "Full", state: "firing", severity: "critical", since: "2026-03-04T04:50:00.000Z" },
        ...{ summary: "node-0-slot-1 has less than 10 % left", description: "", runbook: null },
      },
    ],
  },
};

const plain = (status: Status, width: number): string[] =>
  formatStatus(status, { width, colour: false }).replaceAll("\u00a0", " ").split("\n");

describe("the status in a terminal", () => {
  it("says everything in aligned columns", () => {
    expect(plain(STATUS, 120)).toEqual([
      "Video storage · test  ✕ failing  2026-03-04 05:00:00 UTC",
      "✕ node-0-slot-1 has less than 10 % left, and workers are refused",
      "",
      "VOLUMES  2, 40.0 MiB of 128 MiB in use",
      "  VOLUME         USE                       USED      SIZE  LAST 24 H                 SWEPT      CONDITION",
      "  node-0-slot-0  ██████░░░░  63 %      40.0 MiB  64.0 MiB                         ▆  1 min ago  ok",
      "  node-0-slot-1                    not measured  64.0 MiB                            never      never swept",
      "",
      "NEXT SWEEP  deletes 1 job (3.00 MiB), asks about 1 silent worker  (schedule */5 * * * *)",
      "  JOB                                   TENANT  VOLUME         IT IS TO      SIZE  WHY",
      `  ${JOB}  acme    node-0-slot-0  delete    3.00 MiB  uploaded for 61s, allowed are 30s`,
      "  by the contract alone: tenants' own times and pressure need --cleanup-config",
      "",
      "JOBS  1 237, 4.00 MiB",
      "  TENANT  ACTIVE  UPLOADED  IN OBJECT STORAGE     BYTES",
      "  acme         ·         1                  2  4.00 MiB",
      "  globex   1 234         ·                  ·       0 B",
      "",
      "LAST SWEEPS",
      "  BEGAN          VOLUME         RESULT   DELETED  MOVED   KEPT  FAILED     FREED  TOOK",
      "  1 min 2 s ago  node-0-slot-0  ok             2      1  1 200       ·  5.00 MiB   2 s",
      "  1 min 2 s ago  node-0-slot-0  at work        ·      ·      ·       ·       0 B",
      "",
      "AUDIT  ✓ every chain whole: 2 rows in 1 chain, proven in 1 s",
      "  WHEN  ROW              TENANT  JOB                     WHAT               FREED  WHY",
      "  now   node-0-slot-0 2  acme    01a20478-d67f-7000-80…  delete outcome  3.00 MiB  uploaded for 61s,\uFFFD[2J allowed are 30s",
      "",
      "ALERTS  1 firing",
      "  STATE   SEVERITY  ALERT  SINCE       WHAT",
      "  firing  critical  Full   10 min ago  node-0-slot-1 has less than 10 % left",
      "",
    ]);
  });

  it("fits 80 characters", () => {
    const lines = plain(STATUS, 80);
    const tables = lines.filter((line) => line.startsWith("  ") && !line.includes("contract alone"));
    expect(tables.filter((line) => [...line].length > 80)).toEqual([]);
    expect(lines.slice(4, 7)).toEqual([
      "  VOLUME         USE                   SIZE  SWEPT      CONDITION",
      "  node-0-slot-0  ██████░░░░  63 %  64.0 MiB  1 min ago  ok",
      "  node-0-slot-1                    64.0 MiB  never      never swept",
    ]);
  });

  it("colours only when it is asked to, and says the same then", () => {
    const coloured = formatStatus(STATUS, { width: 120, colour: true });
    expect(coloured).toContain("\u001b[31m✕ failing\u001b[0m");
    const bare = coloured.replaceAll(/\u001b\[\d+m/g, "");
    expect(bare).toBe(formatStatus(STATUS, { width: 120, colour: false }));
    expect(formatStatus(STATUS, { width: 120, colour: false })).not.toContain("\u001b");
  });

  it("says what isn't known, and why", () => {
    const away = { state: "unreachable", problem: "the catalogue can't be reached", readAt: null } as const;
    const nothing = {
      ...STATUS,
      ...{ catalogue: away, prometheus: { state: "not-configured", problem: null, readAt: null } as const },
      ...{ problems: [], volumes: null, next: null, jobs: null, sweeps: null, alerts: null },
      audit: {
        verification: { ...NOT_VERIFIED, state: "failed", failure: "no answer" } as const,
        recent: null,
        open: 0,
        oldestOpenSeconds: 0,
      },
    };
    expect(plain(nothing, 80).filter((line) => line !== "")).toEqual([
      "Video storage · test  ✕ failing  2026-03-04 05:00:00 UTC",
      "VOLUMES  not known: the catalogue can't be reached",
      "NEXT SWEEP  not known: the catalogue can't be reached",
      "JOBS  not known: the catalogue can't be reached",
      "LAST SWEEPS  not known: the catalogue can't be reached",
      "AUDIT  could not be verified: no answer",
      "ALERTS  not known: no --prometheus was given",
    ]);
  });
});
