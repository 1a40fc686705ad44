import fs from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CATALOGUE_ROLES } from "@video-storage/catalogue/logins";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

let postgres: TestPostgres;
let catalogue: TestCatalogue;

beforeAll(async () => {
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme"]);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
});

const PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE"] as const;

it("docs/catalogue.md says what each role may do to each table", async () => {
  const rows = await catalogue.admin(
    `SELECT c.relname AS table, r.role, p.privilege,
       CASE WHEN has_table_privilege('storage_' || r.role, c.oid, p.privilege) THEN 'all'
         WHEN p.privilege <> 'DELETE' AND has_any_column_privilege('storage_' || r.role, c.oid, p.privilege) THEN 'some'
       END AS columns
     FROM pg_class c, unnest($1::text[]) r (role), unnest($2::text[]) p (privilege)
     WHERE c.relnamespace = 'storage'::regnamespace AND c.relkind = 'r'`,
    [[...CATALOGUE_ROLES], [...PRIVILEGES]],
  );
  const cell = (table: string, role: string): string =>
    PRIVILEGES.map((privilege) => {
      const found = rows.find(
        (r) => r["table"] === table && r["role"] === role && r["privilege"] === privilege,
      );
      const letter = privilege[0]!;
      return found?.["columns"] === "all"
        ? letter
        : found?.["columns"] === "some"
          ? letter.toLowerCase()
          : "";
    }).join("") || "–";
  const tables = [...new Set(rows.map((row) => String(row["table"])))].sort();
  const lines = [
    `| Table | ${CATALOGUE_ROLES.join(" | ")} |`,
    `| --- |${" --- |".repeat(CATALOGUE_ROLES.length)}`,
    ...tables.map(
      (table) => `| \`${table}\` | ${CATALOGUE_ROLES.map((role) => cell(table, role)).join(" | ")} |`,
    ),
  ];
  const text = await fs.readFile("docs/catalogue.md", "utf8");
  const [, table] = /<!-- roles:begin -->\n([^]*?)<!-- roles:end -->/.exec(text)!;
  expect(table!.trim()).toBe(lines.join("\n"));
});

it("row-level security holds, for the owner too, wherever rows are a tenant's", async () => {
  const open = await catalogue.admin(
    `SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'storage'::regnamespace AND c.relkind = 'r'
       AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
       AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
       AND has_any_column_privilege('storage_worker', c.oid, 'SELECT')`,
  );
  expect(open).toEqual([]);
});
