import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { verifyAudit } from "@video-storage/catalogue/archive";
import { connect } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { reportJob } from "@video-storage/catalogue/jobs";
import { migrate } from "@video-storage/catalogue/migrate";
import { provisionLogins } from "@video-storage/catalogue/provision";
import { findJob, recordIntent, recordOutcome } from "@video-storage/catalogue/sweeping";
import { parseTenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";

import { jobRecord } from "../support/documents.js";
import { freePort } from "../support/free-port.js";

// The server that other tests use comes without pg_dump, which has to be of the server's own version.
const PROGRAMS = globSync("/usr/lib/postgresql/*/bin/pg_dump").map((file) => path.dirname(file))[0];
const run = promisify(execFile);

/** A server of the distribution, trusting loopback, with its own tools. */
interface Server {
  readonly port: number;
  tool(name: string, ...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

async function startServer(directory: string): Promise<Server> {
  const port = await freePort();
  const isRoot = process.getuid!() === 0;
  const uid = isRoot ? Number((await run("id", ["-u", "postgres"])).stdout) : process.getuid!();
  const gid = isRoot ? Number((await run("id", ["-g", "postgres"])).stdout) : process.getgid!();
  await fs.mkdir(directory);
  await fs.chown(directory, uid, gid);
  // The server refuses to be root.
  const asServer = (name: string, args: string[]) =>
    run(path.join(PROGRAMS!, name), args, { uid, gid, cwd: directory });
  const data = path.join(directory, "data");
  await asServer("initdb", ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]);
  const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: "", fsync: "off" };
  const flags = Object.entries(settings).map(([key, value]) => `-c ${key}=${value}`);
  const log = path.join(directory, "log");
  await asServer("pg_ctl", ["-D", data, "-w", "-o", flags.join(" "), "-l", log, "start"]);
  return {
    port,
    async tool(name, ...args) {
      const where = ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres"];
      return (await run(path.join(PROGRAMS!, name), [...where, ...args])).stdout;
    },
    async stop() {
      await asServer("pg_ctl", ["-D", data, "-m", "immediate", "stop"]);
    },
  };
}

const adminUrl = ({ port }: Server): string => `postgres://postgres:none@127.0.0.1:${port}/storage`;

async function as<T>(server: Server, user: string, ask: (catalogue: Catalogue) => Promise<T>): Promise<T> {
  const catalogue = connect({
    ...{ host: "127.0.0.1", port: server.port, database: "storage", tls: false },
    ...{ user, password: "none" },
  });
  try {
    return await ask(catalogue);
  } finally {
    await catalogue.close();
  }
}

describe.skipIf(PROGRAMS === undefined)("a catalogue that is restored from its backup", () => {
  let parent: string;
  let before: Server;
  let after: Server;
  const deleted: JobRecord[] = [];
  let kept: JobRecord;

  beforeAll(async () => {
    parent = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-backup-"));
    await fs.chmod(parent, 0o755);
    before = await startServer(path.join(parent, "before"));
    after = await startServer(path.join(parent, "after"));
    await before.tool("createdb", "storage");
    await migrate(adminUrl(before));
    await provisionLogins(adminUrl(before), [
      { login: "worker_acme", role: "worker", tenantId: parseTenantId("acme"), password: "one" },
      { login: "cleanup", role: "cleanup", password: "two" },
      { login: "auditor", role: "auditor", password: "three" },
    ]);
    kept = jobRecord();
    await as(before, "worker_acme", (catalogue) => reportJob(catalogue, kept));
    for (let i = 0; i < 3; i += 1) {
      const record = jobRecord({ state: "failed", revision: 2 });
      deleted.push(record);
      await as(before, "worker_acme", (catalogue) => reportJob(catalogue, record));
      const { tenantId, jobId, owner } = record;
      const intent = { volume: owner.volume, tenantId, jobId, action: "delete" as const };
      await as(before, "cleanup", async (catalogue) => {
        await recordIntent(catalogue, { ...intent, reason: "failed for 3d", actor: "test" });
        const counts = { bytes: 7, files: 1 };
        await recordOutcome(catalogue, { ...intent, reason: "failed for 3d", actor: "test", ...counts });
      });
    }

    // As docs/operating-on-premises.md says it.
    const globals = path.join(parent, "globals.sql");
    const dump = path.join(parent, "storage.dump");
    await fs.writeFile(globals, await before.tool("pg_dumpall", "--globals-only"));
    await before.tool("pg_dump", "--format", "custom", "--file", dump, "storage");
    await after.tool("psql", "--quiet", "--file", globals);
    await after.tool("createdb", "storage");
    await after.tool("pg_restore", "--dbname", "storage", "--exit-on-error", dump);
  }, 120_000);
  afterAll(async () => {
    await before?.stop();
    await after?.stop();
    await fs.rm(parent, { recursive: true, force: true });
  });

  it("has every row of the audit, and the anchors of before prove it", async () => {
    const was = await as(before, "auditor", (catalogue) => verifyAudit(catalogue));
    expect(was).toMatchObject({ intact: true, entries: 6 });
    const is = await as(after, "auditor", (catalogue) => verifyAudit(catalogue, { anchors: was.anchors }));
    expect(is).toEqual(was);
  });

  it("knows each job and login, and takes the migrations again with nothing to do", async () => {
    expect(await migrate(adminUrl(after))).toEqual([]);
    await as(after, "cleanup", async (catalogue) => {
      expect(await findJob(catalogue, kept.jobId)).toMatchObject({ state: "active", tenantId: "acme" });
    });
    await as(after, "worker_acme", (catalogue) => reportJob(catalogue, { ...kept, revision: 2 }));
  });

  it("goes on with its chains", async () => {
    const [first] = deleted;
    const intent = {
      ...{ volume: first!.owner.volume, tenantId: kept.tenantId, jobId: kept.jobId },
      ...{ action: "delete" as const, reason: "failed for 3d", actor: "test" },
    };
    const failed = { ...kept, state: "failed" as const, revision: 3 };
    await as(after, "worker_acme", (catalogue) => reportJob(catalogue, failed));
    await as(after, "cleanup", (catalogue) => recordIntent(catalogue, intent));
    const { intact, entries } = await as(after, "auditor", (catalogue) => verifyAudit(catalogue));
    expect({ intact, entries }).toEqual({ intact: true, entries: 7 });
  });
});
