import fs from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { archiveAudit, verifyAudit } from "@video-storage/catalogue/archive";
import { reportJob } from "@video-storage/catalogue/jobs";
import { migrate } from "@video-storage/catalogue/migrate";
import { provisionLogins } from "@video-storage/catalogue/provision";
import { jobTotals } from "@video-storage/catalogue/statistics";
import { beginSweep, jobsOnVolume, recordIntent, recordOutcome } from "@video-storage/catalogue/sweeping";
import { jobRecord } from "../support/documents.js";
import { startPostgres } from "../support/postgres.js";
import type { TestPostgres } from "../support/postgres.js";

/** A managed Postgres gives its customer a login that may create roles and databases, and no superuser. */

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

it("an administrator without a superuser's rights makes a catalogue that works, and is told what it may not", async () => {
  const url = new URL(await postgres.createDatabase());
  const superuser = postgres.catalogueAt(url.href);
  await superuser.admin(`CREATE ROLE customer LOGIN CREATEROLE CREATEDB PASSWORD 'customer-password'`);
  await superuser.admin(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO customer`);
  const adminUrl = url.href.replace(/\/\/[^@]*@/, "//customer:customer-password@");
  expect((await migrate(adminUrl)).length).toBeGreaterThan(7);
  expect(await migrate(adminUrl)).toEqual([]);
  await postgres.provision(adminUrl, ["acme"]);
  expect(
    await provisionLogins(adminUrl, [{ login: "cleanup", role: "cleanup", password: "cleanup-password" }]),
  ).toEqual([
    "it may not keep logins from large objects and advisory locks",
    "it may not let the sweep use the server's reserved connections",
  ]);

  const catalogue = postgres.catalogueAt(adminUrl);
  const record = jobRecord({ state: "failed" });
  expect(await reportJob(catalogue.as("worker_acme"), record)).toBe("registered");
  const cleanup = catalogue.as("cleanup");
  await beginSweep(cleanup, record.owner.volume, "test");
  expect(await jobsOnVolume(cleanup, record.owner.volume)).toHaveLength(1);
  expect(await jobTotals(catalogue.as("monitor"))).toMatchObject([
    { tenantId: "acme", state: "failed", jobs: 1 },
  ]);
  const intent = {
    ...record,
    volume: record.owner.volume,
    action: "delete",
    reason: "r",
    actor: "a",
  } as const;
  await recordIntent(cleanup, intent);
  await recordOutcome(cleanup, { ...intent, bytes: 0, files: 0 });
  await catalogue.admin("UPDATE storage.archive_policy SET minimum_age = '0'");
  const directory = await fs.mkdtemp("/tmp/video-storage-managed-");
  expect(await archiveAudit(catalogue.as("archivist"), { directory })).toBe(1);
  expect(await verifyAudit(catalogue.as("auditor"), { archiveDirectory: directory })).toMatchObject({
    ...{ intact: true, entries: 2 },
  });
  await fs.rm(directory, { recursive: true });
  await catalogue.close();
  await superuser.close();
});
