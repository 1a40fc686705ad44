import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { apply, destroyApplied } from "../../../infra/apply.js";
import type { Manifest } from "../../../infra/manifests.js";
import { render } from "../../../infra/render.js";
import { CONTEXT } from "../../../local/environment/cluster.js";
import { SLOTS_DIRECTORY } from "../../../local/environment/disks.js";
import { nodeName } from "../../../local/environment/nodes.js";
import { POSTGRES_USER } from "../../../local/environment/postgres.js";
import { localConfiguration, STACK } from "../../../local/stack.js";
import { runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment } from "../../support/running-environment.js";

/**
 * A stack of this file's own, whose database has something where the catalogue's tables are to be. Its Postgres is its own
 * too: logins belong to a whole server, and the running stack's would have new passwords.
 */
const own = `failing-${randomBytes(3).toString("hex")}`;
const namespaces = { namespace: `${own}-jobs`, systemNamespace: own };
const database = "storage";
const PORT = 15_432;
const directory = `/run/postgres/${own}`;

/** What of the stack has to do with the catalogue, and one Secret that waits for the migrations. */
const WANTED =
  /^(Namespace|ServiceAccount\/.*catalogue|Secret\/.*catalogue|ConfigMap\/.*catalogue|Job\/.*catalogue)/;

let environment: RunningEnvironment;
let kubeconfig: string;
let adminUrl: string;

async function inDatabase(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The programs and the user that the environment's own Postgres has in the node. */
async function startOwnServer(): Promise<void> {
  const { node, contract } = environment;
  const password = randomBytes(16).toString("hex");
  await node.must(
    "sh",
    [
      "-c",
      `set -e
      mkdir "$1"; (umask 077; cat > "$1/password"); chown -R "$2:$2" "$1"
      setpriv --reuid "$2" --regid "$2" --clear-groups -- /run/postgres/program/bin/initdb -D "$1/data" -U postgres \
        --auth=scram-sha-256 --pwfile="$1/password" --encoding=UTF8 --locale=C --no-sync --no-instructions
      echo "host all all all scram-sha-256" >> "$1/data/pg_hba.conf"`,
      ...["sh", directory, String(POSTGRES_USER)],
    ],
    { input: password },
  );
  await asPostgres(
    "start",
    "-o",
    `-c listen_addresses=${contract.catalogue.host} -c port=${PORT} -c unix_socket_directories=`,
  );
  adminUrl = `postgres://postgres:${password}@${contract.catalogue.host}:${PORT}/postgres`;
  await inDatabase(`CREATE DATABASE ${database}`);
  adminUrl = adminUrl.replace(/postgres$/, database);
}

async function asPostgres(command: "start" | "stop", ...options: string[]): Promise<void> {
  const user = ["--reuid", String(POSTGRES_USER), "--regid", String(POSTGRES_USER), "--clear-groups", "--"];
  const program = ["/run/postgres/program/bin/pg_ctl", command, "-D", `${directory}/data`];
  await environment.node.must("setpriv", [...user, ...program, "-l", `${directory}/log`, "-w", ...options]);
}

async function manifests(): Promise<Manifest[]> {
  const { contract, images } = environment;
  const given = localConfiguration(
    {
      cluster: { kubeconfig, context: CONTEXT },
      database: {
        host: contract.catalogue.host,
        port: PORT,
        name: database,
        adminUrl,
      },
      images: Object.fromEntries(Object.entries(images).map(([name, reference]) => [name, { reference }])),
      nodes: [{ name: nodeName(0), slotsDirectory: SLOTS_DIRECTORY }],
      videoSources: [],
    } as unknown as Parameters<typeof localConfiguration>[0],
    readFileSync(kubeconfig, "utf8"),
  );
  const rendered = await render({ stack: STACK, ...given, config: { ...given.config, ...namespaces } });
  const wanted = rendered.manifests.filter(({ id }) => WANTED.test(id));
  const ids = new Set(wanted.map(({ id }) => id));
  return wanted.map((manifest) => ({
    ...manifest,
    dependsOn: manifest.dependsOn.filter((id) => ids.has(id)),
  }));
}

const access = () => ({ kubeconfig, systemNamespace: namespaces.systemNamespace });
const secretsOfWorkers = async () =>
  (await environment.core.listNamespacedSecret({ namespace: namespaces.namespace })).items.map(
    ({ metadata }) => metadata!.name,
  );

beforeAll(async () => {
  environment = await runningEnvironment();
  kubeconfig = join(environment.stateDirectory, "admin.kubeconfig");
  await startOwnServer();
});
afterAll(async () => {
  await destroyApplied(access());
  await asPostgres("stop", "-m", "immediate");
  await environment.node.must("rm", ["-r", directory]);
});

describe("a migration that fails", () => {
  it("stops the deployment with its message, before anything that needs the catalogue", async () => {
    await inDatabase("CREATE SCHEMA storage", "CREATE TABLE storage.jobs (somebodys text)");
    await expect(apply({ ...access(), manifests: await manifests() })).rejects.toThrow(
      /catalogue-migrations[^]*relation "jobs" already exists/,
    );
    expect(await secretsOfWorkers()).toEqual([]);
  });

  it("goes on once what was in its way is gone", async () => {
    await inDatabase("DROP TABLE storage.jobs");
    await apply({ ...access(), manifests: await manifests() });
    expect(await secretsOfWorkers()).toEqual(
      expect.arrayContaining(["catalogue-cleanup", "catalogue-uploader", "catalogue-worker-acme"]),
    );
  });
});
