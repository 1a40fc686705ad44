import { v7 } from "uuid";

declare const tenantBrand: unique symbol;
declare const jobBrand: unique symbol;

/**
 * A tenant: 1 to 40 of `a-z`, `0-9` and `-`, neither beginning nor ending in `-`. It becomes part of
 * object keys, database role names and Kubernetes names, and the alphabet is what all of them take.
 */
export type TenantId = string & { readonly [tenantBrand]: true };

/**
 * A job: a lower-case UUID of version 7 (RFC 9562). Time-ordered, so that listings are by age; 74 random
 * bits, so that nobody guesses a neighbour's. It is a directory name and may be nothing else.
 */
export type JobId = string & { readonly [jobBrand]: true };

/** The pair that names a job, fixed when it is created. */
export interface JobIdentity {
  /** Whose it is. */
  readonly tenantId: TenantId;
  /** Which of theirs. */
  readonly jobId: JobId;
}

/** An id that is not one: says which, what was given and what is allowed. */
export class InvalidIdentityError extends Error {
  override readonly name = "InvalidIdentityError";
}

/** What the checks below and the JSON Schemas go by. */
export const TENANT_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
export const JOB_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export function isTenantId(value: unknown): value is TenantId {
  return typeof value === "string" && TENANT_PATTERN.test(value);
}

export function isJobId(value: unknown): value is JobId {
  return typeof value === "string" && JOB_PATTERN.test(value);
}

/** The value as a tenant id. Throws {@link InvalidIdentityError}. */
export function parseTenantId(value: unknown): TenantId {
  if (isTenantId(value)) return value;
  throw new InvalidIdentityError(
    `tenant id ${shown(value)} is not valid: use 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends`,
  );
}

/** The value as a job id. Throws {@link InvalidIdentityError}. */
export function parseJobId(value: unknown): JobId {
  if (isJobId(value)) return value;
  throw new InvalidIdentityError(
    `job id ${shown(value)} is not valid: use a lower-case UUID of version 7, as newJobId() makes them`,
  );
}

/** A new job id; ids of one process never go backwards. */
export function newJobId(): JobId {
  return v7() as JobId;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
