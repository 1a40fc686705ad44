import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "@video-storage/catalogue/connection";
import { tenantOfLogin } from "@video-storage/catalogue/jobs";
import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { startPostgres } from "../support/postgres.js";
import type { TestPostgres } from "../support/postgres.js";

let postgres: TestPostgres;
let directory: string;

beforeAll(async () => {
  postgres = await startPostgres();
  directory = await fs.mkdtemp("/tmp/video-storage-command-");
});
afterAll(async () => {
  await postgres?.stop();
  await fs.rm(directory, { recursive: true, force: true });
});

async function file(name: string, content: string): Promise<string> {
  await fs.writeFile(path.join(directory, name), content, { mode: 0o600 });
  return path.join(directory, name);
}

function catalogueCommand(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...RUNS_TYPESCRIPT, "catalogue/src/main.ts", ...args],
      (error, stdout, stderr) =>
        resolve({ code: error ? (error.code as number) : 0, output: stdout + stderr }),
    );
  });
}

describe("catalogue migrate", () => {
  it("makes the schema and the logins, and again changes nothing", async () => {
    const url = await postgres.createDatabase();
    const passwordFile = await file("password", "s3cret'\n");
    const logins = [
      { login: "command_worker", role: "worker", tenantId: "acme", passwordFile },
      { login: "command_cleanup", role: "cleanup", passwordFile },
    ];
    const migrations = (await fs.readdir("catalogue/migrations")).map((name) => name.slice(0, -4)).sort();
    const args = ["migrate", "--admin-url-file", await file("url", `${url}\n`)];
    args.push("--logins-file", await file("logins.json", JSON.stringify(logins)));
    expect(await catalogueCommand(...args)).toEqual({
      code: 0,
      output: `migrated: ${migrations.join(", ")}
logins provisioned: command_worker, command_cleanup
`,
    });
    expect((await catalogueCommand(...args)).output).toMatch(/^the schema is up to date\n/);
    const { hostname, port, pathname } = new URL(url);
    const address = { host: hostname, port: Number(port), database: pathname.slice(1), tls: false };
    const connection = connect({ ...address, user: "command_worker", password: "s3cret'" });
    expect(await tenantOfLogin(connection)).toBe("acme");
    await connection.close();
  });

  it("says with its exit code what is wrong, and never a password", async () => {
    const url = await file("url", await postgres.createDatabase());
    const away = await file("away", "postgres://admin:hush-hush@127.0.0.1:1/none");
    const unreachable = await catalogueCommand("migrate", "--admin-url-file", away);
    expect(unreachable).toMatchObject({
      code: 3,
      output: expect.stringMatching(/127\.0\.0\.1:1\/none can't be reached/),
    });
    expect(unreachable.output).not.toContain("hush-hush");
    expect(await catalogueCommand("migrate")).toMatchObject({ code: 2 });
    expect(await catalogueCommand("migrate", "--admin-url-file", "/nowhere")).toMatchObject({ code: 2 });
    expect(await catalogueCommand("--help")).toMatchObject({
      code: 0,
      output: expect.stringContaining("Exit codes"),
    });
    const passwordFile = await file("password", "x");
    const bad = await file("logins.json", JSON.stringify([{ login: "w", role: "worker", passwordFile }]));
    expect(await catalogueCommand("migrate", "--admin-url-file", url, "--logins-file", bad)).toMatchObject({
      code: 2,
      output: expect.stringMatching(/logins\.json\[0\]\.tenantId must be the worker's tenant/),
    });
  });
});
