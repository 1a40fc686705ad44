import pg from "pg";
import { recordKey } from "@video-storage/contract/record-proof";
import { asAdministrator } from "./administrator.js";
import type { AdministratorOptions } from "./administrator.js";
import { LoginsTakenError } from "./errors.js";
import { CATALOGUE_ROLES, LOGIN_BOUNDS, scramVerifier } from "./logins.js";
import type { CatalogueLogin } from "./logins.js";

/**
 * Makes the logins what they are said to be: password, one role, one tenant, bounds; and closes the database to all
 * others. Safe to repeat and to run twice at once. Returns what this administrator may not do, in words for people: a
 * managed Postgres gives nobody all the rights of a superuser. Throws LoginsTakenError, and has changed nothing, when a
 * login serves another database of the same server.
 */
export async function provisionLogins(
  adminUrl: string,
  logins: readonly CatalogueLogin[],
  options: AdministratorOptions = {},
): Promise<string[]> {
  return asAdministrator(adminUrl, options, async (client) => {
    const notes: string[] = [];
    await client.query("BEGIN");
    // Not an advisory lock: those are anybody's to hold.
    await client.query("LOCK TABLE storage.tenant_logins IN SHARE ROW EXCLUSIVE MODE");
    await refuseOthers(client, logins);
    const { rows } = await client.query<{ database: string }>("SELECT current_database() AS database");
    const { database } = rows[0]!;
    for (const login of logins) await provision(client, database, login, notes);
    await closeDatabase(client, database, notes);
    await client.query("COMMIT");
    return [...new Set(notes)];
  });
}

/** What a login's comment begins with; the database it serves follows. */
const SERVES = "login of the video storage in database ";

/**
 * Logins are the server's, not a database's: a second environment on the same server would give them new passwords, and
 * every client of the first would be refused from then on.
 */
async function refuseOthers(client: pg.Client, logins: readonly CatalogueLogin[]): Promise<void> {
  const { rows } = await client.query<{ login: string; database: string }>(
    `SELECT rolname AS login, datname AS database
     FROM pg_roles JOIN pg_database ON shobj_description(pg_roles.oid, 'pg_authid') = $1 || datname
     WHERE rolname = ANY ($2) AND datname <> current_database() ORDER BY rolname`,
    [SERVES, logins.map(({ login }) => login)],
  );
  if (rows.length > 0) throw new LoginsTakenError(rows);
}

async function provision(
  client: pg.Client,
  database: string,
  entry: CatalogueLogin,
  notes: string[],
): Promise<void> {
  const login = pg.escapeIdentifier(entry.login);
  const { rowCount } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [entry.login]);
  if (rowCount === 0) await client.query(`CREATE ROLE ${login}`);
  const bounds = LOGIN_BOUNDS[entry.role];
  await client.query(
    `ALTER ROLE ${login} LOGIN INHERIT CONNECTION LIMIT ${entry.connectionLimit ?? bounds.connections}
     PASSWORD ${pg.escapeLiteral(scramVerifier(entry.password))}`,
  );
  await client.query(`COMMENT ON ROLE ${login} IS ${pg.escapeLiteral(SERVES + database)}`);
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
  for (const [setting, value] of Object.entries(bounds.settings)) {
    await ifAllowed(client, `ALTER ROLE ${login} SET ${setting} = ${pg.escapeLiteral(value)}`, () =>
      notes.push(`it may not set ${setting}, so that logins have the server's`),
    );
  }
}

/** What every login of a server may do by default, and none of ours needs. */
async function closeDatabase(client: pg.Client, name: string, notes: string[]): Promise<void> {
  const database = pg.escapeIdentifier(name);
  const roles = CATALOGUE_ROLES.map((role) => `storage_${role}`).join(", ");
  await ifAllowed(
    client,
    `GRANT CONNECT ON DATABASE ${database} TO ${roles};
     REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
     REVOKE CREATE ON SCHEMA public FROM PUBLIC`,
    () => undefined,
  );
  // Large objects and advisory locks are in no table, so that nothing else bounds them; the lock table is the server's.
  await ifAllowed(
    client,
    `DO $$
     DECLARE
       called regprocedure;
     BEGIN
       FOR called IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
         AND (proname ~ '^pg_(try_)?advisory_' OR proname ~ '^lo_(creat|create|from_bytea|put|truncate|truncate64|open)$'
           OR proname = 'lowrite') LOOP
         EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', called);
       END LOOP;
     END
     $$`,
    () => undefined,
  );
  // Who doesn't own them revokes nothing, and is only warned.
  const { rows: open } = await client.query<{ functions: boolean; database: boolean }>(
    `SELECT has_function_privilege('public', 'pg_advisory_lock(bigint)', 'EXECUTE') AS functions,
       has_database_privilege('public', current_database(), 'CONNECT') AS database`,
  );
  if (open[0]!.functions) notes.push("it may not keep logins from large objects and advisory locks");
  if (open[0]!.database) notes.push("it may not keep others out of this database, which it doesn't own");
  // Postgres 16 and later keep connections free for it where the server has reserved_connections.
  await ifAllowed(
    client,
    `DO $$
     BEGIN
       IF to_regrole('pg_use_reserved_connections') IS NOT NULL THEN
         GRANT pg_use_reserved_connections TO storage_cleanup;
       END IF;
     END
     $$`,
    () => notes.push("it may not let the sweep use the server's reserved connections"),
  );
}

/** Only what is forbidden or unknown to this server is passed over. */
async function ifAllowed(client: pg.Client, statement: string, otherwise: () => void): Promise<void> {
  await client.query("SAVEPOINT attempt");
  try {
    await client.query(statement);
  } catch (error) {
    const { code } = error as { code?: string };
    // insufficient_privilege; undefined_object is what an older server says of a setting that it hasn't got.
    if (code !== "42501" && code !== "42704") throw error;
    await client.query("ROLLBACK TO SAVEPOINT attempt");
    otherwise();
  }
  await client.query("RELEASE SAVEPOINT attempt");
}
