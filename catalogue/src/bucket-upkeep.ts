import type { JobId, JobIdentity, TenantId } from "@video-storage/contract/identity";
import type { JsonValue } from "@video-storage/contract/json-value";
import type { JobState } from "@video-storage/contract/states";
import type { Catalogue, Queryable, Row } from "./connection.js";
import type { JobLocation } from "./job-columns.js";
import { recordOutcome } from "./sweeping.js";
import type { Outcome } from "./sweeping.js";

/** What looks after a bucket asks of the catalogue. */

/** The name under which what happens to a bucket's objects is audited, in the place of a volume's. */
export function chainOfBucket(bucket: string): string {
  return `bucket:${bucket}`;
}

/**
 * Whether it is this caller's turn: nobody else's turn began within the period, by the database's clock. Of several
 * that ask at once, one gets it.
 */
export async function claimUpkeep(
  catalogue: Queryable,
  bucket: string,
  actor: string,
  periodSeconds: number,
): Promise<boolean> {
  const rows = await catalogue.query(
    `INSERT INTO storage.janitor_runs AS r (bucket, actor) VALUES ($1, $2)
     ON CONFLICT (bucket) DO UPDATE
       SET actor = excluded.actor, started_at = clock_timestamp(), finished_at = NULL, result = NULL
       WHERE r.started_at <= clock_timestamp() - make_interval(secs => $3) RETURNING 1`,
    [bucket, actor, periodSeconds],
  );
  return rows.length > 0;
}

/** What a turn came to. One that failed is given up: the next caller gets it, whatever the period. */
export async function finishUpkeep(
  catalogue: Queryable,
  bucket: string,
  result: Readonly<Record<string, JsonValue>>,
  failed: boolean,
): Promise<void> {
  await catalogue.query(
    `UPDATE storage.janitor_runs SET finished_at = clock_timestamp(), result = $2,
       started_at = CASE WHEN $3 THEN '-infinity' ELSE started_at END
     WHERE bucket = $1`,
    [bucket, JSON.stringify(result), failed],
  );
}

/** A job with objects in a bucket and no directory on any volume. Ages in seconds by the database's clock. */
export interface StagedJob extends JobIdentity {
  readonly state: JobState;
  readonly location: JobLocation;
  readonly objects: number;
  readonly bytes: number;
  /** Since its last change of state, its last object and its last access, whichever was last. */
  readonly idleSeconds: number;
  /** Of a job that was handed over: whether the job that goes on with it has ended; null when there is none. */
  readonly continuationEnded: boolean | null;
}

const PAGE = 500;

/** What a login may write of jobs that there are not has no state, and a page may consist of it: it is passed over later. */
type Staged = StagedJob | (JobIdentity & { readonly state: null; readonly location: null });

const isElsewhere = (job: Staged & Row): job is StagedJob & Row =>
  job.state !== null && job.location !== "local";

/** Those with objects in the bucket ($1) that `which` chooses, at most $2. */
const staged = (which: string): string =>
  `SELECT o.tenant_id AS "tenantId", o.job_id AS "jobId", j.state, j.location, o.objects::int, o.bytes::float8,
     extract(epoch FROM clock_timestamp() - greatest(o.verified_at, j.state_changed_at, j.last_access_at))::float8
       AS "idleSeconds", c.state <> 'active' AS "continuationEnded"
   FROM (
     SELECT tenant_id, job_id, count(*) AS objects, sum(bytes) AS bytes, max(verified_at) AS verified_at
     FROM storage.objects
     WHERE removed_at IS NULL AND pack_key IS NULL AND bucket = $1 AND (tenant_id, job_id) ${which} ($3, $4::uuid)
     GROUP BY tenant_id, job_id ORDER BY tenant_id, job_id LIMIT $2
   ) o
   LEFT JOIN storage.jobs j USING (tenant_id, job_id)
   LEFT JOIN storage.jobs c ON c.tenant_id = j.tenant_id AND c.job_id = j.continued_by
   ORDER BY o.tenant_id, o.job_id`;

/** All of them in pages, by tenant and id. */
export async function* stagedJobsInPages(
  catalogue: Queryable,
  bucket: string,
): AsyncGenerator<StagedJob[], void, undefined> {
  let after: [string, string] = ["", "00000000-0000-0000-0000-000000000000"];
  for (;;) {
    const page = await catalogue.query<Staged & Row>(staged(">"), [bucket, PAGE, ...after]);
    const elsewhere = page.filter(isElsewhere);
    if (elsewhere.length > 0) yield elsewhere;
    const last = page.at(-1);
    if (!last) return;
    after = [last.tenantId, last.jobId];
  }
}

/** One of them, as it is now; undefined when it is none any more. */
export async function stagedJob(
  catalogue: Queryable,
  bucket: string,
  { tenantId, jobId }: JobIdentity,
): Promise<StagedJob | undefined> {
  const found = await catalogue.query<Staged & Row>(staged("="), [bucket, 1, tenantId, jobId]);
  return found.find(isElsewhere);
}

/** An object that is in a bucket for itself, and not in another's pack. */
export interface StagedObject {
  readonly objectKey: string;
  readonly bytes: number;
}

/** A job's objects in a bucket in pages, by key: as many as a login may have are more than fit into memory. */
export async function* stagedObjectsInPages(
  catalogue: Queryable,
  bucket: string,
  { tenantId, jobId }: JobIdentity,
): AsyncGenerator<StagedObject[], void, undefined> {
  let after = "";
  for (;;) {
    const page = await catalogue.query<StagedObject & Row>(
      `SELECT object_key AS "objectKey", bytes::float8 FROM storage.objects
       WHERE tenant_id = $1 AND job_id = $2 AND bucket = $3 AND removed_at IS NULL AND pack_key IS NULL
         AND object_key > $4 COLLATE "C" ORDER BY object_key COLLATE "C" LIMIT $5`,
      [tenantId, jobId, bucket, after, PAGE],
    );
    const last = page.at(-1);
    if (!last) return;
    yield page;
    after = last.objectKey;
  }
}

/** Which of these keys have a row that says that an object is there. */
export async function knownKeys(
  catalogue: Queryable,
  bucket: string,
  keys: readonly (JobIdentity & { readonly key: string })[],
): Promise<Set<string>> {
  const rows = await catalogue.query<{ key: string }>(
    `SELECT o.object_key AS key FROM storage.objects o
     JOIN unnest($2::text[], $3::uuid[], $4::text[]) AS k (tenant_id, job_id, key)
       ON o.tenant_id = k.tenant_id AND o.job_id = k.job_id AND o.object_key = k.key
     WHERE o.bucket = $1 AND o.removed_at IS NULL AND o.pack_key IS NULL`,
    [bucket, keys.map((k) => k.tenantId), keys.map((k) => k.jobId), keys.map((k) => k.key)],
  );
  return new Set(rows.map(({ key }) => key));
}

/** Of these jobs, those that are active or have their directory still: what they have in a bucket may get its row yet. */
export async function jobsStillLocal(catalogue: Queryable, jobs: readonly JobId[]): Promise<Set<JobId>> {
  const rows = await catalogue.query<{ jobId: JobId }>(
    `SELECT job_id AS "jobId" FROM storage.jobs
     WHERE job_id = ANY ($1::uuid[]) AND deleted_at IS NULL AND (state = 'active' OR location = 'local')`,
    [jobs],
  );
  return new Set(rows.map(({ jobId }) => jobId));
}

/** Whether the catalogue knows any job at all; one that was made anew doesn't, and then no object is nobody's. */
export async function knowsAnyJob(catalogue: Queryable): Promise<boolean> {
  return (await catalogue.query(`SELECT 1 FROM storage.jobs LIMIT 1`)).length > 0;
}

/** The outcome of `expire`, with what the rows then say: its objects are removed, and so is the job. */
export async function recordExpiry(
  catalogue: Catalogue,
  outcome: Outcome & { readonly tenantId: TenantId },
  bucket: string,
): Promise<void> {
  await catalogue.transaction(async (connection) => {
    await recordOutcome(connection, outcome);
    await connection.query(
      `UPDATE storage.objects SET removed_at = now()
       WHERE tenant_id = $1 AND job_id = $2 AND bucket = $3 AND removed_at IS NULL`,
      [outcome.tenantId, outcome.jobId, bucket],
    );
    await connection.query(
      `UPDATE storage.jobs SET location = 'none', deleted_at = coalesce(deleted_at, now())
       WHERE tenant_id = $1 AND job_id = $2 AND location = 'object'`,
      [outcome.tenantId, outcome.jobId],
    );
  });
}
