import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { recordKey } from "@video-storage/contract/record-proof";
import { translated } from "./errors.js";
import { CATALOGUE_ROLES, scramVerifier } from "./logins.js";
import type { CatalogueLogin } from "./logins.js";

const MIGRATIONS = fileURLToPath(new URL("../migrations", import.meta.url));

export interface MigrateOptions {
  /** Where the SQL files are; by default beside this module. */
  readonly directory?: string;
  readonly log?: (line: string) => void;
}

/**
 * Brings the schema to the newest version, all migrations or none, and returns the names of those that ran.
 * Safe to repeat and to run twice at once: the second waits up to a minute and finds nothing to do.
 */
export async function migrate(adminUrl: string, options: MigrateOptions = {}): Promise<string[]> {
  return asAdmin(adminUrl, async (client) => {
    await client.query("SET lock_timeout = '60s'");
    const done = await runner({
      dbClient: client,
      dir: options.directory ?? MIGRATIONS,
      direction: "up",
      schema: "public",
      migrationsSchema: "storage",
      migrationsTable: "migrations",
      createMigrationsSchema: true,
      checkOrder: true,
      singleTransaction: true,
      advisoryLockMode: "wait",
      log: options.log ?? (() => undefined),
    });
    return done.map((migration) => migration.name);
  });
}

/** Makes the logins what they are said to be: password, one role, one tenant. Safe to repeat. */
export async function provisionLogins(adminUrl: string, logins: readonly CatalogueLogin[]): Promise<void> {
  await asAdmin(adminUrl, async (client) => {
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('storage.logins', 0))");
    for (const login of logins) await provision(client, login);
    await client.query("COMMIT");
  });
}

async function provision(client: pg.Client, entry: CatalogueLogin): Promise<void> {
  const login = pg.escapeIdentifier(entry.login);
  const { rowCount } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [entry.login]);
  if (rowCount === 0) await client.query(`CREATE ROLE ${login}`);
  await client.query(
    `ALTER ROLE ${login} LOGIN INHERIT PASSWORD ${pg.escapeLiteral(scramVerifier(entry.password))}`,
  );
  const others = CATALOGUE_ROLES.filter((role) => role !== entry.role).map((role) => `storage_${role}`);
  // Before: a REVOKE of what isn't granted is only a warning.
  await client.query(`REVOKE ${others.join(", ")} FROM ${login}`);
  await client.query(`GRANT storage_${entry.role} TO ${login}`);
  if (entry.role === "worker") {
    await client.query(
      `INSERT INTO storage.tenant_logins (login, tenant_id, record_key) VALUES ($1, $2, $3)
       ON CONFLICT (login) DO UPDATE SET tenant_id = excluded.tenant_id, record_key = excluded.record_key`,
      [entry.login, entry.tenantId, recordKey(entry.password)],
    );
  } else {
    await client.query("DELETE FROM storage.tenant_logins WHERE login = $1", [entry.login]);
  }
}

async function asAdmin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { hostname, port, pathname } = new URL(url);
  const where = `${hostname}:${port || "5432"}${pathname}`;
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw translated(error, where);
  } finally {
    await client.end().catch(() => undefined);
  }
}
