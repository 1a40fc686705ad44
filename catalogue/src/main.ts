import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { isTenantId } from "@video-storage/contract/identity";
import { InvalidAdministratorUrlError } from "./administrator.js";
import { CatalogueUnavailableError } from "./errors.js";
import { CATALOGUE_ROLES } from "./logins.js";
import type { CatalogueLogin, CatalogueRole } from "./logins.js";
import { migrate } from "./migrate.js";
import { provisionLogins } from "./provision.js";

class UsageError extends Error {}

interface MigrateCommand {
  readonly adminUrlFile: string;
  readonly loginsFile?: string;
  readonly requireTls?: true;
  readonly caFile?: string;
  readonly migrations?: string;
}

const readSecret = async (file: string): Promise<string> =>
  (await readFile(file, "utf8")).replace(/\r?\n$/, "");

async function readLogins(file: string): Promise<CatalogueLogin[]> {
  const entries: unknown = JSON.parse(await readFile(file, "utf8"));
  if (!Array.isArray(entries)) throw new UsageError(`${file} must hold an array of logins`);
  return Promise.all(
    (entries as Record<string, unknown>[]).map((entry, index) => readLogin(entry, `${file}[${index}]`)),
  );
}

async function readLogin(entry: Record<string, unknown>, where: string): Promise<CatalogueLogin> {
  const { login, role, tenantId, passwordFile, connectionLimit } = entry;
  if (typeof login !== "string" || !/^[a-z][a-z0-9_]{0,62}$/.test(login)) {
    throw new UsageError(`${where}.login must be lower-case letters, digits and "_", at most 63`);
  }
  if (!CATALOGUE_ROLES.includes(role as CatalogueRole)) {
    throw new UsageError(`${where}.role must be one of ${CATALOGUE_ROLES.join(", ")}`);
  }
  if (typeof passwordFile !== "string") throw new UsageError(`${where}.passwordFile must be a path`);
  const password = await readSecret(passwordFile);
  if (password === "") throw new UsageError(`${where}: ${passwordFile} is empty`);
  if (
    connectionLimit !== undefined &&
    !(Number.isInteger(connectionLimit) && (connectionLimit as number) >= -1)
  ) {
    throw new UsageError(
      `${where}.connectionLimit must be a whole number, or -1 for any number of connections`,
    );
  }
  const common = {
    login,
    password,
    ...(connectionLimit !== undefined && { connectionLimit: connectionLimit as number }),
  };
  if (role !== "worker") return { ...common, role: role as Exclude<CatalogueRole, "worker"> };
  if (!isTenantId(tenantId)) throw new UsageError(`${where}.tenantId must be the worker's tenant`);
  return { ...common, role, tenantId };
}

const program = new Command("catalogue")
  .description("The Postgres catalogue of the video storage.")
  .addHelpText(
    "after",
    "\nExit codes: 0 done, 1 a migration failed, 2 wrong usage, 3 Postgres can't be reached.",
  )
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

program
  .command("migrate")
  .description("Bring the schema to the newest version and the logins to what is asked. Safe to repeat.")
  .requiredOption("--admin-url-file <file>", "file with the URL of a login that may create roles and schemas")
  .option("--logins-file <file>", "JSON: [{login, role, tenantId?, passwordFile, connectionLimit?}]")
  .option("--require-tls", "refuse a server that doesn't prove by its certificate who it is")
  .option("--ca-file <file>", "PEM file with the certificates that are believed")
  .option("--migrations <directory>", "where the SQL files are, when not beside the program")
  .action(async (options: MigrateCommand) => {
    const url = await readSecret(options.adminUrlFile);
    // Read before anything is changed, so that a mistake in it leaves everything as it was.
    const logins = options.loginsFile === undefined ? [] : await readLogins(options.loginsFile);
    const administrator = {
      requireTls: options.requireTls === true,
      ...(options.caFile !== undefined && { caFile: options.caFile }),
    };
    const names = await migrate(url, {
      ...administrator,
      ...(options.migrations !== undefined && { directory: options.migrations }),
    });
    console.log(names.length > 0 ? `migrated: ${names.join(", ")}` : "the schema is up to date");
    const notes = await provisionLogins(url, logins, administrator);
    console.log(`logins provisioned: ${logins.map((login) => login.login).join(", ") || "none"}`);
    for (const note of notes) console.log(`note: this administrator has not all rights: ${note}`);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(`catalogue: ${(error as Error).message}`);
  const wrongUsage =
    error instanceof UsageError ||
    error instanceof InvalidAdministratorUrlError ||
    error instanceof SyntaxError ||
    (error as { code?: string }).code === "ENOENT";
  process.exitCode = error instanceof CatalogueUnavailableError ? 3 : wrongUsage ? 2 : 1;
}
