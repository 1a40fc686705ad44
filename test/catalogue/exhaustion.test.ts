import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CatalogueRefusedError,
  CatalogueUnavailableError,
  connect,
} from "@video-storage/catalogue/connection";
import { recordObject, reportJob } from "@video-storage/catalogue/jobs";
import { LOGIN_BOUNDS } from "@video-storage/catalogue/logins";
import { migrate } from "@video-storage/catalogue/migrate";
import { provisionLogins } from "@video-storage/catalogue/provision";
import { beginSweep } from "@video-storage/catalogue/sweeping";
import { parseTenantId } from "@video-storage/contract/identity";
import { jobPrefix } from "@video-storage/contract/layout";
import { jobRecord } from "../support/documents.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

/** A tenant that wants to use up the catalogue for all others. */

let postgres: TestPostgres;
let catalogue: TestCatalogue;

beforeAll(async () => {
  postgres = await startPostgres();
  // Migrated itself and not copied: a copy doesn't have who may connect to it.
  const adminUrl = await postgres.createDatabase();
  await migrate(adminUrl);
  await postgres.provision(adminUrl, ["acme", "globex"]);
  catalogue = postgres.catalogueAt(adminUrl);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
});

const acme = () => catalogue.as("worker_acme");

/** A connection that asks for no time-outs of its own, as a tenant's own program would. */
async function bare<T>(login: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { host, port, database, user, password } = catalogue.settings(login);
  const client = new pg.Client({ host, port, database, user, password: password as string });
  client.on("error", () => undefined);
  await client.connect();
  return work(client).finally(() => client.end());
}

const JOBS = `INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod)
  SELECT 'acme', uuidv7(), 'active', 1, 'v', 'n', 'n', 'p' FROM generate_series(1, $1)`;

describe("connections", () => {
  it("are limited for each login, so that others find some free", async () => {
    const login = { login: "worker_limited", role: "worker", tenantId: parseTenantId("limited") } as const;
    const password = "worker_limited-password";
    await provisionLogins(catalogue.adminUrl, [{ ...login, password, connectionLimit: 3 }]);
    await bare("worker_limited", () =>
      bare("worker_limited", () =>
        bare("worker_limited", async () => {
          await expect(bare("worker_limited", async () => 1)).rejects.toThrow(
            /too many connections for role/,
          );
          // The client takes it as what it is: not now.
          const fourth = connect(catalogue.settings("worker_limited"));
          const refused = fourth.query("SELECT 1");
          await expect(refused).rejects.toThrow(CatalogueUnavailableError);
          await expect(refused).rejects.toThrow("raise the login's connectionLimit");
          await fourth.close();
          expect(await acme().query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
        }),
      ),
    );
  });

  it("have the bounds of their role when the client asks for none", async () => {
    for (const role of ["uploader", "cleanup", "auditor", "monitor", "archivist"] as const) {
      const shown = await bare(role, async (client) => {
        const entries: [string, string][] = [];
        for (const setting of Object.keys(LOGIN_BOUNDS[role].settings)) {
          const { rows } = await client.query<Record<string, string>>(`SHOW ${setting}`);
          entries.push([setting, Object.values(rows[0]!)[0]!]);
        }
        return Object.fromEntries(entries);
      });
      const bounds = Object.entries(LOGIN_BOUNDS[role].settings);
      expect(shown).toEqual(Object.fromEntries(bounds.map(([k, v]) => [k, v === "60s" ? "1min" : v])));
    }
    const limits = await catalogue.admin(
      `SELECT rolname AS login, rolconnlimit AS connections FROM pg_roles WHERE rolname = ANY ($1) ORDER BY 1`,
      [["worker_acme", "uploader", "cleanup", "auditor"]],
    );
    expect(limits).toEqual([
      { login: "auditor", connections: 16 },
      { login: "cleanup", connections: -1 },
      { login: "uploader", connections: 64 },
      { login: "worker_acme", connections: 64 },
    ]);
  });
});

describe("time", () => {
  it("that a worker's transaction takes ends with the next sweep, though it lifted its own limits", async () => {
    await bare("worker_acme", async (client) => {
      await client.query(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET transaction_timeout = 0",
      );
      await client.query("BEGIN");
      await client.query(JOBS, [1]);
      const ended = new Promise((resolve) => client.once("error", resolve));
      // Not yet: what is younger than a minute stays.
      await beginSweep(catalogue.as("cleanup"), "v", "test");
      expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
      await new Promise((resolve) => setTimeout(resolve, 10_500));
      const [row] = await catalogue
        .as("cleanup")
        .query("SELECT storage.end_overstaying_workers(interval '10 s') AS count");
      expect(row).toEqual({ count: 1 });
      expect(((await ended) as Error).message).toMatch(/terminating connection/);
    });
  });

  it("is not for others to end, and nobody but workers is ended", async () => {
    await expect(acme().query("SELECT storage.end_overstaying_workers()")).rejects.toThrow(
      CatalogueRefusedError,
    );
    await bare("uploader", async (client) => {
      await client.query("BEGIN");
      await client.query("SELECT 1");
      const [row] = await catalogue
        .as("cleanup")
        .query("SELECT storage.end_overstaying_workers('-1 h') AS count");
      expect(row).toEqual({ count: 0 });
      expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    });
  });
});

describe("rows", () => {
  it("are bounded in one transaction, also when one statement adds them all", async () => {
    await expect(acme().query(JOBS, [1_001])).rejects.toThrow(/adds at most 1000 rows in one transaction/);
    await expect(acme().query(JOBS, [1_001])).rejects.toThrow(CatalogueRefusedError);
    await expect(
      acme().transaction(async (connection) => {
        for (let n = 0; n < 3; n += 1) await connection.query(JOBS, [400]);
      }),
    ).rejects.toThrow(CatalogueRefusedError);
    expect(await acme().query("SELECT count(*) FROM storage.jobs")).toEqual([{ count: 0 }]);
    await acme().query(JOBS, [1_000]);
    await acme().query(JOBS, [5]);
    expect(await acme().query("SELECT count(*) FROM storage.jobs")).toEqual([{ count: 1_005 }]);
  });

  it("are bounded for each tenant: jobs by those that are not deleted", async () => {
    await catalogue.admin("INSERT INTO storage.limits VALUES ('acme', 1010, 3, 2)");
    await acme().query(JOBS, [5]);
    const error = /tenant acme has 1010 jobs that are not deleted, which is its limit \(storage\.limits\)/;
    await expect(reportJob(acme(), jobRecord())).rejects.toThrow(error);
    await expect(reportJob(acme(), jobRecord())).rejects.toThrow(CatalogueRefusedError);
    // Nobody else notices, and what ends makes room.
    await reportJob(catalogue.as("worker_globex"), jobRecord({ tenantId: parseTenantId("globex") }));
    await catalogue
      .as("cleanup")
      .query(
        `UPDATE storage.jobs SET deleted_at = now(), location = 'none' WHERE job_id IN (SELECT job_id FROM storage.jobs WHERE tenant_id = 'acme' LIMIT 1)`,
      );
    expect(await reportJob(acme(), jobRecord())).toBe("registered");
    await expect(reportJob(acme(), jobRecord())).rejects.toThrow(error);
  });

  it("of objects and scans are bounded as well", async () => {
    const job = jobRecord();
    const add = (name: string) =>
      recordObject(acme(), job, {
        ...{ bucket: "video", objectKey: `${jobPrefix(job.tenantId, job.jobId)}${name}` },
        ...{ bytes: 1, sha256: "0".repeat(64) },
      });
    for (const name of ["a", "b", "c", "c"]) await add(name);
    await expect(add("d")).rejects.toThrow(/tenant acme has 3 rows in storage\.objects/);
    const scan = () =>
      acme().query(
        `INSERT INTO storage.scans (tenant_id, job_id, file, sha256, verdict) VALUES ('acme', $1, 'f', $2, 'clean')`,
        [job.jobId, "0".repeat(64)],
      );
    await scan();
    await scan();
    await expect(scan()).rejects.toThrow(/tenant acme has 2 rows in storage\.scans/);
  });
});

describe("what no table bounds", () => {
  it.each([
    ["temporary tables", "CREATE TEMPORARY TABLE t (x text)"],
    ["tables", "CREATE TABLE public.t (x text)"],
    ["schemas", "CREATE SCHEMA mine"],
    ["large objects", "SELECT lo_from_bytea(0, 'x')"],
    ["large objects by another name", "SELECT lo_create(0)"],
    ["advisory locks", "SELECT pg_advisory_lock(n) FROM generate_series(1, 100000) n"],
    ["shared advisory locks", "SELECT pg_try_advisory_xact_lock_shared(1)"],
    ["locks on whole tables", "DO $$ BEGIN LOCK TABLE storage.jobs IN ROW EXCLUSIVE MODE; END $$"],
    ["more temporary files", "SET temp_file_limit = -1"],
    ["the limits", "UPDATE storage.limits SET live_jobs = 9223372036854775807"],
    ["the count of its rows", "DELETE FROM storage.job_totals"],
    ["the count of its transaction", "DELETE FROM storage.transaction_rows"],
    ["the server's files", "SELECT pg_read_file('postgresql.conf')"],
    ["the server's programs", "COPY (SELECT 1) TO PROGRAM 'true'"],
  ])("is not to be had: %s", async (_what, statement) => {
    await expect(acme().query(statement)).rejects.toThrow(CatalogueRefusedError);
  });

  it("can't be used up by one statement's sort", async () => {
    await expect(
      acme().query(
        "SELECT count(*) FROM (SELECT md5(n::text) AS m FROM generate_series(1, 3000000) n ORDER BY m) x",
      ),
    ).rejects.toThrow(/temporary file size exceeds|statement timeout/);
  });
});

describe("another database", () => {
  it("on the same server has its own logins only", async () => {
    const url = await postgres.createDatabase();
    await migrate(url);
    await postgres.provision(url, ["acme"]);
    await catalogue.admin(`CREATE ROLE stranger LOGIN PASSWORD 'stranger-password'`);
    await expect(bare("stranger", async () => 1)).rejects.toThrow(/permission denied for database/);
  });
});
