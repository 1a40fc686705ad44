import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What the rules compare with; each can be set for a rule in the pack's configuration. */
export interface Limits {
  /** Largest size that a claim may ask for, as a Kubernetes quantity. */
  readonly maximumClaim: string;
  /** Smallest size that a claim may ask for, as a Kubernetes quantity. */
  readonly minimumClaim: string;
  /** Storage classes that a claim may name besides those that the stack declares; empty for any. */
  readonly allowedStorageClasses: readonly string[];
  /** Provisioners that a StorageClass may name. */
  readonly allowedProvisioners: readonly string[];
  /** Beginnings of image names that may be used, such as `registry.example.com/team/`; empty for any. */
  readonly allowedRegistries: readonly string[];
  /** Lowest user id that a container may run as: below it are the ids of a host's own users (checkov CKV_K8S_40). */
  readonly minimumUser: number;
  /** The CronJob controller looks every ten seconds; a shorter deadline can be missed for ever. */
  readonly minimumStartingDeadlineSeconds: number;
  /** How fast a volume is taken to fill, for the check that it is swept before it is full. Bytes a second. */
  readonly fillBytesPerSecond: string;
  /** After how many days an unfinished upload must have been aborted, at most. */
  readonly maximumAbortDays: number;
  /** Whether buckets may be deleted with what is in them. Only for environments whose data is disposable. */
  readonly disposableBuckets: boolean;
}

// A file that the in-cluster twins of these rules read as well, which are built by an ES module.
export const DEFAULT_LIMITS = JSON.parse(
  readFileSync(join(__dirname, "default-limits.json"), "utf8"),
) as Limits;

interface LimitSchema {
  readonly type: "string" | "integer" | "boolean" | "array";
  readonly description: string;
  /** Whether it is a text that says a size. */
  readonly isSize?: true;
}

/** How each limit is written in the pack's configuration. */
export const LIMIT_SCHEMAS: Readonly<Record<keyof Limits, LimitSchema>> = {
  maximumClaim: {
    type: "string",
    description: "largest size that a claim may ask for, such as 16Ti",
    isSize: true,
  },
  minimumClaim: {
    type: "string",
    description: "smallest size that a claim may ask for, such as 1Mi",
    isSize: true,
  },
  allowedStorageClasses: {
    type: "array",
    description: "classes that a claim may name besides the stack's own; empty for any",
  },
  allowedProvisioners: { type: "array", description: "provisioners that a StorageClass may name" },
  allowedRegistries: {
    type: "array",
    description: "beginnings of image names that may be used; empty for any",
  },
  minimumUser: { type: "integer", description: "lowest user id that a container may run as" },
  minimumStartingDeadlineSeconds: {
    type: "integer",
    description: "shortest startingDeadlineSeconds of a CronJob",
  },
  fillBytesPerSecond: {
    type: "string",
    description: "how fast a volume fills, in bytes a second, such as 64Mi",
    isSize: true,
  },
  maximumAbortDays: {
    type: "integer",
    description: "days after which an unfinished upload must have been aborted",
  },
  disposableBuckets: { type: "boolean", description: "whether buckets may be deleted with what is in them" },
};

const UNITS: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  P: 10n ** 15n,
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
  Pi: 2n ** 50n,
};

/** The bytes of a Kubernetes quantity; undefined when it is none. Fractions are rounded up, as Kubernetes does. */
export function bytesOf(quantity: unknown): bigint | undefined {
  if (typeof quantity === "number")
    return Number.isFinite(quantity) ? BigInt(Math.ceil(quantity)) : undefined;
  if (typeof quantity !== "string") return undefined;
  const [, whole, fraction = "", unit = ""] = /^(\d+)(?:\.(\d+))?([kMGTP]|[KMGTP]i)?$/.exec(quantity) ?? [];
  if (whole === undefined) return undefined;
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * UNITS[unit]!;
  return (scaled + scale - 1n) / scale;
}
