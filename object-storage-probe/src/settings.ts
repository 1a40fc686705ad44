import { z } from "zod";
import {
  LIFECYCLE_RULES,
  OBJECT_STORAGE_CAPABILITIES,
} from "@video-storage/contract/object-storage-capabilities";
import { objectStorageSettingsSchema, readDocument } from "@video-storage/contract/schemas";

/** Where the ConfigMap with the probe's settings is mounted in its pod. */
export const PROBE_SETTINGS_FILE = "/etc/object-storage-probe/probe.json";

const tag = z.strictObject({ Key: z.string().min(1), Value: z.string() });

/** A rule in the words of S3's own API; only what {@link LIFECYCLE_RULES} need. */
const lifecycleRuleSchema = z.strictObject({
  ID: z.enum(LIFECYCLE_RULES),
  Status: z.literal("Enabled"),
  Filter: z.union([
    z.strictObject({ Prefix: z.string() }),
    z.strictObject({ And: z.strictObject({ Prefix: z.string(), Tags: z.array(tag).min(1) }) }),
  ]),
  Expiration: z
    .union([
      z.strictObject({ Days: z.int().min(1) }),
      z.strictObject({ ExpiredObjectDeleteMarker: z.literal(true) }),
    ])
    .optional(),
  NoncurrentVersionExpiration: z.strictObject({ NoncurrentDays: z.int().min(1) }).optional(),
  AbortIncompleteMultipartUpload: z.strictObject({ DaysAfterInitiation: z.int().min(1) }).optional(),
  Transitions: z
    .array(z.strictObject({ Days: z.int().min(0), StorageClass: z.string().min(1) }))
    .length(1)
    .optional(),
});
export type LifecycleRule = z.infer<typeof lifecycleRuleSchema>;

const configMapReference = z.strictObject({ namespace: z.string().min(1), name: z.string().min(1) });

const settingsSchema = z.strictObject({
  version: z.literal(1),
  objectStorage: objectStorageSettingsSchema,
  lifecycle: z.strictObject({
    /** `apply` puts the rules and reads them back; `verify` only reads: somebody else put them, as the stack does on AWS. */
    mode: z.enum(["apply", "verify"]),
    rules: z.array(lifecycleRuleSchema),
  }),
  /** What the answers must name as encryption; null where any will do. */
  encryption: z.enum(["AES256", "aws:kms"]).nullable(),
  /** The deployment fails without these. */
  required: z.strictObject({
    capabilities: z.array(z.enum(OBJECT_STORAGE_CAPABILITIES)),
    rules: z.array(z.enum(LIFECYCLE_RULES)),
  }),
  /** How long the endpoint may take to answer at all, in seconds. */
  patienceSeconds: z.int().min(0).default(90),
  /** Where the report goes in the cluster; null outside one. */
  report: configMapReference.nullable(),
});
export type ProbeSettings = z.output<typeof settingsSchema>;
export type ProbeSettingsInput = z.input<typeof settingsSchema>;

/** Settings that can't be used: all that is wrong with them. */
export class InvalidProbeSettingsError extends Error {
  override readonly name = "InvalidProbeSettingsError";
}

/** Reads settings of version 1. Throws {@link InvalidProbeSettingsError} with all problems at once. */
export function parseProbeSettings(value: unknown): ProbeSettings {
  return readDocument(value, {
    schema: settingsSchema,
    name: "the probe's settings",
    verb: "are",
    Invalid: InvalidProbeSettingsError,
  });
}
