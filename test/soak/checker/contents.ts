import type { BucketObject, Claim, Evidence } from "./evidence.js";
import type { Findings } from "./findings.js";
import { sha256Of } from "./gathering.js";

/** SHA-256 of a job's file, read from where it is now; undefined when it is nowhere. */
export function contentOf(
  { catalogue, objects, bucket }: Pick<Evidence, "catalogue" | "objects" | "bucket">,
  findings: Findings,
  { tenantId, jobId, volume }: Claim,
  name: string,
): string | undefined {
  const onDisk = findings.entryOf(volume, `${jobId}/${name}`)?.sha256;
  if (onDisk !== undefined) return onDisk;
  const key = `tenants/${tenantId}/jobs/${jobId}/${name}`;
  const row = catalogue.objects.find(
    (candidate) => candidate.key === key && candidate.bucket === bucket && candidate.removedAt === null,
  );
  const object = objects.find((candidate) => candidate.key === (row?.packKey ?? key));
  return object && sha256OfPart(object, row);
}

/** SHA-256 of what a row is about: all of an object, or its place in a pack. */
export function sha256OfPart(
  { content, sha256 }: BucketObject,
  row: { bytes: number; packOffset: number | null } | undefined,
): string {
  if (row === undefined || row.packOffset === null) return sha256;
  return sha256Of((content ?? new Uint8Array()).subarray(row.packOffset, row.packOffset + row.bytes));
}
