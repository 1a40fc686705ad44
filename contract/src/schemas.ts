import { z } from "zod";
import { JOB_PATTERN, TENANT_PATTERN } from "./identity.js";
import type { JobId, TenantId } from "./identity.js";
import { escaped, shownKey } from "./shown-text.js";

/** What more than one of the contract's documents says in the same way. */

const TENANT_RULE =
  "must be 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends";
const JOB_RULE = "must be a lower-case UUID of version 7";

// Strings with a pattern and not z.custom, which no JSON Schema could say; the brands are added by hand.
export const tenantIdSchema = z
  .string({ error: TENANT_RULE })
  .regex(TENANT_PATTERN, { error: TENANT_RULE }) as unknown as z.ZodType<TenantId, TenantId>;
export const jobIdSchema = z
  .string({ error: JOB_RULE })
  .regex(JOB_PATTERN, { error: JOB_RULE }) as unknown as z.ZodType<JobId, JobId>;

export const byteCountSchema = z.int().nonnegative();
export const secondsSchema = z.int().nonnegative();

export const retentionSchema = z.strictObject({
  /** After upload. All of these are seconds since the job came into its state. */
  uploadedSeconds: secondsSchema,
  /** Completed but not uploaded: what then happens is `completedAction`. */
  completedSeconds: secondsSchema,
  failedSeconds: secondsSchema,
  /** Since the last heartbeat. */
  abandonedSeconds: secondsSchema,
  /** What lies in the trash without an intent. */
  trashSeconds: secondsSchema,
  stagedSeconds: secondsSchema,
  orphanedSeconds: secondsSchema,
  completedAction: z.enum(["tier", "delete", "keep"]),
});
export type Retention = z.infer<typeof retentionSchema>;

export const catalogueAddressSchema = z.strictObject({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  database: z.string().min(1),
  /** With it, the server must prove by its certificate that it is `host`; without it, nothing is encrypted. */
  tls: z.boolean(),
  /** Whose certificates are believed, as PEM; null or nothing for those that the program believes anyway. */
  caFile: z.string().startsWith("/").nullable().exactOptional(),
});
export type CatalogueAddress = z.infer<typeof catalogueAddressSchema>;

export const objectStorageSettingsSchema = z.strictObject({
  /** Null for AWS itself. */
  endpoint: z.url({ protocol: /^https?$/ }).nullable(),
  region: z.string().min(1),
  bucket: z.string().min(3).max(63),
  forcePathStyle: z.boolean(),
  /**
   * `secret`: an access key is mounted as files. `ambient`: none exists, and the pod's own identity counts (IRSA
   * or EKS Pod Identity), as the SDK's default chain finds it.
   */
  credentials: z.enum(["secret", "ambient"]).default("secret"),
  /** PEM of the authorities that the endpoint's certificate is checked against; null for the public ones. */
  caFile: z.string().startsWith("/").nullable().default(null),
});
export type ObjectStorageSettings = z.output<typeof objectStorageSettingsSchema>;
/** The same with what has a default left out. */
export type ObjectStorageSettingsInput = z.input<typeof objectStorageSettingsSchema>;

export const scanSettingsSchema = z.strictObject({
  /** Where clamd listens for TCP. */
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  /** Larger files aren't sent. At most clamd's own StreamMaxLength, and its MaxFileSize and MaxScanSize. */
  maxBytes: z.int().min(1),
  /** For one file, from the connection to the verdict. */
  timeoutSeconds: z.int().min(1),
  /**
   * What happens to a file that is larger, takes longer, or that clamd can't decide about: `refuse` keeps it from
   * leaving the volume, `allow` lets it go, and both are recorded. A clamd that can't be reached always refuses.
   */
  whenUndecided: z.enum(["refuse", "allow"]),
});
export type ScanSettings = z.infer<typeof scanSettingsSchema>;

/** Every problem as `path: what is wrong`, one per line, without the values: they may be secrets. */
export function problemsOf(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => {
      const keys = path.map((key) => shownKey(String(key)));
      // What zod says of unknown keys quotes them.
      return `  ${keys.join(".") || "(whole)"}: ${escaped(message)}`;
    })
    .join("\n");
}

/** One of the contract's documents, for who reads it. */
export interface ReadDocument<T> {
  readonly schema: z.ZodType<T>;
  /** What it is called where it can't be used, and whether that is one thing or several. */
  readonly name: string;
  readonly verb: "is" | "are";
  /** Default "version". */
  readonly versionField?: string;
  readonly Invalid: new (message: string) => Error;
}

/** Reads a document of version 1. Throws `Invalid` with all problems at once. */
export function readDocument<T>(
  value: unknown,
  { schema, name, verb, versionField = "version", Invalid }: ReadDocument<T>,
): T {
  const problem = versionProblem(value, versionField, 1);
  if (problem) throw new Invalid(`${name} can't be read: ${problem}`);
  // A program reads it once. zod would write a function for each object in it first, which pays over many readings:
  // without, the first takes a third of the time.
  const result = schema.safeParse(value, { jitless: true });
  if (!result.success) throw new Invalid(`${name} ${verb} not valid:\n${problemsOf(result.error)}`);
  return result.data;
}

/** Why `value` can't be read by a program that knows only `version`; undefined when it can. */
export function versionProblem(value: unknown, field: string, version: number): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is not a JSON object";
  const found = (value as Record<string, unknown>)[field];
  if (found === version) return undefined;
  if (found === undefined) return `it has no ${field}; this program reads ${field} ${version}`;
  const shown = typeof found === "number" ? found : `of type ${typeOf(found)}`;
  return `it has ${field} ${shown}, and this program reads only ${version}: use releases that match`;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
