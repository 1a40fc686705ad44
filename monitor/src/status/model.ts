import type { JobLocation } from "@video-storage/catalogue/job-columns";
import type { AuditAction } from "@video-storage/catalogue/sweeping";
import type { JobState } from "@video-storage/contract/states";
import type { Action } from "@video-storage/contract/plan";

/**
 * What `monitor status --json` prints and `/api/v1/status` answers. Fields may be added within a version. Times are ISO
 * 8601 by the catalogue's clock; sizes are bytes; a part is null as long as its source has never answered.
 */
export interface Status {
  readonly statusVersion: 1;
  readonly environment: string;
  /** When this was put together. */
  readonly at: string;
  /** The worst of the problems. */
  readonly level: Level;
  /** The worst first. */
  readonly problems: readonly Problem[];
  readonly catalogue: SourceState;
  readonly prometheus: SourceState;
  readonly volumes: VolumesPart | null;
  readonly next: NextSweepPart | null;
  readonly jobs: JobsPart | null;
  readonly sweeps: readonly Sweep[] | null;
  readonly audit: AuditPart;
  readonly alerts: AlertsPart | null;
}

export type Level = "ok" | "attention" | "failing";

export interface Problem {
  readonly level: Exclude<Level, "ok">;
  /** For programs: stays the same from release to release. */
  readonly code: string;
  readonly message: string;
  /** Where more of it is to be seen. */
  readonly part: "catalogue" | "prometheus" | "volumes" | "next" | "jobs" | "sweeps" | "audit" | "alerts";
}

/** Whether what is shown of a source is what it says now. */
export interface SourceState {
  /** `waiting`: asked, and no answer yet. */
  readonly state: "ok" | "waiting" | "unreachable" | "not-configured";
  /** Why it can't be asked. */
  readonly problem: string | null;
  /** When what is shown of it was read; null if never. */
  readonly readAt: string | null;
}

export type VolumeCondition =
  /** The last sweep left it fuller than its high mark: nothing more may go there. */
  | "still-full"
  /** Filled up since; the next sweep makes room. */
  | "over-high-mark"
  | "sweep-failed"
  /** No sweep has ended there for the contract's `cleanup.overdueSeconds`, from which on an alert is pending. */
  | "sweep-late"
  | "never-swept"
  /** Swept once, and no longer one of the stack's. */
  | "undeclared"
  | "ok";

export interface Volume {
  readonly name: string;
  readonly node: string | null;
  /** The one tenant that may use it, if there is one. */
  readonly tenant: string | null;
  readonly capacityBytes: number | null;
  readonly usedBytes: number | null;
  /** 0 to 100. */
  readonly usedPercent: number | null;
  readonly inodesUsedPercent: number | null;
  /** `sweep`: as the last sweep left it. */
  readonly measuredBy: "prometheus" | "sweep" | null;
  readonly measuredAt: string | null;
  readonly condition: VolumeCondition;
  readonly lastSweep: Sweep | null;
  /** When a sweep began that has not ended; null where none is at work. */
  readonly unfinishedSince: string | null;
}

/** A volume with what it held over the last {@link VolumesPart.hours}. */
export interface ShownVolume extends Volume {
  /** Seconds of Unix time and bytes, the most of each interval. */
  readonly usage: readonly (readonly [at: number, bytes: number])[];
}

export interface VolumesPart {
  /** Of the stack, and others that were swept. */
  readonly total: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** In each condition, over all volumes. */
  readonly conditions: Readonly<Partial<Record<VolumeCondition, number>>>;
  /** From here on a sweep makes room; null where it isn't known. */
  readonly highWaterPercent: number | null;
  readonly hours: number;
  readonly search: string;
  readonly sort: VolumeSort;
  /** Found by the search. */
  readonly matching: number;
  /** From 1. */
  readonly page: number;
  readonly pageSize: number;
  readonly shown: readonly ShownVolume[];
}

export const VOLUME_SORTS = ["fullness", "name", "last-sweep"] as const;
export type VolumeSort = (typeof VOLUME_SORTS)[number];

export interface Sweep {
  readonly volume: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** `unfinished`: at work, or killed. */
  readonly result: "ok" | "partial" | "failed" | "unfinished";
  readonly deleted: number;
  readonly tiered: number;
  readonly kept: number;
  readonly failed: number;
  readonly freedBytes: number;
  readonly usageBytes: number | null;
  readonly capacityBytes: number | null;
  readonly actor: string;
}

export interface Amount {
  readonly jobs: number;
  readonly bytes: number;
}

/** By the catalogue alone: a lock, a living pod or a record that says otherwise can still keep a job. */
export interface NextSweepPart {
  readonly schedule: string;
  /** `contract`: then tenants' own times and what happens under pressure are not known. */
  readonly rulesFrom: "cleanup-config" | "contract";
  /** Of each tenant and state, what is due and would happen to it. */
  readonly due: readonly (Amount & {
    readonly tenant: string;
    readonly state: JobState;
    readonly action: Action;
  })[];
  readonly totals: Readonly<Record<"delete" | "tier", Amount>>;
  /** Those that are due for longest, the most {@link NEXT_JOBS_SHOWN}. */
  readonly jobs: readonly DueJob[];
  /** Active jobs without a heartbeat: the sweep asks Kubernetes whether their pods live. */
  readonly silent: number;
  /** Volumes where it makes room, the fullest first, the most {@link PRESSED_SHOWN}. */
  readonly pressed: readonly { readonly volume: string; readonly reason: string }[];
}

export const NEXT_JOBS_SHOWN = 50;
export const PRESSED_SHOWN = 20;

export interface DueJob {
  readonly job: string;
  readonly tenant: string;
  readonly volume: string;
  readonly state: JobState;
  readonly bytes: number | null;
  readonly action: Action;
  readonly code: string;
  readonly reason: string;
}

export interface JobsPart extends Amount {
  /** States that some job is in, in the order of a job's life. */
  readonly states: readonly JobState[];
  /** The largest first, the most {@link TENANTS_SHOWN}. */
  readonly tenants: readonly TenantJobs[];
  /** Tenants that are not among them. */
  readonly moreTenants: number;
}

export const TENANTS_SHOWN = 50;

export interface TenantJobs extends Amount {
  readonly tenant: string;
  readonly onVolumes: Readonly<Partial<Record<JobState, Amount>>>;
  readonly inObjectStorage: Amount;
}

export interface AuditPart {
  readonly verification: Verification;
  /** The latest first; null as long as they were never read. */
  readonly recent: readonly AuditEntry[] | null;
  /** Begun, and no outcome recorded. */
  readonly open: Amount["jobs"];
  readonly oldestOpenSeconds: number;
}

/** Every chain is proven from its first row, again and again while the page is served. */
export interface Verification {
  readonly state: "not-asked" | "running" | "intact" | "broken" | "failed";
  /** Rows proven: so far, while the first one runs. */
  readonly entries: number;
  /** Rows that lie in archives, which were not at hand. */
  readonly unchecked: number;
  readonly chains: number;
  /** The first {@link AUDIT_PROBLEMS_SHOWN}. */
  readonly problems: readonly {
    readonly volume: string;
    readonly sequence: number;
    readonly problem: string;
  }[];
  readonly problemsFound: number;
  readonly finishedAt: string | null;
  readonly seconds: number | null;
  /** Why it could not be done. */
  readonly failure: string | null;
}

export const AUDIT_PROBLEMS_SHOWN = 20;

export interface AuditEntry {
  readonly at: string;
  readonly volume: string;
  readonly sequence: number;
  readonly tenant: string | null;
  readonly job: string;
  readonly phase: "intent" | "outcome";
  readonly action: AuditAction;
  readonly reason: string;
  readonly bytes: number | null;
  readonly files: number | null;
  readonly actor: string;
}

export interface AlertsPart {
  /** Rules of the storage that Prometheus has. */
  readonly rules: number;
  /** The worst and oldest first. */
  readonly alerts: readonly Alert[];
}

export interface Alert {
  readonly name: string;
  readonly state: "firing" | "pending";
  readonly severity: string;
  readonly since: string;
  readonly summary: string;
  readonly description: string;
  /** Address of a web page, or null. */
  readonly runbook: string | null;
}

/** For how long back a volume can be looked at. */
export const HOURS_OFFERED = [6, 24, 168, 720] as const;

/** What `/api/v1/volume?name=…&hours=…` answers. */
export interface VolumeDetail {
  readonly at: string;
  readonly volume: Volume;
  readonly hours: number;
  /** After each sweep, the most of each interval. */
  readonly usage: ShownVolume["usage"];
  /** What Prometheus measured in between; empty where it isn't reachable or doesn't know the volume. */
  readonly measured: ShownVolume["usage"];
  readonly tenants: readonly (Amount & { readonly tenant: string })[];
  readonly sweeps: readonly Sweep[];
  readonly due: readonly DueJob[];
  /** What would go before its time to make room, in that order. */
  readonly evicted: readonly DueJob[];
  /** Why room is needed; null where it isn't. */
  readonly pressure: string | null;
  readonly audit: readonly AuditEntry[];
}

/** What `/api/v1/job?id=…` answers. */
export interface JobDetail {
  readonly at: string;
  readonly job:
    | (DueJob & {
        readonly location: JobLocation;
        readonly node: string;
        readonly pod: string;
        readonly secondsInState: number;
        readonly secondsSinceHeartbeat: number;
        /** Until the decision would change of itself, where that is known. */
        readonly dueInSeconds: number | null;
        readonly deleted: boolean;
      })
    | null;
  readonly history: readonly AuditEntry[];
}
