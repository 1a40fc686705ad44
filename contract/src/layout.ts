import type { JobId, TenantId } from "./identity.js";

/** Where a worker's volume is mounted, in every pod that uses one. Directly below it lie the job directories. */
export const JOBS_ROOT = "/tmp/video-jobs";

/** The video as it was fetched, below a job's directory. */
export const SOURCE_FILE = "source.mp4";

/** The job's own record (see record.ts), below a job's directory. */
export const METADATA_FILE = "metadata.json";

/** Append-only text logs, below a job's directory. */
export const LOGS_DIRECTORY = "logs";

/** Ends the name of a file that is still being written; never read, removed by the sweep with its job. */
export const TEMPORARY_SUFFIX = ".partial";

/**
 * The sweep's own directory at the root of a volume: what it has claimed for deletion lies here, out of
 * reach of names that workers use. No job id can equal it.
 */
export const TRASH_DIRECTORY = ".trash";

/**
 * The workers' own directory at the root of a volume: a file for each active job, locked by whoever holds its lease,
 * by which jobs are counted and room is promised. No job id can equal it.
 */
export const ADMISSION_DIRECTORY = ".admission";

/** Ends the name of a file that its worker, when it was drained, had only a beginning of. */
export const PART_SUFFIX = ".part";

/**
 * Directory of a volume that is mounted as the jobs' root where the volume's own root belongs to whoever made
 * it, as with volumes that a storage driver provisions.
 */
export const PREPARED_DIRECTORY = "jobs";

/** A job's directory on the volume mounted at `root`. */
export function jobDirectory(root: string, jobId: JobId): string {
  return `${root}/${jobId}`;
}

/** All of a tenant's objects begin with this, so that one prefix is one tenant. */
export function tenantPrefix(tenantId: TenantId): string {
  return `tenants/${tenantId}/`;
}

/** All of a job's objects begin with this. */
export function jobPrefix(tenantId: TenantId, jobId: JobId): string {
  return `${tenantPrefix(tenantId)}jobs/${jobId}/`;
}
