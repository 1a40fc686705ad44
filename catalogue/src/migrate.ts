import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import { asAdministrator } from "./administrator.js";
import type { AdministratorOptions } from "./administrator.js";

const MIGRATIONS = fileURLToPath(new URL("../migrations", import.meta.url));

export interface MigrateOptions extends AdministratorOptions {
  /** Where the SQL files are; by default beside this module. */
  readonly directory?: string;
  readonly log?: (line: string) => void;
}

/**
 * Brings the schema to the newest version, all migrations or none, and returns the names of those that ran.
 * Safe to repeat and to run twice at once: the second waits up to a minute and finds nothing to do.
 */
export async function migrate(adminUrl: string, options: MigrateOptions = {}): Promise<string[]> {
  return asAdministrator(adminUrl, options, async (client) => {
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
