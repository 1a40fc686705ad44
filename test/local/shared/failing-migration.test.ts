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
import { localConfiguration, STACK } from "../../../local/stack.js";
import { sharedEnvironment } from "../../support/shared-environment.js";
import type { SharedEnvironment } from "../../support/shared-environment.js";

/** A stack of this file's own, whose database has something where the catalogue's tables are to be. */
const own = `failing-${randomBytes(3).toString("hex")}`;
const namespaces = { namespace: `${own}-jobs`, systemNamespace: own };
const database = own.replaceAll("-", "_");

/** What of the stack has to do with the catalogue, and one Secret that waits for the migrations. */
const WANTED =
  /^(Namespace|ServiceAccount\/.*catalogue|Secret\/.*catalogue|ConfigMap\/.*catalogue|Job\/.*catalogue)/;

let environment: SharedEnvironment;
let kubeconfig: string;
let adminUrl: URL;

async function inDatabase(name: string, ...statements: string[]): Promise<void> {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

async function manifests(): Promise<Manifest[]> {
  const { contract, images } = environment;
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  const given = localConfiguration(
    {
      cluster: { kubeconfig, context: CONTEXT },
      database: {
        host: contract.catalogue.host,
        port: contract.catalogue.port,
        name: database,
        adminUrl: url.href,
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
  environment = await sharedEnvironment();
  kubeconfig = join(environment.stateDirectory, "admin.kubeconfig");
  const { data } = await environment.core.readNamespacedSecret({
    namespace: environment.systemNamespace,
    name: "catalogue-admin",
  });
  adminUrl = new URL(Buffer.from(data!["url"]!, "base64").toString());
  await inDatabase(adminUrl.pathname.slice(1), `CREATE DATABASE ${database}`);
});
afterAll(async () => {
  await destroyApplied(access());
  await inDatabase(adminUrl.pathname.slice(1), `DROP DATABASE ${database} WITH (FORCE)`);
});

describe("a migration that fails", () => {
  it("stops the deployment with its message, before anything that needs the catalogue", async () => {
    await inDatabase(database, "CREATE SCHEMA storage", "CREATE TABLE storage.jobs (somebodys text)");
    await expect(apply({ ...access(), manifests: await manifests() })).rejects.toThrow(
      /catalogue-migrations[^]*relation "jobs" already exists/,
    );
    expect(await secretsOfWorkers()).toEqual([]);
  });

  it("goes on once what was in its way is gone", async () => {
    await inDatabase(database, "DROP TABLE storage.jobs");
    await apply({ ...access(), manifests: await manifests() });
    expect(await secretsOfWorkers()).toEqual(
      expect.arrayContaining(["catalogue-cleanup", "catalogue-uploader", "catalogue-worker-acme"]),
    );
  });
});
