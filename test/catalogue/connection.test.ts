import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

let postgres: TestPostgres;
let catalogue: TestCatalogue;
beforeAll(async () => {
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue([]);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
});

it("tells of a connection that breaks between two statements of a transaction, and goes on with another", async () => {
  const connected = catalogue.as("auditor");
  const broken = connected.transaction(async (connection) => {
    const [row] = await connection.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await catalogue.admin("SELECT pg_terminate_backend($1)", [row!.pid]);
    // Nothing is asked while it breaks: it would be an uncaught error, which fails this run.
    await sleep(300);
    await connection.query("SELECT 1");
  });
  await expect(broken).rejects.toThrow(CatalogueUnavailableError);
  expect(await connected.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
});
