import { z } from "zod";
import {
  catalogueAddressSchema,
  objectStorageSettingsSchema,
  problemsOf,
  retentionSchema,
  secondsSchema,
  versionProblem,
} from "./schemas.js";

/** Where the ConfigMap with the cleanup job's settings is mounted in its pod. */
export const CLEANUP_CONFIG_FILE = "/etc/video-storage/cleanup.json";

const percent = z.number().gt(0).max(100);

// Strict: a misspelt setting must not quietly mean a default when the program deletes things.
const configSchema = z.strictObject({
  version: z.literal(1),
  retention: retentionSchema,
  heartbeatTimeoutSeconds: secondsSchema,
  /** Where the workers' pods are. */
  namespace: z.string().min(1),
  catalogue: catalogueAddressSchema,
  objectStorage: objectStorageSettingsSchema.nullable(),
  /** Percent of the volume in use: eviction starts at the high and ends at the low mark. */
  pressure: z
    .strictObject({ highWaterPercent: percent, lowWaterPercent: percent })
    .refine((p) => p.lowWaterPercent < p.highWaterPercent, {
      error: "lowWaterPercent must be less than highWaterPercent",
    }),
  /** Whether a job is abandoned only when Kubernetes says that its pod is gone. */
  checkPods: z.boolean(),
});

export type CleanupConfig = z.infer<typeof configSchema>;

/** Settings that the cleanup job refuses: all that is wrong with them. */
export class InvalidCleanupConfigError extends Error {
  override readonly name = "InvalidCleanupConfigError";
}

/** Reads settings of version 1. Throws {@link InvalidCleanupConfigError} with all problems at once. */
export function parseCleanupConfig(value: unknown): CleanupConfig {
  const problem = versionProblem(value, "version", 1);
  if (problem) throw new InvalidCleanupConfigError(`the cleanup settings can't be read: ${problem}`);
  const result = configSchema.safeParse(value);
  if (!result.success) {
    throw new InvalidCleanupConfigError(`the cleanup settings are not valid:\n${problemsOf(result.error)}`);
  }
  return result.data;
}
