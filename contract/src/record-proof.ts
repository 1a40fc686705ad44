import { createHash, createHmac } from "node:crypto";
import type { JobRecord } from "./job-record.js";

/**
 * What shows that a job's record was begun by the tenant that it names. Whoever ran on the volume before can write a
 * record there in any tenant's name; the sweep tells the catalogue only of those that carry this, when the worker
 * itself can't any more. Bound to tenant, job and volume, so that it is of no use for another one.
 */

/** The key behind it, from the password of the tenant's login: the tenant's workers and the catalogue have it. */
export function recordKey(password: string): Buffer {
  return createHmac("sha256", password).update("video-storage job record").digest();
}

/** Lower-case hexadecimal. The catalogue computes the same in SQL, without an extension: hence not an HMAC. */
export function recordProof(
  key: Buffer,
  { tenantId, jobId, owner }: Pick<JobRecord, "tenantId" | "jobId" | "owner">,
): string {
  const content = `${tenantId}\n${jobId}\n${owner.volume}`;
  const inner = createHash("sha256").update(key).update(content, "utf8").digest();
  return createHash("sha256").update(key).update(inner).digest("hex");
}
