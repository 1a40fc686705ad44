import type { JobId, TenantId } from "@video-storage/contract/identity";
import type { JobState } from "@video-storage/contract/states";
import type { Queryable, Row } from "./connection.js";
import { JOB_COLUMNS } from "./job-columns.js";
import type { CataloguedJob } from "./job-columns.js";
import type { HistoryEntry } from "./job-history.js";

/** What people look at, of a catalogue with any number of jobs: each answer is bounded, and none reads a whole table. */

/** The database's clock now, by which every age here was measured. */
export async function clockOf(catalogue: Queryable): Promise<Date> {
  const [row] = await catalogue.query<{ now: Date }>(`SELECT clock_timestamp() AS now`);
  return row!.now;
}

export interface SweepRow {
  readonly id: number;
  readonly volume: string;
  readonly actor: string;
  readonly startedAt: Date;
  /** Null while it runs, and for ever if it was killed. */
  readonly finishedAt: Date | null;
  readonly result: "ok" | "partial" | "failed" | null;
  readonly deleted: number | null;
  readonly tiered: number | null;
  readonly kept: number | null;
  readonly failed: number | null;
  readonly freedBytes: number | null;
  /** In use when it ended. */
  readonly usageBytes: number | null;
  readonly capacityBytes: number | null;
}

const SWEEP_COLUMNS = `id, volume, actor, started_at AS "startedAt", finished_at AS "finishedAt", result, deleted, tiered,
  kept, failed, freed_bytes AS "freedBytes", usage_bytes AS "usageBytes", capacity_bytes AS "capacityBytes"`;

/** The last sweeps, of one volume or of all, the latest first. */
export async function recentSweeps(
  catalogue: Queryable,
  { volume, limit }: { readonly volume?: string; readonly limit: number },
): Promise<SweepRow[]> {
  return catalogue.query<SweepRow & Row>(
    volume === undefined
      ? `SELECT ${SWEEP_COLUMNS} FROM storage.sweeps ORDER BY started_at DESC LIMIT $1`
      : `SELECT ${SWEEP_COLUMNS} FROM storage.sweeps WHERE volume = $2 ORDER BY started_at DESC LIMIT $1`,
    volume === undefined ? [limit] : [limit, volume],
  );
}

/** The last sweep of every volume that ended; and since when a later one is unfinished. */
export type SweptVolume = SweepRow & { readonly unfinishedSince: Date | null };

/** Every volume that was ever swept, by name. One of which no sweep ever ended has nulls but for its name. */
export async function sweptVolumes(
  catalogue: Queryable,
): Promise<(Partial<SweptVolume> & Pick<SweptVolume, "volume" | "unfinishedSince">)[]> {
  return catalogue.query<SweptVolume & Row>(
    `WITH RECURSIVE volumes AS (
       (SELECT volume FROM storage.sweeps ORDER BY volume LIMIT 1)
       UNION ALL
       SELECT (SELECT s.volume FROM storage.sweeps s WHERE s.volume > v.volume ORDER BY s.volume LIMIT 1)
       FROM volumes v WHERE v.volume IS NOT NULL)
     SELECT f.*, v.volume, CASE WHEN l."finishedAt" IS NULL THEN l."startedAt" END AS "unfinishedSince"
     FROM volumes v
       LEFT JOIN LATERAL (SELECT ${SWEEP_COLUMNS} FROM storage.sweeps
         WHERE volume = v.volume ORDER BY started_at DESC LIMIT 1) l ON true
       LEFT JOIN LATERAL (SELECT ${SWEEP_COLUMNS} FROM storage.sweeps
         WHERE volume = v.volume AND finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1) f ON true
     WHERE v.volume IS NOT NULL ORDER BY v.volume COLLATE "C"`,
  );
}

export interface UsagePoint {
  readonly volume: string;
  /** Beginning of the interval, in seconds of Unix time. */
  readonly at: number;
  /** The most that was in use at the end of one of the interval's sweeps. */
  readonly usageBytes: number;
}

/** What these volumes held after each sweep of the last seconds, the most in each interval, by volume and time. */
export async function usageOverTime(
  catalogue: Queryable,
  volumes: readonly string[],
  { seconds, intervals }: { readonly seconds: number; readonly intervals: number },
): Promise<UsagePoint[]> {
  return catalogue.query<UsagePoint & Row>(
    `SELECT v.volume, p.at, p."usageBytes" FROM unnest($1::text[]) AS v (volume),
       LATERAL (SELECT (floor(extract(epoch FROM started_at) / $3) * $3)::float8 AS at, max(usage_bytes) AS "usageBytes"
         FROM storage.sweeps s WHERE s.volume = v.volume AND started_at > now() - make_interval(secs => $2)
           AND usage_bytes IS NOT NULL GROUP BY 1) p
     ORDER BY v.volume COLLATE "C", p.at`,
    [volumes, seconds, Math.max(1, Math.round(seconds / intervals))],
  );
}

/** From which age on a tenant's jobs of a state are to be looked at. */
export interface AgeLimit {
  readonly tenantId: TenantId;
  readonly state: JobState;
  readonly seconds: number;
}

/**
 * Jobs on volumes that are older than their limit says, those that are so for longest first: by the last heartbeat of
 * active and abandoned ones, else by their time in their state.
 */
export async function overdueJobs(
  catalogue: Queryable,
  limits: readonly AgeLimit[],
  limit: number,
): Promise<CataloguedJob[]> {
  const found = await catalogue.query<CataloguedJob & Row & { overdue?: number }>(
    `WITH limits AS (SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) AS l (tenant, in_state, seconds))
     SELECT * FROM (
       SELECT j.*, j."secondsInState" - l.seconds AS overdue FROM limits l, LATERAL (
         SELECT ${JOB_COLUMNS} FROM storage.jobs
         WHERE l.in_state NOT IN ('active', 'abandoned') AND tenant_id = l.tenant AND location = 'local'
           AND state = l.in_state AND deleted_at IS NULL AND state_changed_at <= now() - make_interval(secs => l.seconds)
         ORDER BY state_changed_at LIMIT $4) j
       UNION ALL
       SELECT j.*, j."secondsSinceHeartbeat" - l.seconds AS overdue FROM limits l, LATERAL (
         SELECT ${JOB_COLUMNS} FROM storage.jobs
         WHERE l.in_state IN ('active', 'abandoned') AND tenant_id = l.tenant AND location = 'local'
           AND state = l.in_state AND deleted_at IS NULL AND heartbeat_at <= now() - make_interval(secs => l.seconds)
         ORDER BY state_changed_at LIMIT $4) j) due
     ORDER BY overdue DESC, "jobId" LIMIT $4`,
    [limits.map((l) => l.tenantId), limits.map((l) => l.state), limits.map((l) => l.seconds), limit],
  );
  for (const job of found) delete job.overdue;
  return found;
}

/** The tenants that have jobs, by name. */
export async function tenantsWithJobs(catalogue: Queryable): Promise<TenantId[]> {
  const rows = await catalogue.query<{ tenantId: TenantId }>(
    `SELECT tenant_id AS "tenantId" FROM storage.job_totals GROUP BY tenant_id HAVING sum(jobs) > 0
     ORDER BY tenant_id COLLATE "C"`,
  );
  return rows.map(({ tenantId }) => tenantId);
}

/** Active jobs whose last heartbeat is older. */
export async function silentJobs(catalogue: Queryable, seconds: number): Promise<number> {
  const [row] = await catalogue.query<{ jobs: number }>(
    `SELECT count(*) AS jobs FROM (SELECT DISTINCT tenant_id FROM storage.job_totals) t,
       LATERAL (SELECT FROM storage.jobs WHERE tenant_id = t.tenant_id AND location = 'local' AND state = 'active'
         AND deleted_at IS NULL AND heartbeat_at <= now() - make_interval(secs => $1)) j`,
    [seconds],
  );
  return row!.jobs;
}

/** A row of the audit, without what ties it to the others. */
export interface AuditRow extends HistoryEntry {
  readonly sequence: number;
  readonly tenantId: TenantId | null;
  readonly jobId: JobId;
}

const AUDIT_COLUMNS = `recorded_at AS "recordedAt", volume, sequence, tenant_id AS "tenantId", job_id AS "jobId", phase,
  action, reason, bytes, files, actor`;

/** The audit's rows about one job, the oldest first. */
export async function auditOfJob(catalogue: Queryable, jobId: JobId): Promise<AuditRow[]> {
  return catalogue.query<AuditRow & Row>(
    `SELECT ${AUDIT_COLUMNS} FROM storage.audit WHERE job_id = $1 ORDER BY recorded_at, sequence`,
    [jobId],
  );
}

/** The latest rows of the audit, of one volume's chain or of all, the latest first. */
export async function recentAudit(
  catalogue: Queryable,
  { volume, before, limit }: { readonly volume?: string; readonly before?: number; readonly limit: number },
): Promise<AuditRow[]> {
  if (volume !== undefined) {
    return catalogue.query<AuditRow & Row>(
      `SELECT ${AUDIT_COLUMNS} FROM storage.audit WHERE volume = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3`,
      [volume, before ?? Number.MAX_SAFE_INTEGER, limit],
    );
  }
  // No index has the times of all chains; the ends of each are read instead.
  return catalogue.query<AuditRow & Row>(
    `SELECT a.* FROM storage.audit_chains c, LATERAL (
       SELECT ${AUDIT_COLUMNS} FROM storage.audit WHERE volume = c.volume ORDER BY sequence DESC LIMIT $1) a
     ORDER BY a."recordedAt" DESC, a.volume, a.sequence DESC LIMIT $1`,
    [limit],
  );
}
