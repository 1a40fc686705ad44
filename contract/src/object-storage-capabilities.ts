import { z } from "zod";
import { readDocument } from "./schemas.js";

/**
 * The ConfigMap, in the workers' namespace, in which the probe leaves what it found, and its key. Empty until
 * the probe has run.
 */
export const CAPABILITIES_CONFIG_MAP = "object-storage-capabilities";
export const CAPABILITIES_KEY = "capabilities.json";
/** Where the cleanup job's pod has it mounted; there is no such file before the probe has run. */
export const CAPABILITIES_FILE = `/etc/object-storage-capabilities/${CAPABILITIES_KEY}`;

/** The annotation of the probe's Job with the same, from which the stack reads it when the Job is done. */
export const CAPABILITIES_ANNOTATION = "video-storage/object-storage-capabilities";

/** Below this lie the probe's own objects, and none of any tenant's. */
export const PROBE_PREFIX = "probe/";

/**
 * The tag that the cleanup job puts on an object that may go: its intent to delete is recorded, and the job is
 * uploaded or out of its time. The bucket's own expiry takes what has this tag and nothing else, so that no
 * endpoint can expire data whose other copy isn't verified.
 */
export const RELEASED_TAG = { key: "video-storage-lifecycle", value: "released" } as const;

/** What a bucket is asked for. Each is found by trying it, never by the name of the product. */
export const OBJECT_STORAGE_CAPABILITIES = [
  /** The endpoint speaks TLS, its certificate is trusted, and the same request in clear is refused. */
  "tls-only",
  /** Nobody without credentials reads, lists or writes. */
  "no-public-access",
  /** An object that is put without a word about it is encrypted at rest, and the answer says so. */
  "encryption",
  /** What is overwritten or deleted stays behind as an older version. */
  "versioning",
  /** `If-None-Match: *` keeps a put, and the completion of an upload in parts, from overwriting. */
  "conditional-writes",
  /** A body that doesn't match its SHA-256 is refused; the checksum of one that does can be read back. */
  "checksum-sha256",
  /** The same with CRC32C. */
  "checksum-crc32c",
  /** An object can be put in parts. */
  "multipart",
  /** Unfinished uploads are found by listing the bucket, without their keys being known. */
  "list-unfinished-uploads",
  /** An object can be given tags later on. */
  "tags",
] as const;
export type ObjectStorageCapability = (typeof OBJECT_STORAGE_CAPABILITIES)[number];

/** What the bucket's lifecycle rules are for; also their ids. */
export const LIFECYCLE_RULES = [
  /** Ends uploads that nobody finished. */
  "abort-unfinished-uploads",
  /** Removes older versions some days after a newer one, or a deletion, came. */
  "expire-noncurrent-versions",
  /** Removes delete markers with nothing behind them. */
  "remove-expired-delete-markers",
  /** Removes objects with {@link RELEASED_TAG}. */
  "expire-released-objects",
  /** Removes what a killed probe left. */
  "expire-probe-objects",
  /** Moves objects to a colder class. */
  "transition-cold-objects",
] as const;
export type LifecycleRuleName = (typeof LIFECYCLE_RULES)[number];

/**
 * What became of a rule: `kept` as it was put; `dropped` though the put succeeded, as MinIO does with the abort
 * of unfinished uploads (minio#19115); `altered`; `refused` with an error; or not `declared`.
 */
export const LIFECYCLE_OUTCOMES = ["kept", "dropped", "altered", "refused", "not-declared"] as const;
export type LifecycleOutcome = (typeof LIFECYCLE_OUTCOMES)[number];

const finding = z.object({
  held: z.boolean(),
  /** Whether the deployment fails without it. */
  required: z.boolean(),
  /** What was seen. Never a credential. */
  detail: z.string(),
});

const ruleFinding = z.object({ outcome: z.enum(LIFECYCLE_OUTCOMES), detail: z.string() });

const capabilitiesSchema = z.object({
  version: z.literal(1),
  /** By the probe's clock. */
  probedAt: z.iso.datetime(),
  /** Null for AWS itself. */
  endpoint: z.string().nullable(),
  bucket: z.string(),
  capabilities: z.record(z.enum(OBJECT_STORAGE_CAPABILITIES), finding),
  lifecycle: z.record(z.enum(LIFECYCLE_RULES), ruleFinding),
});

/** What the probe found out about a bucket, version 1. */
export type ObjectStorageCapabilities = z.infer<typeof capabilitiesSchema>;

/** A report that can't be relied on: all that is wrong with it. */
export class InvalidCapabilitiesError extends Error {
  override readonly name = "InvalidCapabilitiesError";
}

/** Reads a report of version 1. Throws {@link InvalidCapabilitiesError} with all problems at once. */
export function parseObjectStorageCapabilities(value: unknown): ObjectStorageCapabilities {
  return readDocument(value, {
    schema: capabilitiesSchema,
    name: "the object storage's capabilities",
    verb: "are",
    Invalid: InvalidCapabilitiesError,
  });
}

/** What the cleanup job has to do itself, because the endpoint doesn't. */
export interface ObjectStorageDuties {
  readonly abortUnfinishedUploads: boolean;
  /** Needs `s3:ListBucketVersions` and `s3:DeleteObjectVersion`, which the cleanup job's role lacks where the rule is kept. */
  readonly removeNoncurrentVersions: boolean;
  /** Objects with {@link RELEASED_TAG} must be deleted by name. */
  readonly removeReleasedObjects: boolean;
}

/** The duties that follow from a report; all of them while there is none. */
export function objectStorageDuties(found: ObjectStorageCapabilities | null): ObjectStorageDuties {
  const lacking = (rule: LifecycleRuleName): boolean => found?.lifecycle[rule].outcome !== "kept";
  return {
    abortUnfinishedUploads: lacking("abort-unfinished-uploads"),
    removeNoncurrentVersions: lacking("expire-noncurrent-versions"),
    removeReleasedObjects: lacking("expire-released-objects"),
  };
}
