import type { JobIdentity } from "@video-storage/contract/identity";
import type { Queryable } from "./connection.js";

/** What a virus scanner said about a content of a job. */
export interface CataloguedScan {
  readonly file: string;
  readonly sha256: string;
  readonly verdict: "clean" | "infected" | "undecided";
  /** The signature that was found, or why there is no decision. */
  readonly detail: string | null;
}

/** Adds what a scanner said now, by the database's clock and in this login's name. */
export async function recordScan(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
  { file, sha256, verdict, detail }: CataloguedScan,
): Promise<void> {
  await catalogue.query(
    `INSERT INTO storage.scans (tenant_id, job_id, file, sha256, verdict, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
    [tenantId, jobId, file, sha256, verdict, detail],
  );
}

/**
 * Whether this login itself had that content scanned within the last seconds, and it was clean: a tenant's word about
 * its own files is no word for the uploader.
 */
export async function ownCleanScan(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
  sha256: string,
  maximumAgeSeconds: number,
): Promise<boolean> {
  const [row] = await catalogue.query<{ verdict: string }>(
    `SELECT verdict FROM storage.scans WHERE tenant_id = $1 AND job_id = $2 AND sha256 = $3
       AND scanned_by = session_user AND scanned_at > now() - make_interval(secs => $4)
     ORDER BY id DESC LIMIT 1`,
    [tenantId, jobId, sha256, maximumAgeSeconds],
  );
  return row?.verdict === "clean";
}

/** All that was said about a job's files, the first first. */
export async function scansOf(
  catalogue: Queryable,
  { tenantId, jobId }: JobIdentity,
): Promise<(CataloguedScan & { scannedBy: string })[]> {
  return catalogue.query<CataloguedScan & { scannedBy: string } & Record<string, unknown>>(
    `SELECT file, sha256, verdict, detail, scanned_by::text AS "scannedBy" FROM storage.scans
     WHERE tenant_id = $1 AND job_id = $2 ORDER BY id`,
    [tenantId, jobId],
  );
}
