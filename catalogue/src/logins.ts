import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import type { TenantId } from "@video-storage/contract/identity";

export const CATALOGUE_ROLES = ["worker", "uploader", "cleanup", "auditor", "monitor", "archivist"] as const;
export type CatalogueRole = (typeof CATALOGUE_ROLES)[number];

interface LoginOf<R extends CatalogueRole> {
  readonly login: string;
  readonly role: R;
  readonly password: string;
  /** How many connections it may have at once; -1 for any number. Default: by its role. */
  readonly connectionLimit?: number;
}

/** A database login and what it may be. A worker's belongs to one tenant; the others' to none. */
export type CatalogueLogin =
  | (LoginOf<"worker"> & { readonly tenantId: TenantId })
  | LoginOf<Exclude<CatalogueRole, "worker">>;

export interface LoginBounds {
  readonly connections: number;
  readonly settings: Readonly<Record<string, string>>;
}

// What a client that asks for nothing gets. A login can lift the time-outs for itself, which is why the sweep ends
// workers' sessions that overstay (storage.end_overstaying_workers); connections and temp_file_limit it can't.
const PATIENCE = {
  statement_timeout: "15s",
  lock_timeout: "5s",
  idle_in_transaction_session_timeout: "30s",
  idle_session_timeout: "15min",
  transaction_timeout: "60s",
};

/** By role; the sweep's is the only login that is never short of connections. */
export const LOGIN_BOUNDS: Readonly<Record<CatalogueRole, LoginBounds>> = {
  worker: {
    connections: 64,
    settings: { ...PATIENCE, temp_file_limit: "64MB", max_parallel_workers_per_gather: "0" },
  },
  uploader: { connections: 64, settings: { ...PATIENCE, temp_file_limit: "256MB" } },
  cleanup: { connections: -1, settings: { ...PATIENCE, transaction_timeout: "15min" } },
  // The page and the one that replaces it have four each, and people's commands come beside them.
  auditor: { connections: 16, settings: { ...PATIENCE, transaction_timeout: "1h" } },
  monitor: { connections: 8, settings: PATIENCE },
  archivist: { connections: 2, settings: { ...PATIENCE, transaction_timeout: "15min" } },
};

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
