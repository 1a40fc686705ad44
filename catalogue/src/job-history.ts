import type { JobId } from "@video-storage/contract/identity";
import type { Queryable, Row } from "./connection.js";
import type { AuditAction } from "./sweeping.js";

/** What the audit says about one job, without the chain. */
export interface HistoryEntry {
  readonly recordedAt: Date;
  readonly volume: string;
  readonly phase: "intent" | "outcome";
  readonly action: AuditAction;
  readonly reason: string;
  readonly bytes: number | null;
  readonly files: number | null;
  readonly actor: string;
}

/** The audit's rows about one job, the oldest first. */
export async function historyOf(catalogue: Queryable, jobId: JobId): Promise<HistoryEntry[]> {
  return catalogue.query<HistoryEntry & Row>(
    `SELECT recorded_at AS "recordedAt", volume, phase, action, reason, bytes, files, actor
     FROM storage.audit WHERE job_id = $1 ORDER BY recorded_at, sequence`,
    [jobId],
  );
}
