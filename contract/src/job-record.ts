import { z } from "zod";
import { isJobFileName } from "./file-names.js";
import type { JobId, TenantId } from "./identity.js";
import type { JsonValue } from "./json-value.js";
import { byteCountSchema, jobIdSchema, problemsOf, tenantIdSchema, versionProblem } from "./schemas.js";
import { firstProblems } from "./shown-text.js";
import { JOB_STATES } from "./states.js";
import type { JobState } from "./states.js";

/** The largest `metadata.json` that is written or read, in bytes. */
export const MAXIMUM_RECORD_BYTES = 1024 * 1024;

export interface FileRecord {
  /** Its length. */
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** That the volume had no room for it, and it is only in object storage. Absent: it is on the volume. */
  readonly location?: "object";
}

/** What a virus scanner said about one file's content. */
export interface ScanRecord {
  /** `undecided`: too large, too slow, or not understood. */
  readonly verdict: "clean" | "infected" | "undecided";
  /** The content that was looked at: a later one under the same name is not meant. */
  readonly sha256: string;
  /** ISO 8601 by the clock of whoever asked. */
  readonly at: string;
  /** The signature that was found, or why there is no decision. */
  readonly detail?: string;
}

/** Where a job runs: the volume's name and the pod that holds the lease. */
export interface JobOwner {
  /** Name of the slot. */
  readonly volume: string;
  /** Name of the node. */
  readonly node: string;
  /** Of the pod. */
  readonly namespace: string;
  /** Name of the pod, whose processes alone write to the job. */
  readonly pod: string;
}

/** What `metadata.json` holds, version 1. The worker that owns the job is its only writer. */
export interface JobRecord {
  /** Comes first: what everything else means. */
  readonly version: 1;
  /** Whose it is. */
  readonly tenantId: TenantId;
  /** The name of its directory. */
  readonly jobId: JobId;
  /** Where it is in its life. */
  readonly state: JobState;
  /** 1 at creation, one more at every change that the catalogue must learn of: a replayed older one is recognised. */
  readonly revision: number;
  /** ISO 8601 by the worker's clock, for people: ages are measured by the database's clock. */
  readonly createdAt: string;
  /** As {@link createdAt}. */
  readonly stateChangedAt: string;
  /** Who began it, and where. */
  readonly owner: JobOwner;
  /** What it was admitted for; absent where that wasn't known. */
  readonly expectedBytes?: number;
  /** The files directly in the job's directory as they were at the last change of state. */
  readonly files: Readonly<Record<string, FileRecord>>;
  /** Sanitised before they came here. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
  /** The reason is sanitised. */
  readonly failure?: { readonly reason: string };
  /** Where its verified copy is, and since when. */
  readonly staged?: { readonly bucket: string; readonly prefix: string; readonly at: string };
  /** The job that another worker handed over, which this one goes on with. */
  readonly continues?: JobId;
  /** By file name: what a virus scanner said, where the stack has one. */
  readonly scans?: Readonly<Record<string, ScanRecord>>;
  /** That the tenant's own worker began it: see record-proof.ts. */
  readonly proof?: string;
}

/** A `metadata.json` that can't be relied on: all that is wrong with it, never its values. */
export class InvalidRecordError extends Error {
  override readonly name = "InvalidRecordError";
}

const name = z.string().min(1).max(253);

/** Deeper than what a worker writes by itself, far from what would exhaust the stack of whoever writes it again. */
const MAXIMUM_DEPTH = 64;

// It came from JSON.parse and is nothing but JSON; z.json() would make a copy without keys such as "__proto__".
const attributes = z
  .custom<Record<string, JsonValue>>(
    (value) =>
      typeof value === "object" && value !== null && !Array.isArray(value) && isWithin(value, MAXIMUM_DEPTH),
    { error: `must be an object, nested at most ${MAXIMUM_DEPTH} deep` },
  )
  .meta({ type: "object" });

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** For the JSON Schema; programs use {@link parseJobRecord}. */
export const jobRecordSchema: z.ZodType<JobRecord> = z.object({
  version: z.literal(1),
  tenantId: tenantIdSchema,
  jobId: jobIdSchema,
  state: z.enum(JOB_STATES),
  revision: z.int().min(1).max(2_147_483_647),
  createdAt: z.iso.datetime(),
  stateChangedAt: z.iso.datetime(),
  owner: z.object({ volume: name, node: name, namespace: name, pod: name }),
  expectedBytes: byteCountSchema.exactOptional(),
  files: z.record(
    z.string().refine(isJobFileName, { error: "is not a file name of a job" }),
    z.object({ bytes: byteCountSchema, sha256, location: z.literal("object").exactOptional() }),
  ),
  attributes,
  failure: z.object({ reason: z.string() }).exactOptional(),
  staged: z.object({ bucket: z.string(), prefix: z.string(), at: z.iso.datetime() }).exactOptional(),
  continues: jobIdSchema.exactOptional(),
  scans: z
    .record(
      z.string().refine(isJobFileName, { error: "is not a file name of a job" }),
      z.object({
        verdict: z.enum(["clean", "infected", "undecided"]),
        sha256,
        at: z.iso.datetime(),
        detail: z.string().max(1024).exactOptional(),
      }),
    )
    .exactOptional(),
  proof: sha256.exactOptional(),
});

/** Reads a record of version 1. Throws {@link InvalidRecordError} with all problems at once. */
export function parseJobRecord(text: string): JobRecord {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAXIMUM_RECORD_BYTES) throw tooLarge(bytes);
  try {
    const value: unknown = JSON.parse(text);
    const problem = versionProblem(value, "version", 1);
    if (problem) throw new InvalidRecordError(`the job record can't be read: ${problem}`);
    const result = jobRecordSchema.safeParse(value);
    if (!result.success) {
      throw new InvalidRecordError(
        firstProblems(`the job record is not valid:\n${problemsOf(result.error)}`),
      );
    }
    return result.data;
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidRecordError("the job record is not JSON");
    throw error;
  }
}

/** The record as `metadata.json` holds it. Throws {@link InvalidRecordError} when it would be too large. */
export function serializeJobRecord(record: JobRecord): string {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAXIMUM_RECORD_BYTES) throw tooLarge(bytes);
  return text;
}

function isWithin(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((child) => isWithin(child, depth - 1));
}

function tooLarge(bytes: number): InvalidRecordError {
  return new InvalidRecordError(
    `the job record has ${bytes} bytes; at most ${MAXIMUM_RECORD_BYTES} are allowed: keep large data in files of the job`,
  );
}
