import type { JobId, JobIdentity, TenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import type { JsonValue } from "@video-storage/contract/json-value";
import type { Queryable, Row } from "./connection.js";
import { JOB_COLUMNS } from "./job-columns.js";
import type { CataloguedJob } from "./job-columns.js";

export type { CataloguedJob, JobLocation } from "./job-columns.js";

/** The volume's jobs that are not deleted, the longest unused first. */
export async function jobsOnVolume(catalogue: Queryable, volume: string): Promise<CataloguedJob[]> {
  return catalogue.query<CataloguedJob & Row>(
    `SELECT ${JOB_COLUMNS} FROM storage.jobs WHERE volume = $1 AND deleted_at IS NULL
     ORDER BY last_access_at, job_id`,
    [volume],
  );
}

/** One job, deleted or not, whoever's it is. */
export async function findJob(catalogue: Queryable, jobId: JobId): Promise<CataloguedJob | undefined> {
  const [job] = await catalogue.query<CataloguedJob & Row>(
    `SELECT ${JOB_COLUMNS} FROM storage.jobs WHERE job_id = $1`,
    [jobId],
  );
  return job;
}

/** Those of the jobs that the catalogue has, deleted or not, in no order. */
export async function findJobs(catalogue: Queryable, jobIds: readonly JobId[]): Promise<CataloguedJob[]> {
  return catalogue.query<CataloguedJob & Row>(
    `SELECT ${JOB_COLUMNS} FROM storage.jobs WHERE job_id = ANY ($1::uuid[])`,
    [jobIds],
  );
}

/** Whether the record was begun by the tenant that it names, and not by somebody else who could write there. */
export async function provesRecord(
  catalogue: Queryable,
  { tenantId, jobId, owner, proof }: JobRecord,
): Promise<boolean> {
  if (proof === undefined) return false;
  const [row] = await catalogue.query<{ proven: boolean }>(
    `SELECT storage.proves_record($1, $2, $3, decode($4, 'hex')) AS proven`,
    [tenantId, jobId, owner.volume, proof],
  );
  return row!.proven;
}

/** Active to abandoned. False when it is not active. */
export async function markAbandoned(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
): Promise<boolean> {
  const rows = await catalogue.query(
    `UPDATE storage.jobs SET state = 'abandoned'
     WHERE tenant_id = $1 AND job_id = $2 AND state = 'active' RETURNING 1`,
    [tenantId, jobId],
  );
  return rows.length > 0;
}

/** Notes for people that record and catalogue contradicted each other. */
export async function markContradiction(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
): Promise<void> {
  await catalogue.query(
    `UPDATE storage.jobs SET contradiction = true
     WHERE tenant_id = $1 AND job_id = $2 AND NOT contradiction`,
    [tenantId, jobId],
  );
}

/**
 * On a volume a job is deleted, or tiered; in a bucket its objects expire, or are orphans. Each happens once to a job,
 * orphans as often as they come.
 */
export type AuditAction = "delete" | "tier" | "expire" | "orphan";

export interface Intent {
  readonly volume: string;
  /** Null when nothing that can be trusted says whose the job was. */
  readonly tenantId: TenantId | null;
  readonly jobId: JobId;
  readonly action: AuditAction;
  readonly reason: string;
  readonly actor: string;
  readonly details?: Readonly<Record<string, JsonValue>>;
}

export interface Outcome extends Intent {
  /** What was freed locally. */
  readonly bytes: number;
  readonly files: number;
}

/**
 * Durable when it returns. True when the intent stands: recorded now, or begun before on this volume and not ended. False
 * when the audit says of this job that it was done, or that it was begun elsewhere: then nothing may be done on it.
 */
export async function recordIntent(catalogue: Queryable, intent: Intent): Promise<boolean> {
  const [row] = await catalogue.query<{ stands: boolean }>(
    `WITH ${recordedAudit("intent")} SELECT EXISTS (SELECT FROM recorded) OR EXISTS (
       SELECT FROM storage.open_intents WHERE volume = $1 AND job_id = $3 AND action = $5) AS stands`,
    auditValues("intent", intent, null, null),
  );
  return row!.stands;
}

/**
 * Records that it is done, together with where the job now is: after "delete" nowhere, after "tier" in object
 * storage, where no deletion on a volume reaches it. Durable when it returns. False when the same outcome was recorded
 * before.
 */
export async function recordOutcome(catalogue: Queryable, outcome: Outcome): Promise<boolean> {
  // One statement is one transaction, and one way to the server and back for each job.
  const [row] = await catalogue.query<{ recorded: boolean }>(
    `WITH ${recordedAudit("outcome")},
       forgotten AS (DELETE FROM storage.deletion_progress WHERE job_id = $3 AND action = $5),
       changed AS (
         UPDATE storage.jobs SET
           location = CASE WHEN $5 = 'delete' THEN 'none' ELSE 'object' END,
           deleted_at = CASE WHEN $5 = 'delete' THEN coalesce(deleted_at, now()) ELSE deleted_at END
         WHERE job_id = $3 AND volume = $1
           AND ($5 = 'delete' AND location <> 'object' OR $5 = 'tier' AND location = 'local'))
     SELECT EXISTS (SELECT FROM recorded) AS recorded`,
    auditValues("outcome", outcome, outcome.bytes, outcome.files),
  );
  return row!.recorded;
}

/** What the deletion of one job has freed so far. */
export interface DeletionProgress {
  readonly bytes: number;
  readonly files: number;
  readonly directories: number;
  /** False while a sweep is at it: if that one is killed, it had freed at least so much. */
  readonly exact: boolean;
}

/** Notes it, instead of what was noted for this job before. */
export async function saveProgress(
  catalogue: Queryable,
  { jobId, action }: Pick<Intent, "jobId" | "action">,
  { bytes, files, directories, exact }: DeletionProgress,
): Promise<void> {
  await catalogue.query(
    `INSERT INTO storage.deletion_progress (job_id, action, bytes, files, directories, exact)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (job_id, action) DO UPDATE SET bytes = excluded.bytes, files = excluded.files,
       directories = excluded.directories, exact = excluded.exact, recorded_at = clock_timestamp()`,
    [jobId, action, bytes, files, directories, exact],
  );
}

/** What was noted, if anything was. */
export async function progressOf(
  catalogue: Queryable,
  { jobId, action }: Pick<Intent, "jobId" | "action">,
): Promise<DeletionProgress | undefined> {
  const [progress] = await catalogue.query<DeletionProgress & Row>(
    `SELECT bytes, files, directories, exact FROM storage.deletion_progress WHERE job_id = $1 AND action = $2`,
    [jobId, action],
  );
  return progress;
}

/**
 * What was begun on the volume and has no outcome, the oldest first. A job that was deleted is moved no more, nor deleted
 * when it was moved, though a sweep that was killed meant to.
 */
export async function openIntents(
  catalogue: Queryable,
  volume: string,
): Promise<(Intent & { readonly sequence: number })[]> {
  return catalogue.query<Intent & { sequence: number } & Row>(
    `SELECT i.sequence, i.volume, i.tenant_id AS "tenantId", i.job_id AS "jobId", i.action, i.reason, i.actor, i.details
     FROM storage.open_intents b JOIN storage.audit i USING (volume, sequence)
     WHERE b.volume = $1 ORDER BY i.sequence`,
    [volume],
  );
}

const recordedAudit = (phase: "intent" | "outcome"): string => `recorded AS (
  INSERT INTO storage.audit (volume, tenant_id, job_id, phase, action, reason, details, bytes, files, actor)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT (job_id, action) WHERE phase = '${phase}' AND action <> 'orphan' DO NOTHING RETURNING 1)`;

function auditValues(
  phase: "intent" | "outcome",
  entry: Intent,
  bytes: number | null,
  files: number | null,
): unknown[] {
  return [
    ...[entry.volume, entry.tenantId, entry.jobId, phase, entry.action, entry.reason],
    ...[JSON.stringify(entry.details ?? {}), bytes, files, entry.actor],
  ];
}

/** Notes that an object was removed; its row stays. */
export async function markObjectRemoved(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
  objectKey: string,
): Promise<void> {
  await catalogue.query(
    `UPDATE storage.objects SET removed_at = now()
     WHERE tenant_id = $1 AND job_id = $2 AND object_key = $3 AND removed_at IS NULL`,
    [tenantId, jobId, objectKey],
  );
}

export interface SweepResult {
  readonly result: "ok" | "partial" | "failed";
  readonly deleted: number;
  readonly tiered: number;
  readonly kept: number;
  readonly failed: number;
  readonly freedBytes: number;
  readonly usageBytes: number;
  readonly capacityBytes: number;
}

/** The sweep's number. Ends what workers' sessions have held for so long that it could only be in the sweep's way. */
export async function beginSweep(catalogue: Queryable, volume: string, actor: string): Promise<number> {
  await catalogue.query(`SELECT storage.end_overstaying_workers()`);
  const [row] = await catalogue.query<{ id: number }>(
    `INSERT INTO storage.sweeps (volume, actor) VALUES ($1, $2) RETURNING id`,
    [volume, actor],
  );
  return row!.id;
}

export async function finishSweep(catalogue: Queryable, id: number, sweep: SweepResult): Promise<void> {
  await catalogue.query(
    `UPDATE storage.sweeps SET finished_at = clock_timestamp(), result = $2, deleted = $3, tiered = $4, kept = $5,
       failed = $6, freed_bytes = $7, usage_bytes = $8, capacity_bytes = $9
     WHERE id = $1 AND finished_at IS NULL`,
    [
      ...[id, sweep.result, sweep.deleted, sweep.tiered, sweep.kept, sweep.failed],
      ...[sweep.freedBytes, sweep.usageBytes, sweep.capacityBytes],
    ],
  );
}
