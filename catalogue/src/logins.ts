import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import type { TenantId } from "@video-storage/contract/identity";

export const CATALOGUE_ROLES = ["worker", "uploader", "cleanup", "auditor", "monitor"] as const;
export type CatalogueRole = (typeof CATALOGUE_ROLES)[number];

/** A database login and what it may be. A worker's belongs to one tenant; the others' to none. */
export type CatalogueLogin =
  | {
      readonly login: string;
      readonly role: "worker";
      readonly tenantId: TenantId;
      readonly password: string;
    }
  | { readonly login: string; readonly role: Exclude<CatalogueRole, "worker">; readonly password: string };

/** The login of a tenant's workers. Tenant ids have no `_`, so no two tenants share one. */
export function workerLogin(tenantId: TenantId): string {
  return `worker_${tenantId.replaceAll("-", "_")}`;
}

/**
 * What Postgres stores for a password (RFC 5803). Made here, so that the password itself is in no statement
 * and thus in no server log.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16), iterations = 4096): string {
  const salted = pbkdf2Sync(password.normalize("NFKC"), salt, iterations, 32, "sha256");
  const key = (name: string): Buffer => createHmac("sha256", salted).update(name).digest();
  const stored = createHash("sha256").update(key("Client Key")).digest("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${key("Server Key").toString("base64")}`;
}
