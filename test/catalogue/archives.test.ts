import fs from "node:fs/promises";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  BrokenAuditError,
  archiveAudit,
  pruneCatalogue,
  verifyAudit,
} from "@video-storage/catalogue/archive";
import type { ArchiveOptions } from "@video-storage/catalogue/archive";
import { readAudit, streamAudit } from "@video-storage/catalogue/audit";
import { CatalogueRefusedError } from "@video-storage/catalogue/connection";
import type { Catalogue, Queryable, Row } from "@video-storage/catalogue/connection";
import { recordObject, reportJob } from "@video-storage/catalogue/jobs";
import {
  beginSweep,
  findJob,
  markObjectRemoved,
  openIntents,
  recordIntent,
  recordOutcome,
} from "@video-storage/catalogue/sweeping";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix } from "@video-storage/contract/layout";
import { jobRecord } from "../support/documents.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let directory: string;

beforeAll(async () => {
  postgres = await startPostgres();
});
beforeEach(async () => {
  catalogue = await postgres.createCatalogue(["acme"]);
  directory = await fs.mkdtemp("/tmp/video-storage-archive-");
  await catalogue.admin("UPDATE storage.archive_policy SET minimum_age = '0'");
});
afterEach(async () => {
  await catalogue.close();
  await fs.rm(directory, { recursive: true });
});
afterAll(() => postgres?.stop());

const cleanup = () => catalogue.as("cleanup");
const archivist = () => catalogue.as("archivist");
const archive = (options: Partial<ArchiveOptions> = {}) =>
  archiveAudit(archivist(), { directory, ...options });
const verify = (archiveDirectory: string | undefined = directory) =>
  verifyAudit(catalogue.as("auditor"), archiveDirectory === undefined ? {} : { archiveDirectory });

/** Deletions on a volume, each with its outcome; the records of them. */
async function deletions(volume: string, count: number): Promise<JobRecord[]> {
  const records: JobRecord[] = [];
  for (let n = 0; n < count; n += 1) {
    const record = jobRecord({ state: "failed", owner: { ...jobRecord().owner, volume } });
    await reportJob(catalogue.as("worker_acme"), record);
    const intent = { ...record, volume, action: "delete", reason: `"é" \n ${n}`, actor: "test" } as const;
    await recordIntent(cleanup(), intent);
    await recordOutcome(cleanup(), { ...intent, bytes: n, files: 1 });
    records.push(record);
  }
  return records;
}

/** Runs the statements as someone who owns the database and switches its guards off. */
async function tamper(table: string, ...statements: string[]): Promise<void> {
  const trigger = (what: string) => `ALTER TABLE storage.${table} ${what} TRIGGER USER`;
  await catalogue.admin([trigger("DISABLE"), ...statements, trigger("ENABLE")].join(";"));
}

describe("the archive of the audit", () => {
  it("takes all but the last row, in parts, and the chain stays whole through them", async () => {
    await deletions("a/b ü", 6);
    await deletions("b", 1);
    const before = await verify();
    expect(before).toMatchObject({ intact: true, entries: 14, unchecked: 0 });
    const rows = await readAudit(catalogue.as("auditor"));
    const parts: string[] = [];
    expect(await archive({ rowsInAPart: 5, onPart: (part) => parts.push(part.file) })).toBe(12);
    expect(parts).toEqual([
      "audit-a%2Fb%20%C3%BC-1-5.ndjson.gz",
      "audit-a%2Fb%20%C3%BC-6-10.ndjson.gz",
      "audit-a%2Fb%20%C3%BC-11-11.ndjson.gz",
      "audit-b-1-1.ndjson.gz",
    ]);
    expect((await fs.readdir(directory)).sort()).toEqual([...parts].sort());
    expect((await readAudit(catalogue.as("auditor"))).map((row) => row.sequence)).toEqual([12, 2]);
    const after = await verifyAudit(catalogue.as("auditor"), {
      archiveDirectory: directory,
      anchors: before.anchors,
    });
    expect(after).toEqual({ ...before, entries: 14 });
    expect(await verify("")).toMatchObject({ intact: false });
    expect(await verifyAudit(catalogue.as("auditor"), { anchors: before.anchors })).toMatchObject({
      ...{ intact: true, entries: 2, unchecked: 12 },
    });
    // What the files say is what the rows said.
    const lines = parts.slice(0, 3).flatMap(async (file) => {
      const text = gunzipSync(await fs.readFile(path.join(directory, file))).toString();
      return text.trimEnd().split("\n").slice(1);
    });
    expect(
      (await Promise.all(lines)).flat().map((line) => (JSON.parse(line) as { hash: string }).hash),
    ).toEqual(rows.filter((row) => row.volume === "a/b ü" && row.sequence < 12).map((row) => row.hash));
  });

  it("goes on with the numbers and hashes, and archives again what comes after", async () => {
    await deletions("v", 2);
    expect(await archive()).toBe(3);
    await deletions("v", 2);
    expect((await readAudit(catalogue.as("auditor"), "v")).map((row) => row.sequence)).toEqual([
      4, 5, 6, 7, 8,
    ]);
    expect(await archive()).toBe(4);
    expect(await archive()).toBe(0);
    expect(await verify()).toMatchObject({ intact: true, entries: 8 });
  });

  it("leaves what is young, what has no outcome and all that follows it", async () => {
    await deletions("v", 1);
    const open = jobRecord({ state: "failed", owner: { ...jobRecord().owner, volume: "v" } });
    await reportJob(catalogue.as("worker_acme"), open);
    await recordIntent(cleanup(), { ...open, volume: "v", action: "delete", reason: "r", actor: "a" });
    await deletions("v", 2);
    expect(await archive()).toBe(2);
    expect(await openIntents(cleanup(), "v")).toMatchObject([{ jobId: open.jobId, sequence: 3 }]);
    await catalogue.admin("UPDATE storage.archive_policy SET minimum_age = '1 day'");
    await recordOutcome(cleanup(), {
      ...{ ...open, volume: "v", action: "delete", reason: "r", actor: "a", bytes: 0, files: 0 },
    });
    expect(await archive()).toBe(0);
    await expect(
      archivist().query(
        `INSERT INTO storage.audit_archives (volume, to_sequence, file, sha256) VALUES ('v', 4, 'f', $1)`,
        ["0".repeat(64)],
      ),
    ).rejects.toThrow(/row 4 of volume v is younger than 1 day/);
    await expect(archivist().query("UPDATE storage.archive_policy SET minimum_age = '0'")).rejects.toThrow(
      CatalogueRefusedError,
    );
  });

  it("is the archivist's alone, and even that login and the superuser remove nothing else", async () => {
    await deletions("v", 2);
    for (const login of ["worker_acme", "uploader", "cleanup", "auditor", "monitor"]) {
      await expect(archiveAudit(catalogue.as(login), { directory, volume: "v" })).rejects.toThrow(
        CatalogueRefusedError,
      );
      await expect(catalogue.as(login).query("DELETE FROM storage.audit")).rejects.toThrow(
        CatalogueRefusedError,
      );
    }
    expect(await archivist().query("DELETE FROM storage.audit RETURNING 1")).toEqual([]);
    await expect(catalogue.admin("DELETE FROM storage.audit")).rejects.toThrow(
      /row 1 of volume v is in no archive/,
    );
    await archive();
    for (const statement of [
      "UPDATE storage.audit_archives SET file = 'x'",
      "DELETE FROM storage.audit_archives",
    ]) {
      await expect(archivist().query(statement)).rejects.toThrow(CatalogueRefusedError);
      await expect(catalogue.admin(statement)).rejects.toThrow(/append-only/);
    }
    await expect(archivist().query("INSERT INTO storage.audit (volume) VALUES ('v')")).rejects.toThrow(
      CatalogueRefusedError,
    );
    const forged =
      "INSERT INTO storage.audit_archives (volume, from_sequence, to_sequence, file, sha256, last_hash)";
    await expect(archivist().query(`${forged} VALUES ('v', 1, 9, 'f', '', '')`)).rejects.toThrow(
      CatalogueRefusedError,
    );
    expect((await verify()).intact).toBe(true);
  });

  it("is not made of a chain that is broken", async () => {
    await deletions("v", 3);
    await tamper("audit", "UPDATE storage.audit SET payload = payload || ' ' WHERE sequence = 2");
    await expect(archive()).rejects.toThrow(BrokenAuditError);
    expect(await readAudit(catalogue.as("auditor"), "v")).toHaveLength(6);
  });

  it("goes on after a kill between the file and the record of it", async () => {
    await deletions("v", 3);
    await expect(
      archiveAudit(
        {
          ...archivist(),
          query: archivist().query,
          close: archivist().close,
          transaction: () => Promise.reject(new Error("killed")),
        },
        { directory },
      ),
    ).rejects.toThrow("killed");
    expect(await readAudit(catalogue.as("auditor"), "v")).toHaveLength(6);
    expect(await archive()).toBe(5);
    expect(await verify()).toMatchObject({ intact: true, entries: 6 });
  });
});

describe("tampering with archives", () => {
  const file = "audit-v-1-5.ndjson.gz";
  const rewrite = async (change: (text: string) => string): Promise<void> => {
    const name = path.join(directory, file);
    await fs.writeFile(name, gzipSync(change(gunzipSync(await fs.readFile(name)).toString())));
  };
  const DELETE_PART = "DELETE FROM storage.audit_archives";

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "a file taken away",
      () => fs.rm(path.join(directory, file)),
      /its archive audit-v-1-5\.ndjson\.gz is missing/,
    ],
    [
      "a changed row",
      () => rewrite((text) => text.replace('\\"files\\": 1', '\\"files\\": 7')),
      /hash is not that of its content/,
    ],
    [
      "a row taken out",
      () => rewrite((text) => text.replace(/^\{"sequence":3.*\n/m, "")),
      /rows between are missing/,
    ],
    ["a row put on", () => rewrite((text) => `${text}{"sequence":6}\n`), /has 6 rows|hash/],
    [
      "another header",
      () => rewrite((text) => text.replace('"volume":"v"', '"volume":"w"')),
      /holds rows 1 to 5 of volume w/,
    ],
    [
      "a later format",
      () => rewrite((text) => text.replace('"version":1', '"version":2')),
      /has version 2, and this program reads only 1/,
    ],
    [
      "white space",
      () => rewrite((text) => text.replace('"sequence":1', '"sequence": 1')),
      /is not the one that was recorded/,
    ],
    ["a damaged file", () => fs.truncate(path.join(directory, file), 60), /is damaged/],
    [
      "a part forgotten",
      () => tamper("audit_archives", DELETE_PART),
      /follows row 0: rows between are missing/,
    ],
    [
      "another record of a part",
      () => tamper("audit_archives", "UPDATE storage.audit_archives SET file = 'elsewhere'"),
      /what is recorded of archive part 1 was changed/,
    ],
    [
      "the last row taken",
      () => tamper("audit", "DELETE FROM storage.audit"),
      /and all rows after it are missing/,
    ],
  ])("shows: %s", async (_what, change, problem) => {
    await deletions("v", 3);
    await archive();
    expect((await verify()).intact).toBe(true);
    await change();
    const { intact, problems } = await verify();
    expect(intact).toBe(false);
    expect(problems.map((p) => p.problem).join("\n")).toMatch(problem);
    expect(problems.every((p) => p.volume === "v")).toBe(true);
  });

  it("shows a chain of which nothing is left", async () => {
    await deletions("v", 1);
    await tamper("audit", "DELETE FROM storage.audit");
    expect((await verify()).problems).toEqual([
      { volume: "v", sequence: 1, problem: "and all rows after it are missing" },
    ]);
  });
});

describe("a long audit", () => {
  it("is read, proven and archived a thousand rows at a time", async () => {
    for (let n = 0; n < 20; n += 1) {
      await catalogue.admin(
        `INSERT INTO storage.audit (volume, tenant_id, job_id, phase, action, reason, actor)
         SELECT 'long', 'acme', gen_random_uuid(), 'intent', 'delete', 'r', 'a' FROM generate_series(1, 250)`,
      );
    }
    await catalogue.admin("DELETE FROM storage.open_intents");
    const sizes: number[] = [];
    const watched = (login: string): Catalogue => {
      const real = catalogue.as(login);
      const query =
        (connection: Queryable): Queryable["query"] =>
        async <R extends Row>(text: string, values?: readonly unknown[]) => {
          const rows = await connection.query<R>(text, values);
          sizes.push(rows.length);
          return rows;
        };
      return {
        query: query(real),
        transaction: (work) => real.transaction((connection) => work({ query: query(connection) })),
        close: () => real.close(),
      };
    };
    let rows = 0;
    for await (const entry of streamAudit(watched("auditor"))) rows += entry.sequence > 0 ? 1 : 0;
    expect(rows).toBe(5_000);
    expect(await verifyAudit(watched("auditor"))).toMatchObject({ intact: true, entries: 5_000 });
    expect(await archiveAudit(watched("archivist"), { directory, rowsInAPart: 3_000 })).toBe(4_999);
    expect(Math.max(...sizes)).toBe(1_000);
    expect(await verify()).toMatchObject({ intact: true, entries: 5_000 });
  });
});

describe("what is over for long", () => {
  it("leaves the other tables, and the audit keeps what became of it", async () => {
    const [gone, staged, young] = await deletions("v", 3);
    const object = (record: JobRecord) => ({
      ...{ bucket: "video", objectKey: `${jobPrefix(record.tenantId, record.jobId)}a` },
      ...{ bytes: 1, sha256: "0".repeat(64) },
    });
    for (const record of [gone!, staged!])
      await recordObject(catalogue.as("worker_acme"), record, object(record));
    await markObjectRemoved(cleanup(), gone!, object(gone!).objectKey);
    await beginSweep(cleanup(), "v", "test");
    await catalogue.admin("UPDATE storage.archive_policy SET minimum_age = '1 day'");
    await catalogue.admin(
      `UPDATE storage.jobs SET deleted_at = now() - interval '2 days' WHERE job_id = ANY ($1)`,
      [[gone!.jobId, staged!.jobId]],
    );
    await catalogue.admin("UPDATE storage.objects SET removed_at = removed_at - interval '2 days'");
    await catalogue.admin("UPDATE storage.sweeps SET started_at = started_at - interval '2 days'");
    const active = jobRecord();
    await reportJob(catalogue.as("worker_acme"), active);
    expect(await pruneCatalogue(archivist())).toEqual({ jobs: 1, objects: 1, scans: 0, sweeps: 1 });
    expect(await pruneCatalogue(archivist())).toEqual({ jobs: 0, objects: 0, scans: 0, sweeps: 0 });
    const left = await Promise.all([gone!, staged!, young!, active].map((r) => findJob(cleanup(), r.jobId)));
    expect(left.map((job) => job !== undefined)).toEqual([false, true, true, true]);
    expect(await archivist().query("DELETE FROM storage.jobs RETURNING 1")).toHaveLength(1);
    expect(await findJob(cleanup(), active.jobId)).toBeDefined();
    expect(
      (await readAudit(catalogue.as("auditor"))).filter((row) => row.jobId === gone!.jobId),
    ).toHaveLength(2);
    await expect(pruneCatalogue(cleanup())).rejects.toThrow(CatalogueRefusedError);
  });
});
