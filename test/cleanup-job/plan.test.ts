import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import { JOB_STATES } from "@video-storage/contract/states";
import type { PressurePolicy } from "@video-storage/contract/cleanup-config";
import type { JobState } from "@video-storage/contract/states";
import { decide } from "@video-storage/contract/plan";
import type { CatalogueFacts, JobFacts, PodLiveness, Rules } from "@video-storage/contract/plan";

const RULES: Rules = {
  retention: {
    uploadedSeconds: 100,
    completedSeconds: 200,
    failedSeconds: 300,
    abandonedSeconds: 400,
    trashSeconds: 500,
    stagedSeconds: 600,
    orphanedSeconds: 700,
    completedAction: "tier",
  },
  heartbeatTimeoutSeconds: 50,
  checkPods: true,
  hasObjectStorage: true,
};
const TENANT = parseTenantId("acme");
const JOB = newJobId();

interface Case {
  readonly state?: JobState;
  readonly record?: JobState;
  readonly age?: number;
  readonly heartbeat?: number;
  readonly pod?: PodLiveness;
  readonly lease?: boolean;
  readonly location?: CatalogueFacts["location"];
  readonly rules?: Partial<Omit<Rules, "retention">> & { readonly retention?: Partial<Rules["retention"]> };
}

function rules(changes: Case["rules"] = {}): Rules {
  return { ...RULES, ...changes, retention: { ...RULES.retention, ...changes.retention } };
}

function facts(c: Case): JobFacts {
  const state = c.state ?? "active";
  return {
    jobId: JOB,
    record: { readable: true, tenantId: TENANT, state: c.record ?? state },
    catalogue: {
      tenantId: TENANT,
      state,
      stateAgeSeconds: c.age ?? 0,
      heartbeatAgeSeconds: c.heartbeat ?? 0,
      location: c.location ?? "local",
    },
    leaseHeld: c.lease ?? false,
    pod: c.pod,
  };
}

const CASES: [string, Case, string, string][] = [
  ["uploaded, one second short", { state: "uploaded", age: 99 }, "keep", "uploaded-young"],
  ["uploaded, a moment short", { state: "uploaded", age: 99.999 }, "keep", "uploaded-young"],
  ["uploaded, exactly due", { state: "uploaded", age: 100 }, "delete", "uploaded-expired"],
  [
    "uploaded, at once",
    { state: "uploaded", age: 0, rules: { retention: { uploadedSeconds: 0 } } },
    "delete",
    "uploaded-expired",
  ],
  ["uploaded, in the future", { state: "uploaded", age: -1 }, "keep", "future-timestamp"],
  [
    "uploaded, far in the future, no time to live",
    { state: "uploaded", age: -1e9, rules: { retention: { uploadedSeconds: 0 } } },
    "keep",
    "future-timestamp",
  ],
  ["uploaded, due, lease held", { state: "uploaded", age: 1e6, lease: true }, "keep", "lease-held"],
  ["failed, one second short", { state: "failed", age: 299 }, "keep", "failed-young"],
  ["failed, exactly due", { state: "failed", age: 300 }, "delete", "failed-expired"],
  ["failed, in the future", { state: "failed", age: -0.001 }, "keep", "future-timestamp"],
  ["completed, one second short", { state: "completed", age: 199 }, "keep", "completed-young"],
  ["completed, exactly due", { state: "completed", age: 200 }, "tier", "completed-expired"],
  [
    "completed, to be deleted",
    { state: "completed", age: 200, rules: { retention: { completedAction: "delete" } } },
    "delete",
    "completed-expired",
  ],
  [
    "completed, to be kept",
    { state: "completed", age: 1e9, rules: { retention: { completedAction: "keep" } } },
    "keep",
    "completed-kept",
  ],
  [
    "completed, no object storage",
    { state: "completed", age: 200, rules: { hasObjectStorage: false } },
    "report",
    "no-object-storage",
  ],
  ["completed, in the future", { state: "completed", age: -5 }, "keep", "future-timestamp"],
  ["active, heartbeat exactly at the time-out", { heartbeat: 50, pod: "dead" }, "keep", "heartbeat-fresh"],
  ["active, heartbeat lost, pod dead", { heartbeat: 51, pod: "dead" }, "abandon", "heartbeat-lost"],
  ["active, heartbeat lost, pod alive", { heartbeat: 1e9, pod: "alive" }, "keep", "pod-alive"],
  ["active, heartbeat lost, pod unknown", { heartbeat: 1e9, pod: "unknown" }, "keep", "pod-unknown"],
  ["active, heartbeat lost, pod not asked about", { heartbeat: 1e9 }, "keep", "pod-unknown"],
  [
    "active, heartbeat lost, pods don't count",
    { heartbeat: 51, pod: "alive", rules: { checkPods: false } },
    "abandon",
    "heartbeat-lost",
  ],
  ["active, heartbeat lost, lease held", { heartbeat: 1e9, pod: "dead", lease: true }, "keep", "lease-held"],
  ["active, heartbeat in the future", { heartbeat: -1, pod: "dead" }, "keep", "future-timestamp"],
  [
    "abandoned, one second short",
    { state: "abandoned", record: "active", age: 1e9, heartbeat: 399 },
    "keep",
    "abandoned-young",
  ],
  [
    "abandoned, exactly due",
    { state: "abandoned", record: "active", age: 0, heartbeat: 400 },
    "delete",
    "abandoned-expired",
  ],
  [
    "abandoned, heartbeat in the future",
    { state: "abandoned", record: "active", heartbeat: -1 },
    "keep",
    "future-timestamp",
  ],
  [
    "record ahead of the catalogue",
    { state: "active", record: "completed", age: 1e9, heartbeat: 1e9, pod: "dead" },
    "keep",
    "not-replayed",
  ],
  [
    "catalogue ahead: uploaded",
    { state: "uploaded", record: "completed", age: 100 },
    "delete",
    "uploaded-expired",
  ],
  ["contradiction with active", { state: "failed", record: "active", age: 1e9 }, "report", "contradiction"],
  [
    "contradiction, the later deletion counts: short",
    { state: "uploaded", record: "failed", age: 299 },
    "keep",
    "failed-young",
  ],
  [
    "contradiction, the later deletion counts: due",
    { state: "uploaded", record: "failed", age: 300 },
    "delete",
    "failed-expired",
  ],
];

describe("decide", () => {
  it.each(CASES)("%s", (_name, c, action, code) => {
    const decision = decide(facts(c), rules(c.rules));
    expect({ action: decision.action, code: decision.code }).toEqual({ action, code });
  });

  it("says when and why", () => {
    expect(decide(facts({ state: "uploaded", age: 40 }), RULES)).toEqual({
      action: "keep",
      code: "uploaded-young",
      reason: "uploaded for 40s of 100s",
      state: "uploaded",
      contradiction: false,
      dueInSeconds: 60,
    });
    expect(decide(facts({ state: "failed", age: 7200 }), RULES)).toEqual({
      action: "delete",
      code: "failed-expired",
      reason: "failed for 2h, allowed are 5m",
      state: "failed",
      contradiction: false,
    });
    expect(decide(facts({ heartbeat: 60, pod: "dead" }), RULES).reason).toBe(
      "its last heartbeat was 1m ago (allowed 50s), nobody holds its lock and its pod is gone",
    );
    expect(decide(facts({ state: "uploaded", record: "failed", age: 0 }), RULES).contradiction).toBe(true);
  });

  it("reports what one side doesn't know, and deletes none of it", () => {
    const known = facts({ state: "uploaded", age: 1e9 });
    const unreadable = { readable: false, problem: "EIO" } as const;
    const otherTenant = { readable: true, tenantId: parseTenantId("other"), state: "uploaded" } as const;
    const code = (f: JobFacts): string => {
      const decision = decide(f, RULES);
      return `${decision.action} ${decision.code}`;
    };
    expect(code({ ...known, catalogue: undefined })).toBe("report not-in-catalogue");
    expect(code({ ...known, catalogue: undefined, record: unreadable })).toBe("report not-in-catalogue");
    expect(code({ ...known, record: otherTenant })).toBe("report tenant-mismatch");
    expect(code({ ...known, record: undefined })).toBe("report directory-missing");
    expect(code({ ...facts({ location: "object" }), record: undefined })).toBe("keep not-local");
    expect(code({ ...known, record: undefined, catalogue: undefined })).toBe("keep unknown");
    // The catalogue alone suffices for a finished job: its worker can't undo that by spoiling the record.
    expect(code({ ...known, record: unreadable })).toBe("delete uploaded-expired");
    expect(code({ ...facts({ heartbeat: 10 }), record: unreadable })).toBe("keep heartbeat-fresh");
  });

  describe("under pressure", () => {
    const pressure = {
      bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
      inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
      unuploaded: "keep",
      floor: { seconds: 0, bytes: 0 },
      tenantFloors: {},
    } as const;
    const under = (c: Case, policy: Partial<PressurePolicy> = {}): string => {
      const decision = decide(
        { ...facts(c), pressure: "90.0% of the bytes are in use" },
        { ...rules(c.rules), pressure: { ...pressure, ...policy } },
      );
      return `${decision.action} ${decision.code}`;
    };
    it("finished jobs go before their time", () => {
      expect(under({ state: "uploaded", age: 1 })).toBe("delete uploaded-evicted");
      expect(under({ state: "failed", age: 1 })).toBe("delete failed-evicted");
      expect(under({ state: "abandoned", record: "active", heartbeat: 60 })).toBe("delete abandoned-evicted");
      expect(under({ state: "uploaded", age: 100 })).toBe("delete uploaded-expired");
      expect(
        decide(
          { ...facts({ state: "uploaded", age: 60 }), pressure: "90.0% of the bytes are in use" },
          RULES,
        ),
      ).toEqual({
        action: "delete",
        code: "uploaded-evicted",
        reason: "90.0% of the bytes are in use; it is among the longest unused, uploaded for 1m",
        state: "uploaded",
        contradiction: false,
      });
    });
    it("what nobody uploaded goes only as the policy says", () => {
      const completed: Case = { state: "completed", age: 1 };
      expect(under(completed)).toBe("keep completed-young");
      expect(under(completed, { unuploaded: "tier" })).toBe("tier completed-evicted");
      expect(under(completed, { unuploaded: "delete" })).toBe("delete completed-evicted");
      const nowhere = { hasObjectStorage: false, retention: { completedAction: "delete" } } as const;
      expect(under({ ...completed, rules: nowhere }, { unuploaded: "tier" })).toBe("keep completed-young");
      const kept: Case = { ...completed, rules: { retention: { completedAction: "keep" } } };
      expect(under(kept)).toBe("keep completed-kept");
      expect(under(kept, { unuploaded: "delete" })).toBe("delete completed-evicted");
    });
    it("a tenant's floor holds", () => {
      const floors = { floor: { seconds: 10, bytes: 0 }, tenantFloors: { acme: { seconds: 20 } } };
      expect(under({ state: "failed", age: 19 }, floors)).toBe("keep failed-young");
      expect(under({ state: "failed", age: 20 }, floors)).toBe("delete failed-evicted");
      expect(
        under({ state: "failed", age: 10 }, { ...floors, tenantFloors: { globex: { seconds: 20 } } }),
      ).toBe("delete failed-evicted");
    });
    it.each([
      ["active", { heartbeat: 1 }, "keep heartbeat-fresh"],
      ["active without a pod", { heartbeat: 60, pod: "dead" }, "abandon heartbeat-lost"],
      ["held", { state: "uploaded", age: 1, lease: true }, "keep lease-held"],
      ["in the future", { state: "uploaded", age: -1 }, "keep future-timestamp"],
      ["active by its record", { state: "failed", record: "active", age: 1 }, "report contradiction"],
      ["not known to the catalogue as finished", { state: "active", record: "failed" }, "keep not-replayed"],
    ] as const)("a job that is %s stays, whatever the policy", (_what, c, expected) => {
      expect(under(c, { unuploaded: "delete" })).toBe(expected);
    });
  });

  it("takes a tenant's own times where it has some", () => {
    const own = (tenant: string): Rules => ({
      ...RULES,
      tenantRetention: {
        limits: {},
        overrides: { [tenant]: { uploadedSeconds: 10, completedAction: "keep" } },
      },
    });
    const uploaded = facts({ state: "uploaded", age: 10 });
    expect(decide(uploaded, own("acme")).code).toBe("uploaded-expired");
    expect(decide(uploaded, own("globex")).code).toBe("uploaded-young");
    const completed = facts({ state: "completed", age: 1e6 });
    expect(decide(completed, own("acme")).code).toBe("completed-kept");
    expect(decide(completed, own("globex")).code).toBe("completed-expired");
  });

  it("never acts on a held lease, a future time, or a job that either side calls active", () => {
    const age = fc.double({ min: -1e9, max: 1e9, noNaN: true });
    const check = fc.check(
      fc.property(
        fc.record({
          state: fc.constantFrom(...JOB_STATES),
          record: fc.constantFrom(...JOB_STATES),
          age,
          heartbeat: age,
          pod: fc.constantFrom("alive", "dead", "unknown", undefined),
          lease: fc.boolean(),
          completedAction: fc.constantFrom("tier", "delete", "keep"),
          hasObjectStorage: fc.boolean(),
          pressure: fc.constantFrom("full", undefined),
          unuploaded: fc.constantFrom("keep", "tier", "delete"),
        }),
        ({ completedAction, hasObjectStorage, pod, pressure, unuploaded, ...c }) => {
          const marks = { highWaterPercent: 2, lowWaterPercent: 1 };
          const floor = { seconds: 0, bytes: 0 };
          const policy = { bytes: marks, inodes: marks, unuploaded, floor, tenantFloors: {} };
          const decision = decide(
            { ...facts({ ...c, ...(pod && { pod }) }), pressure },
            rules({ hasObjectStorage, retention: { completedAction }, pressure: policy }),
          );
          const acts = ["delete", "tier", "abandon"].includes(decision.action);
          if (!acts) return true;
          if (c.lease) return false;
          const byHeartbeat = decision.state === "active" || decision.state === "abandoned";
          if ((byHeartbeat ? c.heartbeat : c.age) < 0) return false;
          if (decision.action === "abandon")
            return c.state === "active" && c.record === "active" && pod === "dead";
          // Only the catalogue's own abandonment overrules a record that says active.
          return c.state !== "active" && (c.record !== "active" || c.state === "abandoned");
        },
      ),
      { numRuns: 5000 },
    );
    expect(check.counterexample).toBeNull();
  });
});
