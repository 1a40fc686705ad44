import type { JobIdentity } from "@video-storage/contract/identity";
import type { JobState } from "@video-storage/contract/states";

export type JobLocation = "local" | "object" | "none";

/** A job as the catalogue knows it. Ages are in seconds by the database's clock; negative ones lie in the future. */
export interface CataloguedJob extends JobIdentity {
  readonly state: JobState;
  readonly revision: number;
  readonly volume: string;
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  readonly expectedBytes: number | null;
  readonly bytes: number | null;
  readonly location: JobLocation;
  readonly contradiction: boolean;
  readonly deleted: boolean;
  readonly secondsSinceCreation: number;
  readonly secondsInState: number;
  readonly secondsSinceHeartbeat: number;
  readonly secondsSinceAccess: number;
}

const age = (column: string): string => `extract(epoch FROM clock_timestamp() - ${column})::float8`;

/** What to select from storage.jobs for a {@link CataloguedJob}. */
export const JOB_COLUMNS = `tenant_id AS "tenantId", job_id AS "jobId", state, revision, volume, node, namespace, pod,
  expected_bytes AS "expectedBytes", bytes, location, contradiction, deleted_at IS NOT NULL AS deleted,
  ${age("created_at")} AS "secondsSinceCreation", ${age("state_changed_at")} AS "secondsInState",
  ${age("heartbeat_at")} AS "secondsSinceHeartbeat", ${age("last_access_at")} AS "secondsSinceAccess"`;
