import type { JobId, JobIdentity } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import { isFinished } from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";
import type { Catalogue, Queryable } from "./connection.js";

/**
 * Tells the catalogue what a record says. Safe to repeat: a revision that it already has, or an older one,
 * changes nothing, and neither does a state that the job can't come into from the one it is in, or a record on
 * another volume than the job's: that one is a copy.
 */
export async function reportJob(
  catalogue: Queryable,
  record: JobRecord,
): Promise<"registered" | "updated" | "unchanged"> {
  const { tenantId, jobId, state, revision, owner } = record;
  const bytes = isFinished(state) ? totalBytes(record) : null;
  // Two statements: ON CONFLICT DO UPDATE raises an error for a row that the caller may read but not change.
  const added = await catalogue.query(
    `INSERT INTO storage.jobs
       (tenant_id, job_id, state, revision, volume, node, namespace, pod, expected_bytes, bytes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (tenant_id, job_id) DO NOTHING RETURNING 1`,
    [
      ...[tenantId, jobId, state, revision, owner.volume, owner.node, owner.namespace, owner.pod],
      ...[record.expectedBytes ?? null, bytes],
    ],
  );
  if (added.length > 0) return "registered";
  const changed = await catalogue.query(
    `UPDATE storage.jobs SET state = $3, revision = $4, bytes = coalesce($5, bytes), heartbeat_at = now()
     WHERE tenant_id = $1 AND job_id = $2 AND revision < $4 AND (state = $3 OR storage.can_become(state, $3))
       AND volume = $6 AND deleted_at IS NULL
     RETURNING 1`,
    [tenantId, jobId, state, revision, bytes, owner.volume],
  );
  return changed.length > 0 ? "updated" : "unchanged";
}

/** Notes that the job's worker lives, by the database's clock. False when no active job of that name is known. */
export async function heartbeat(catalogue: Queryable, { tenantId, jobId }: JobIdentity): Promise<boolean> {
  const rows = await catalogue.query(
    `UPDATE storage.jobs SET heartbeat_at = now()
     WHERE tenant_id = $1 AND job_id = $2 AND state = 'active' RETURNING 1`,
    [tenantId, jobId],
  );
  return rows.length > 0;
}

/** Notes that the job was read, by the database's clock. */
export async function touch(catalogue: Queryable, { tenantId, jobId }: JobIdentity): Promise<void> {
  await catalogue.query(
    `UPDATE storage.jobs SET last_access_at = now()
     WHERE tenant_id = $1 AND job_id = $2 AND state IN ('completed', 'uploaded')`,
    [tenantId, jobId],
  );
}

/** Completed to uploaded, for the uploader's login. False when it was uploaded already; undefined when it is neither. */
export async function markUploaded(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
): Promise<boolean | undefined> {
  const changed = await catalogue.query(
    `UPDATE storage.jobs SET state = 'uploaded', last_access_at = now()
     WHERE tenant_id = $1 AND job_id = $2 AND state = 'completed' RETURNING 1`,
    [tenantId, jobId],
  );
  if (changed.length > 0) return true;
  const found = await catalogue.query(
    `SELECT 1 FROM storage.jobs WHERE tenant_id = $1 AND job_id = $2 AND state = 'uploaded'`,
    [tenantId, jobId],
  );
  return found.length > 0 ? false : undefined;
}

export interface JobStatus {
  readonly state: JobState;
  readonly location: "local" | "object" | "none";
  readonly volume: string;
  /** Of the newest record that the catalogue was told, or of a change that it made itself since. */
  readonly revision: number;
  /** The job that goes on with this one, where it was handed over. */
  readonly continuedBy: JobId | null;
}

/** The job's state and where its files are, if the caller may see it. */
export async function jobStatus(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
): Promise<JobStatus | undefined> {
  const [row] = await catalogue.query<JobStatus & Record<string, unknown>>(
    `SELECT state, location, volume, revision, continued_by AS "continuedBy" FROM storage.jobs
     WHERE tenant_id = $1 AND job_id = $2`,
    [tenantId, jobId],
  );
  return row;
}

/**
 * Registers a new job as the one that goes on with a job that was handed over. False, and nothing is registered, when
 * that isn't handed over or another job, which has neither failed nor been abandoned, goes on with it already.
 */
export async function registerSuccessor(
  catalogue: Catalogue,
  record: JobRecord,
  predecessor: JobIdentity,
): Promise<boolean> {
  class Taken extends Error {}
  try {
    await catalogue.transaction(async (connection) => {
      if ((await reportJob(connection, record)) !== "registered") throw new Taken();
      // Of two at once the second waits for the first, and then sees that it isn't free any more.
      const claimed = await connection.query(
        `UPDATE storage.jobs SET continued_by = $3
         WHERE tenant_id = $1 AND job_id = $2 AND state = 'handed-over' AND (continued_by IS NULL OR EXISTS (
           SELECT FROM storage.jobs s
           WHERE s.tenant_id = $1 AND s.job_id = jobs.continued_by AND s.state IN ('failed', 'abandoned')))
         RETURNING 1`,
        [predecessor.tenantId, predecessor.jobId, record.jobId],
      );
      if (claimed.length === 0) throw new Taken();
    });
    return true;
  } catch (error) {
    if (error instanceof Taken) return false;
    throw error;
  }
}

/** Completed to quarantined, for the uploader's login. False when it wasn't completed. */
export async function markQuarantined(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
): Promise<boolean> {
  const changed = await catalogue.query(
    `UPDATE storage.jobs SET state = 'quarantined'
     WHERE tenant_id = $1 AND job_id = $2 AND state = 'completed' RETURNING 1`,
    [tenantId, jobId],
  );
  return changed.length > 0;
}

export interface StoredObject {
  readonly bucket: string;
  readonly objectKey: string;
  readonly bytes: number;
  /** Lower-case hexadecimal, of the whole object. */
  readonly sha256: string;
  /** Where its bytes are, when they aren't an object of their own: see worker/src/pack.ts. */
  readonly pack?: { readonly objectKey: string; readonly offset: number };
}

/** Notes an object that was written and verified. Safe to repeat. */
export async function recordObject(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
  object: StoredObject,
): Promise<void> {
  await catalogue.query(
    `INSERT INTO storage.objects (tenant_id, job_id, bucket, object_key, bytes, sha256)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
    [tenantId, jobId, object.bucket, object.objectKey, object.bytes, object.sha256],
  );
}

/** Notes a pack and what is in it, all or nothing; for the sweep's login. Safe to repeat. */
export async function recordPack(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
  pack: StoredObject,
  files: readonly StoredObject[],
): Promise<void> {
  const rows = [pack, ...files];
  await catalogue.query(
    `INSERT INTO storage.objects (tenant_id, job_id, bucket, object_key, bytes, sha256, pack_key, pack_offset)
     SELECT $1, $2, $3, * FROM unnest($4::text[], $5::bigint[], $6::text[], $7::text[], $8::bigint[])
     ON CONFLICT DO NOTHING`,
    [
      ...[tenantId, jobId, pack.bucket, rows.map((row) => row.objectKey), rows.map((row) => row.bytes)],
      ...[rows.map((row) => row.sha256), rows.map((row) => row.pack?.objectKey ?? null)],
      rows.map((row) => row.pack?.offset ?? null),
    ],
  );
}

/** The job's files in object storage that were not removed, and the packs that some lie in, by key. */
export async function objectsOf(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
  most?: number,
): Promise<StoredObject[]> {
  type PackColumns = { packKey: string | null; packOffset: number | null };
  const rows = await catalogue.query<Omit<StoredObject, "pack"> & PackColumns & Record<string, unknown>>(
    `SELECT bucket, object_key AS "objectKey", bytes, sha256, pack_key AS "packKey", pack_offset AS "packOffset"
     FROM storage.objects WHERE tenant_id = $1 AND job_id = $2 AND removed_at IS NULL ORDER BY object_key LIMIT $3`,
    [tenantId, jobId, most ?? null],
  );
  return rows.map(({ packKey, packOffset, ...object }) =>
    packKey === null ? object : { ...object, pack: { objectKey: packKey, offset: packOffset! } },
  );
}

/** The tenant that this login is bound to; null for logins that are not a tenant's. */
export async function tenantOfLogin(catalogue: Queryable): Promise<string | null> {
  const [row] = await catalogue.query<{ tenant: string | null }>(`SELECT storage.current_tenant() AS tenant`);
  return row!.tenant;
}

function totalBytes(record: JobRecord): number {
  return Object.values(record.files).reduce((sum, file) => sum + file.bytes, 0);
}
