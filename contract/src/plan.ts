import { floorOf, retentionOf } from "./cleanup-config.js";
import type { CleanupConfig, PressurePolicy } from "./cleanup-config.js";
import { formatDuration } from "./durations.js";
import type { JobId, TenantId } from "./identity.js";
import type { Retention } from "./schemas.js";
import { reconcile } from "./states.js";
import type { JobState } from "./states.js";

/** What Kubernetes says about the pod that owns a job; `unknown` when it didn't answer. */
export type PodLiveness = "alive" | "dead" | "unknown";

/** A job as the catalogue has it. Ages are in seconds by the database's clock; negative is in the future. */
export interface CatalogueFacts {
  readonly tenantId: TenantId;
  readonly state: JobState;
  readonly stateAgeSeconds: number;
  readonly heartbeatAgeSeconds: number;
  readonly location: "local" | "object" | "none";
}

/** A job as its own `metadata.json` has it. */
export type RecordFacts =
  | { readonly readable: true; readonly tenantId: TenantId; readonly state: JobState }
  | { readonly readable: false; readonly problem: string };

/** All that is known about one job when the sweep decides about it. */
export interface JobFacts {
  readonly jobId: JobId;
  /** Undefined when the volume has no directory of that name. */
  readonly record: RecordFacts | undefined;
  /** Undefined when the catalogue has no such job. */
  readonly catalogue: CatalogueFacts | undefined;
  readonly leaseHeld: boolean;
  /** Undefined when nobody has asked yet: asking is only needed for a job that nothing else keeps. */
  readonly pod: PodLiveness | undefined;
  /** Why room is needed, such as "87.2% of the bytes are in use, …"; undefined when the volume isn't under pressure. */
  readonly pressure?: string | undefined;
}

export type Action = "keep" | "delete" | "tier" | "abandon" | "report";

/** What to do with a job, and why. */
export interface Decision {
  readonly action: Action;
  /** For programs: stays the same from release to release. */
  readonly code: string;
  /** For people and for the audit. */
  readonly reason: string;
  /** The state that counted, where one was found. */
  readonly state?: JobState;
  /** Catalogue and record contradict each other; the reading that deletes later has counted. */
  readonly contradiction: boolean;
  /** Seconds until the decision would change of itself, where that is known. */
  readonly dueInSeconds?: number;
}

export type Rules = Pick<CleanupConfig, "retention" | "heartbeatTimeoutSeconds" | "checkPods"> & {
  readonly hasObjectStorage: boolean;
  /** Default: no tenant has times of its own. */
  readonly tenantRetention?: CleanupConfig["tenantRetention"];
  /** Default: what nobody uploaded is kept, and nothing else has a floor. */
  readonly pressure?: PressurePolicy;
};

/** The rules of a configuration. */
export function rulesOf(config: CleanupConfig): Rules {
  const { retention, tenantRetention, pressure, heartbeatTimeoutSeconds, checkPods, objectStorage } = config;
  const hasObjectStorage = objectStorage !== null;
  return { retention, tenantRetention, pressure, heartbeatTimeoutSeconds, checkPods, hasObjectStorage };
}

/** The times and the action that count for one tenant's jobs. */
export function retentionFor({ retention, tenantRetention }: Rules, tenantId: TenantId): Retention {
  return tenantRetention ? retentionOf({ retention, tenantRetention }, tenantId) : retention;
}

/**
 * Decides about one job. A time to live has run out when the age has reached it; a heartbeat is lost when
 * its age exceeds the time-out. Whatever isn't known keeps the job.
 */
export function decide(facts: JobFacts, rules: Rules): Decision {
  const { record, catalogue } = facts;
  if (!record) return withoutDirectory(catalogue);
  if (facts.leaseHeld) return keep("lease-held", "a worker or uploader holds the lock on its directory");
  if (!catalogue) {
    return report(
      "not-in-catalogue",
      record.readable
        ? "the catalogue doesn't know it, and its record doesn't prove whose it is"
        : `the catalogue doesn't know it and its record can't be read: ${record.problem}`,
    );
  }
  if (record.readable && record.tenantId !== catalogue.tenantId) {
    return report("tenant-mismatch", "its record names another tenant than the catalogue does");
  }
  const { state, contradiction } = record.readable
    ? reconcile(record.state, catalogue.state)
    : { state: catalogue.state, contradiction: false };
  if (state !== catalogue.state && !contradiction) {
    return {
      ...keep("not-replayed", `its record says ${state} and the catalogue doesn't yet know since when`),
      state,
    };
  }
  if (contradiction && state === "active") {
    return {
      ...report(
        "contradiction",
        `its record and the catalogue contradict each other, and one of them says active`,
      ),
      state,
      contradiction,
    };
  }
  const verdict = byState(state, catalogue, facts.pod, rules);
  const evicted =
    facts.pressure === undefined ? undefined : eviction(state, catalogue, verdict, facts.pressure, rules);
  return { ...(evicted ?? verdict), state, contradiction };
}

/** Codes of what is only kept because its time hasn't come. */
const WAITING = new Set([
  "handed-over-young",
  "quarantined-young",
  "uploaded-young",
  "failed-young",
  "abandoned-young",
  "completed-young",
  "completed-kept",
]);

/**
 * What goes before its time because the volume is full: finished jobs that are older than their tenant's floor, and
 * those that nobody uploaded only when the policy says so. Never an active one, whatever the policy.
 */
function eviction(
  state: JobState,
  catalogue: CatalogueFacts,
  verdict: Verdict,
  pressure: string,
  rules: Rules,
): Verdict | undefined {
  if (!WAITING.has(verdict.code)) return undefined;
  const unuploaded = rules.pressure?.unuploaded ?? "keep";
  if (state === "completed" && unuploaded === "keep") return undefined;
  // What was handed over lies in object storage already.
  const action = state === "completed" ? unuploaded : state === "handed-over" ? "tier" : "delete";
  if (action === "keep" || (action === "tier" && !rules.hasObjectStorage)) return undefined;
  const floor = rules.pressure ? floorOf(rules.pressure, catalogue.tenantId).seconds : 0;
  const age = state === "abandoned" ? catalogue.heartbeatAgeSeconds : catalogue.stateAgeSeconds;
  if (age < floor) return undefined;
  return {
    action,
    code: `${state}-evicted`,
    reason: `${pressure}; it is among the longest unused, ${state} for ${shown(age)}`,
    contradiction: false,
  };
}

type Verdict = Omit<Decision, "state">;

function byState(
  state: JobState,
  catalogue: CatalogueFacts,
  pod: PodLiveness | undefined,
  rules: Rules,
): Verdict {
  const retention = retentionFor(rules, catalogue.tenantId);
  switch (state) {
    case "active":
      return active(catalogue.heartbeatAgeSeconds, pod, rules);
    case "abandoned":
      return expiry("abandoned", catalogue.heartbeatAgeSeconds, retention.abandonedSeconds, "delete");
    case "uploaded":
      return expiry("uploaded", catalogue.stateAgeSeconds, retention.uploadedSeconds, "delete");
    case "failed":
      return expiry("failed", catalogue.stateAgeSeconds, retention.failedSeconds, "delete");
    // Its worker found, or the uploader told, that a file of it is infected: it goes nowhere but away.
    case "quarantined":
      return expiry("quarantined", catalogue.stateAgeSeconds, retention.failedSeconds, "delete");
    case "handed-over":
      return handedOver(catalogue, rules);
    case "completed":
      return completed(catalogue, rules);
  }
}

function active(age: number, pod: PodLiveness | undefined, rules: Rules): Verdict {
  const timeout = rules.heartbeatTimeoutSeconds;
  if (age < 0) return future("heartbeat", age);
  if (age <= timeout) {
    return {
      ...keep("heartbeat-fresh", `it is active; its last heartbeat was ${ago(age)}`),
      dueInSeconds: timeout - age,
    };
  }
  if (rules.checkPods && pod === "alive") return keep("pod-alive", "it is active and its pod still runs");
  if (rules.checkPods && pod !== "dead") {
    return keep("pod-unknown", "it is active, and Kubernetes didn't say whether its pod still runs");
  }
  return {
    action: "abandon",
    code: "heartbeat-lost",
    reason: `its last heartbeat was ${ago(age)} (allowed ${shown(timeout)}), nobody holds its lock${
      rules.checkPods ? " and its pod is gone" : ""
    }`,
    contradiction: false,
  };
}

function completed(catalogue: CatalogueFacts, rules: Rules): Verdict {
  const { completedAction, completedSeconds } = retentionFor(rules, catalogue.tenantId);
  if (completedAction === "keep") {
    return keep("completed-kept", "it is completed but not uploaded, and such jobs are kept");
  }
  if (completedAction === "tier" && !rules.hasObjectStorage) {
    return report("no-object-storage", "it is to be moved to object storage, and none is configured");
  }
  return expiry("completed", catalogue.stateAgeSeconds, completedSeconds, completedAction);
}

/** Its files are in object storage already: moving it there verifies that, and frees the volume. */
function handedOver(catalogue: CatalogueFacts, rules: Rules): Verdict {
  if (!rules.hasObjectStorage) {
    return report("no-object-storage", "it was handed over through object storage, and none is configured");
  }
  const { uploadedSeconds } = retentionFor(rules, catalogue.tenantId);
  return expiry("handed-over", catalogue.stateAgeSeconds, uploadedSeconds, "tier");
}

function expiry(state: JobState, age: number, ttl: number, action: "delete" | "tier"): Verdict {
  if (age < 0) return future("change of state", age);
  const since = state === "abandoned" ? "without a heartbeat for" : `${state} for`;
  if (age < ttl) {
    return {
      ...keep(`${state}-young`, `${since} ${shown(age)} of ${shown(ttl)}`),
      dueInSeconds: ttl - age,
    };
  }
  return {
    action,
    code: `${state}-expired`,
    reason: `${since} ${shown(age)}, allowed are ${shown(ttl)}`,
    contradiction: false,
  };
}

function withoutDirectory(catalogue: CatalogueFacts | undefined): Decision {
  if (!catalogue) return keep("unknown", "neither the volume nor the catalogue has such a job");
  if (catalogue.location === "local") {
    return report("directory-missing", "the catalogue has it on this volume, and no directory is there");
  }
  return keep("not-local", "nothing of it is on this volume any more");
}

function future(what: string, age: number): Verdict {
  return keep("future-timestamp", `its last ${what} lies ${shown(-age)} in the future: a clock is wrong`);
}

function keep(code: string, reason: string): Decision {
  return { action: "keep", code, reason, contradiction: false };
}

function report(code: string, reason: string): Decision {
  return { action: "report", code, reason, contradiction: false };
}

function ago(seconds: number): string {
  return `${shown(seconds)} ago`;
}

function shown(seconds: number): string {
  return formatDuration(Math.floor(seconds));
}
