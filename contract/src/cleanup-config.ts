import { z } from "zod";
import { isTenantId } from "./identity.js";
import {
  byteCountSchema,
  catalogueAddressSchema,
  objectStorageSettingsSchema,
  readDocument,
  retentionSchema,
  secondsSchema,
} from "./schemas.js";
import type { Retention } from "./schemas.js";

/** Where the ConfigMap with the cleanup job's settings is mounted in its pod. */
export const CLEANUP_CONFIG_FILE = "/etc/video-storage/cleanup.json";

const percent = z.number().gt(0).max(100);

/** Eviction starts at the high and ends at the low mark. */
const watermarks = z
  .strictObject({ highWaterPercent: percent, lowWaterPercent: percent })
  .refine((p) => p.lowWaterPercent < p.highWaterPercent, {
    error: "lowWaterPercent must be less than highWaterPercent",
  });
export type Watermarks = z.infer<typeof watermarks>;

function byTenant<T extends z.ZodType>(value: T) {
  return z.record(
    z.string().refine((id): boolean => isTenantId(id), { error: "is not a tenant id" }),
    value,
  );
}

/** What a tenant may be given instead of the stack's own. What lies in the trash belongs to nobody for certain. */
const overridable = retentionSchema.omit({ trashSeconds: true }).partial();

const range = z
  .strictObject({ minimumSeconds: secondsSchema, maximumSeconds: secondsSchema })
  .refine((r) => r.minimumSeconds <= r.maximumSeconds, {
    error: "minimumSeconds must not exceed maximumSeconds",
  });

const tenantRetentionSchema = z
  .strictObject({
    /** A time without limits, and an action that isn't listed, can't be overridden. */
    limits: z
      .strictObject({
        uploadedSeconds: range,
        completedSeconds: range,
        failedSeconds: range,
        abandonedSeconds: range,
        stagedSeconds: range,
        orphanedSeconds: range,
        completedActions: z.array(retentionSchema.shape.completedAction),
      })
      .partial(),
    overrides: byTenant(overridable),
  })
  .superRefine(({ limits, overrides }, context) => {
    for (const [tenant, override] of Object.entries(overrides)) {
      const refuse = (key: string, message: string): void =>
        context.addIssue({ code: "custom", path: ["overrides", tenant, key], message });
      for (const [key, value] of Object.entries(override)) {
        if (value === undefined) continue;
        if (typeof value === "string") {
          if (limits.completedActions?.includes(value) === true) continue;
          refuse(
            key,
            `must be one of limits.completedActions (${limits.completedActions?.join(", ") ?? ""})`,
          );
          continue;
        }
        const limit = limits[key as Exclude<keyof typeof limits, "completedActions">];
        if (!limit) refuse(key, `can't be overridden: limits has no ${key}`);
        else if (value < limit.minimumSeconds || value > limit.maximumSeconds)
          refuse(
            key,
            `must be from ${limit.minimumSeconds} to ${limit.maximumSeconds}, as limits.${key} says`,
          );
      }
    }
  });

/** What eviction leaves a tenant, whatever the pressure. */
const floorSchema = z.strictObject({
  /** A finished job is kept at least that long after its last change of state. */
  seconds: secondsSchema,
  /** That much of the tenant's most recently used finished jobs stays on a volume. */
  bytes: byteCountSchema,
});
export type PressureFloor = z.infer<typeof floorSchema>;

const pressureSchema = z.strictObject({
  bytes: watermarks,
  inodes: watermarks,
  /** Completed jobs that nobody uploaded yet: left alone, or moved to object storage, or deleted with their only copy. */
  unuploaded: z.enum(["keep", "tier", "delete"]).default("keep"),
  floor: floorSchema.default({ seconds: 0, bytes: 0 }),
  tenantFloors: byTenant(floorSchema.partial()).default({}),
});
export type PressurePolicy = z.infer<typeof pressureSchema>;

const tieringSchema = z.strictObject({
  /**
   * Smaller files of a job are packed together, because every object costs a request, and lifecycle rules move no
   * object below 128 KiB to a colder class by default. 0 packs nothing.
   */
  packBelowBytes: byteCountSchema.max(16 * 1024 * 1024).default(128 * 1024),
  /** Parts of one file that are on their way at once; each is held in memory. */
  concurrency: z.int().min(1).max(16).default(4),
});

const janitorSchema = z.strictObject({
  /** The bucket is looked through once in this time, whoever's sweep comes first; with 0 by no sweep. */
  periodSeconds: secondsSchema.default(86_400),
  /** An upload that was begun longer ago and isn't finished is ended. Longer than any upload takes. */
  unfinishedUploadSeconds: secondsSchema.default(86_400),
  /** Objects past their time that hold the only copy of a job which nobody uploaded. */
  unuploaded: z.enum(["keep", "delete"]).default("keep"),
  /**
   * When more objects than this seem to be nobody's, and they are more than this share of all, the catalogue is
   * doubted: nothing of them is removed, and it is reported. A catalogue restored from a backup looks just so.
   */
  doubtAboveObjects: z.int().nonnegative().default(100),
  doubtAbovePercent: percent.default(20),
});

const metricsSchema = z.strictObject({
  /** Where each sweep leaves how it went: the base URL of a Pushgateway. */
  pushgateway: z.url({ protocol: /^https?$/ }).refine((url) => !hasCredentials(url), {
    error: "must have no user or password in it: these settings are no secret",
  }),
  /** The label by which several stacks in one Prometheus are told apart. */
  environment: z.string().min(1).max(253),
});
export type SweepMetricsSettings = z.infer<typeof metricsSchema>;

function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
}

// Strict: a misspelt setting must not quietly mean a default when the program deletes things.
/** For the JSON Schema; programs use {@link parseCleanupConfig}. */
export const cleanupConfigSchema = z.strictObject({
  version: z.literal(1),
  retention: retentionSchema,
  tenantRetention: tenantRetentionSchema.default({ limits: {}, overrides: {} }),
  heartbeatTimeoutSeconds: secondsSchema,
  /** Where the workers' pods are. */
  namespace: z.string().min(1),
  catalogue: catalogueAddressSchema,
  objectStorage: objectStorageSettingsSchema.nullable(),
  pressure: pressureSchema,
  tiering: tieringSchema.prefault({}),
  janitor: janitorSchema.prefault({}),
  /** Whether a job is abandoned only when Kubernetes says that its pod is gone. */
  checkPods: z.boolean(),
  /** Null or nothing: sweeps push no metrics. */
  metrics: metricsSchema.nullable().exactOptional(),
});

export type CleanupConfig = z.infer<typeof cleanupConfigSchema>;
export type TieringSettings = CleanupConfig["tiering"];
export type JanitorSettings = CleanupConfig["janitor"];

/** Settings that the cleanup job refuses: all that is wrong with them. */
export class InvalidCleanupConfigError extends Error {
  override readonly name = "InvalidCleanupConfigError";
}

/** Reads settings of version 1. Throws {@link InvalidCleanupConfigError} with all problems at once. */
export function parseCleanupConfig(value: unknown): CleanupConfig {
  return readDocument(value, {
    schema: cleanupConfigSchema,
    name: "the cleanup settings",
    verb: "are",
    Invalid: InvalidCleanupConfigError,
  });
}

/** The times and the action that count for a tenant: its own where it has some, else the stack's. */
export function retentionOf(
  { retention, tenantRetention }: Pick<CleanupConfig, "retention" | "tenantRetention">,
  tenantId: string | null | undefined,
): Retention {
  const own = tenantId == null ? undefined : tenantRetention.overrides[tenantId];
  if (!own) return retention;
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...retention, ...Object.fromEntries(given) };
}

/** What eviction leaves a tenant. */
export function floorOf(policy: PressurePolicy, tenantId: string): PressureFloor {
  const own = policy.tenantFloors[tenantId];
  return {
    seconds: own?.seconds ?? policy.floor.seconds,
    bytes: own?.bytes ?? policy.floor.bytes,
  };
}
