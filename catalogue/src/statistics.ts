import type { TenantId } from "@video-storage/contract/identity";
import type { Retention } from "@video-storage/contract/schemas";
import type { JobState } from "@video-storage/contract/states";
import type { Queryable, Row } from "./connection.js";
import type { JobLocation } from "./job-columns.js";
import type { AuditAction } from "./sweeping.js";

/** Figures for the monitoring. None of them reads the whole of a table, however many jobs there are. */

export interface JobTotal {
  readonly tenantId: TenantId;
  readonly location: JobLocation;
  readonly state: JobState;
  /** Not deleted ones. */
  readonly jobs: number;
  /** Of their files, as far as known: an active job's count nothing. */
  readonly bytes: number;
}

/** How many jobs there are of each tenant, location and state, and their bytes. */
export async function jobTotals(catalogue: Queryable): Promise<JobTotal[]> {
  return catalogue.query<JobTotal & Row>(
    `SELECT tenant_id AS "tenantId", location, state, sum(jobs)::bigint AS jobs, sum(bytes)::float8 AS bytes
     FROM storage.job_totals GROUP BY tenant_id, location, state HAVING sum(jobs) <> 0
     ORDER BY tenant_id COLLATE "C", location, state`,
  );
}

export interface OldestJob {
  readonly tenantId: TenantId;
  readonly location: JobLocation;
  readonly state: JobState;
  /** Since it came into its state, by the database's clock. */
  readonly secondsInState: number;
}

/** The age of the oldest job of each tenant, location and state. */
export async function oldestJobs(catalogue: Queryable): Promise<OldestJob[]> {
  return catalogue.query<OldestJob & Row>(
    `SELECT t.tenant_id AS "tenantId", t.location, t.state,
       extract(epoch FROM clock_timestamp() - o.state_changed_at)::float8 AS "secondsInState"
     FROM (SELECT DISTINCT tenant_id, location, state FROM storage.job_totals) t,
       LATERAL (SELECT state_changed_at FROM storage.jobs j
         WHERE j.tenant_id = t.tenant_id AND j.location = t.location AND j.state = t.state AND j.deleted_at IS NULL
         ORDER BY j.state_changed_at LIMIT 1) o
     ORDER BY t.tenant_id COLLATE "C", t.location, t.state`,
  );
}

export interface EligibleJobs {
  readonly tenantId: TenantId;
  readonly state: JobState;
  readonly jobs: number;
  readonly bytes: number;
}

/**
 * What could have been deleted or moved from the volumes and hasn't been yet: jobs whose time has run out. A little of
 * it is usual between two sweeps. An abandoned job counts from when it was found so, some minutes after its last
 * heartbeat, from which the sweep counts: the one is in an index, the other can't be (migration 0004).
 */
export async function eligibleJobs(
  catalogue: Queryable,
  retentionOf: (tenantId: TenantId) => Retention,
): Promise<EligibleJobs[]> {
  const tenants = await catalogue.query<{ tenantId: TenantId }>(
    `SELECT DISTINCT tenant_id AS "tenantId" FROM storage.job_totals ORDER BY 1`,
  );
  const limits = tenants.flatMap(({ tenantId }) => {
    const { uploadedSeconds, failedSeconds, abandonedSeconds, completedSeconds, completedAction } =
      retentionOf(tenantId);
    return [
      { tenantId, state: "uploaded", seconds: uploadedSeconds },
      { tenantId, state: "failed", seconds: failedSeconds },
      { tenantId, state: "quarantined", seconds: failedSeconds },
      { tenantId, state: "handed-over", seconds: uploadedSeconds },
      { tenantId, state: "abandoned", seconds: abandonedSeconds },
      ...(completedAction === "keep" ? [] : [{ tenantId, state: "completed", seconds: completedSeconds }]),
    ];
  });
  return catalogue.query<EligibleJobs & Row>(
    `SELECT l.tenant_id AS "tenantId", l.state, e.jobs, e.bytes
     FROM unnest($1::text[], $2::text[], $3::float8[]) AS l (tenant_id, state, seconds),
       LATERAL (SELECT count(*) AS jobs, coalesce(sum(bytes), 0)::float8 AS bytes FROM storage.jobs j
         WHERE j.tenant_id = l.tenant_id AND j.location = 'local' AND j.state = l.state AND j.deleted_at IS NULL
           AND j.state_changed_at <= now() - make_interval(secs => l.seconds)) e
     WHERE e.jobs > 0 ORDER BY l.tenant_id COLLATE "C", l.state`,
    [limits.map((l) => l.tenantId), limits.map((l) => l.state), limits.map((l) => l.seconds)],
  );
}

export interface AuditLag {
  readonly volume: string;
  readonly action: AuditAction;
  /** Deletions or moves that were begun and whose outcome nobody has recorded yet. */
  readonly openIntents: number;
  readonly oldestSeconds: number;
}

export async function auditLag(catalogue: Queryable): Promise<AuditLag[]> {
  return catalogue.query<AuditLag & Row>(
    `SELECT volume, action, count(*) AS "openIntents",
       extract(epoch FROM clock_timestamp() - min(recorded_at))::float8 AS "oldestSeconds"
     FROM storage.open_intents GROUP BY volume, action ORDER BY volume COLLATE "C", action`,
  );
}

export interface LastSweep {
  readonly volume: string;
  /** Of the last one that ended; null when none did. */
  readonly result: "ok" | "partial" | "failed" | null;
  readonly secondsSinceFinish: number | null;
  /** Of the last one that ended with "ok". */
  readonly secondsSinceSuccess: number | null;
}

/** How long ago each volume was swept. */
export async function lastSweeps(catalogue: Queryable): Promise<LastSweep[]> {
  return catalogue.query<LastSweep & Row>(
    `WITH RECURSIVE volumes AS (
       (SELECT volume FROM storage.sweeps ORDER BY volume LIMIT 1)
       UNION ALL
       SELECT (SELECT s.volume FROM storage.sweeps s WHERE s.volume > v.volume ORDER BY s.volume LIMIT 1)
       FROM volumes v WHERE v.volume IS NOT NULL)
     SELECT v.volume, f.result, extract(epoch FROM clock_timestamp() - f.finished_at)::float8 AS "secondsSinceFinish",
       extract(epoch FROM clock_timestamp() - o.finished_at)::float8 AS "secondsSinceSuccess"
     FROM volumes v
       LEFT JOIN LATERAL (SELECT result, finished_at FROM storage.sweeps s
         WHERE s.volume = v.volume AND finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1) f ON true
       LEFT JOIN LATERAL (SELECT finished_at FROM storage.sweeps s
         WHERE s.volume = v.volume AND result = 'ok' ORDER BY started_at DESC LIMIT 1) o ON true
     WHERE v.volume IS NOT NULL ORDER BY v.volume COLLATE "C"`,
  );
}

export interface SweepTotal {
  /** How the sweeps ended: "ok" or "partial". */
  readonly result: string;
  /** All of these since the beginning; they never fall. */
  readonly sweeps: number;
  readonly deleted: number;
  readonly tiered: number;
  /** Times that a job couldn't be dealt with. */
  readonly failed: number;
  readonly freedBytes: number;
}

/** What all sweeps came to that were finished; a killed one's work is in none of them. */
export async function sweepTotals(catalogue: Queryable): Promise<SweepTotal[]> {
  return catalogue.query<SweepTotal & Row>(
    `SELECT result, sweeps, deleted, tiered, failed, freed_bytes::float8 AS "freedBytes"
     FROM storage.sweep_totals ORDER BY result`,
  );
}

/** How many of these volumes have an active job. */
export async function volumesInUse(catalogue: Queryable, volumes: readonly string[]): Promise<number> {
  const [row] = await catalogue.query<{ volumes: number }>(
    `SELECT count(*) AS volumes FROM unnest($1::text[]) AS v (name)
     WHERE EXISTS (SELECT FROM storage.jobs j
       WHERE j.volume = v.name AND j.state = 'active' AND j.location = 'local' AND j.deleted_at IS NULL)`,
    [volumes],
  );
  return row!.volumes;
}

export interface BucketUpkeep {
  readonly bucket: string;
  /** When it was last looked through with nothing failed, in seconds of Unix time by the database's clock. */
  readonly lastSuccessSeconds: number;
}

/** The buckets that were ever looked through. */
export async function bucketUpkeep(catalogue: Queryable): Promise<BucketUpkeep[]> {
  return catalogue.query<BucketUpkeep & Row>(
    `SELECT bucket, extract(epoch FROM last_success_at)::float8 AS "lastSuccessSeconds"
     FROM storage.janitor_runs WHERE last_success_at IS NOT NULL ORDER BY bucket COLLATE "C"`,
  );
}
