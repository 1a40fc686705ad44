import { decideByRow } from "@video-storage/catalogue/decision-by-row";
import type { EligibleJobs } from "@video-storage/catalogue/statistics";
import type { AgeLimit } from "@video-storage/catalogue/status-queries";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { parseJobId } from "@video-storage/contract/identity";
import type { TenantId } from "@video-storage/contract/identity";
import { decide, retentionFor, rulesOf } from "@video-storage/contract/plan";
import type { Decision, Rules } from "@video-storage/contract/plan";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import type { StackContract } from "@video-storage/contract/stack-contract";
import type { JobState } from "@video-storage/contract/states";
import { pressureOf } from "./volumes.js";
import { NEXT_JOBS_SHOWN, PRESSED_SHOWN } from "./model.js";
import type { Amount, DueJob, NextSweepPart, Volume } from "./model.js";

/** The sweep's rules: its own settings, or as much of them as workers are told. */
export function rulesFrom(contract: StackContract, config: CleanupConfig | undefined): Rules {
  if (config) return rulesOf(config);
  const { retention, heartbeatTimeoutSeconds, objectStorage } = contract;
  return { retention, heartbeatTimeoutSeconds, checkPods: true, hasObjectStorage: objectStorage !== null };
}

/** From which ages on jobs are to be looked at, for what becomes of them by their age alone. */
export function ageLimits(tenants: readonly TenantId[], rules: Rules): AgeLimit[] {
  return tenants.flatMap((tenantId) => {
    const times = retentionFor(rules, tenantId);
    const limits: (readonly [JobState, number])[] = [
      ["uploaded", times.uploadedSeconds],
      ["handed-over", times.uploadedSeconds],
      ["failed", times.failedSeconds],
      ["quarantined", times.failedSeconds],
      ["abandoned", times.abandonedSeconds],
      ...(times.completedAction === "keep" ? [] : [["completed", times.completedSeconds] as const]),
    ];
    return limits.map(([state, seconds]) => ({ tenantId, state, seconds }));
  });
}

export interface NextSweepFacts {
  readonly schedule: string;
  readonly rules: Rules;
  readonly rulesFrom: NextSweepPart["rulesFrom"];
  readonly eligible: readonly EligibleJobs[];
  /** Longest overdue first. */
  readonly overdue: readonly CataloguedJob[];
  readonly silent: number;
  readonly volumes: readonly Volume[];
}

export function nextSweepPart(facts: NextSweepFacts): NextSweepPart {
  const { rules } = facts;
  const due = facts.eligible.map(({ tenantId, state, jobs, bytes }) => ({
    ...{ tenant: tenantId, state, jobs, bytes },
    action: fateOfOldest(tenantId, state, rules),
  }));
  const total = (action: "delete" | "tier"): Amount =>
    due
      .filter((part) => part.action === action)
      .reduce((sum, { jobs, bytes }) => ({ jobs: sum.jobs + jobs, bytes: sum.bytes + bytes }), {
        ...{ jobs: 0, bytes: 0 },
      });
  return {
    schedule: facts.schedule,
    rulesFrom: facts.rulesFrom,
    due: due.sort((a, b) => b.bytes - a.bytes || b.jobs - a.jobs),
    totals: { delete: total("delete"), tier: total("tier") },
    jobs: facts.overdue
      .map((job) => dueJob(job, decideByRow(job, rules)))
      .filter(({ action }) => action !== "keep")
      .slice(0, NEXT_JOBS_SHOWN),
    silent: facts.silent,
    pressed: pressedVolumes(facts),
  };
}

/** What happens to a job of that state that is older than any time. */
function fateOfOldest(tenantId: TenantId, state: JobState, rules: Rules): Decision["action"] {
  const age = Number.MAX_SAFE_INTEGER;
  const catalogue = {
    tenantId,
    state,
    stateAgeSeconds: age,
    heartbeatAgeSeconds: age,
    location: "local",
  } as const;
  const record = { readable: true, tenantId, state } as const;
  return decide({ jobId: SOME_JOB, record, catalogue, leaseHeld: false, pod: undefined }, rules).action;
}

const SOME_JOB = parseJobId("00000000-0000-7000-8000-000000000000");

function pressedVolumes({ volumes, rules }: NextSweepFacts): NextSweepPart["pressed"] {
  return volumes
    .map((volume) => ({ volume, reason: pressureOf(volume, rules.pressure) }))
    .filter(({ reason }) => reason !== undefined)
    .sort((a, b) => b.volume.usedPercent! - a.volume.usedPercent!)
    .slice(0, PRESSED_SHOWN)
    .map(({ volume, reason }) => ({ volume: volume.name, reason: reason! }));
}

export function dueJob(job: CataloguedJob, { action, code, reason }: Decision): DueJob {
  const { jobId, tenantId, volume, state, bytes } = job;
  return { job: jobId, tenant: tenantId, volume, state, bytes, action, code, reason };
}
