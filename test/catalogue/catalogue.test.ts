import fs from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAudit, verifyChain } from "@video-storage/catalogue/audit";
import {
  CatalogueRefusedError,
  CatalogueUnavailableError,
  connect,
} from "@video-storage/catalogue/connection";
import {
  heartbeat,
  jobStatus,
  markUploaded,
  objectsOf,
  recordObject,
  reportJob,
  tenantOfLogin,
  touch,
} from "@video-storage/catalogue/jobs";
import { migrate } from "@video-storage/catalogue/migrate";
import { provisionLogins } from "@video-storage/catalogue/provision";
import {
  beginSweep,
  findJob,
  finishSweep,
  jobsOnVolume,
  markAbandoned,
  markContradiction,
  openIntents,
  recordIntent,
  recordOutcome,
} from "@video-storage/catalogue/sweeping";
import type { Intent } from "@video-storage/catalogue/sweeping";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix } from "@video-storage/contract/layout";
import { JOB_STATES, canBecome } from "@video-storage/contract/states";
import { jobRecord } from "../support/documents.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

const MIGRATIONS = (await fs.readdir("catalogue/migrations"))
  .map((file) => file.replace(/\.sql$/, ""))
  .sort();

let postgres: TestPostgres;
let catalogue: TestCatalogue;

beforeAll(async () => {
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
});

const acme = () => catalogue.as("worker_acme");
const globex = () => catalogue.as("worker_globex");
const uploader = () => catalogue.as("uploader");
const cleanup = () => catalogue.as("cleanup");
const auditor = () => catalogue.as("auditor");

/** A record that the catalogue knows, as its worker told it. */
async function reported(change: Partial<JobRecord> = {}): Promise<JobRecord> {
  const record = jobRecord(change);
  await reportJob(record.tenantId === "globex" ? globex() : acme(), record);
  return record;
}

function intentFor(record: JobRecord, change: Partial<Intent> = {}): Intent {
  const { tenantId, jobId, owner } = record;
  return {
    tenantId,
    jobId,
    volume: owner.volume,
    action: "delete",
    reason: "uploaded 60s ago",
    actor: "test",
    ...change,
  };
}

const onVolume = (volume: string): Partial<JobRecord> => ({ owner: { ...jobRecord().owner, volume } });

describe("migrations", () => {
  it("run once, however often and at whatever time they are started", async () => {
    const url = await postgres.createDatabase();
    const runs = await Promise.all(Array.from({ length: 12 }, () => migrate(url)));
    expect(runs.flat()).toEqual(MIGRATIONS);
    expect(await migrate(url)).toEqual([]);
  });

  it("leave nothing behind when one fails, and say which statement did", async () => {
    const directory = await fs.mkdtemp("/tmp/video-storage-migrations-");
    await fs.writeFile(`${directory}/0001_ok.sql`, "CREATE TABLE storage.fine (id int);");
    await fs.writeFile(`${directory}/0002_bad.sql`, "CREATE TABLE storage.broken (id nonsense);");
    const url = await postgres.createDatabase();
    await expect(migrate(url, { directory })).rejects.toThrow(/type "nonsense" does not exist/);
    await fs.rm(directory, { recursive: true });
    // The good ones run as if nothing had been.
    expect(await migrate(url)).toEqual(MIGRATIONS);
  });

  it("meet a server that isn't there with the error for it", async () => {
    await expect(migrate("postgres://a:b@127.0.0.1:1/none")).rejects.toThrow(CatalogueUnavailableError);
  });

  it("have the state machine that the programs have", async () => {
    const pairs = JOB_STATES.flatMap((from) =>
      JOB_STATES.map((to) => ({ from, to, legal: canBecome(from, to) })),
    );
    const rows = await catalogue.admin(
      `SELECT p->>'from' AS "from", p->>'to' AS "to", storage.can_become(p->>'from', p->>'to') AS legal
       FROM jsonb_array_elements($1::jsonb) p`,
      [JSON.stringify(pairs)],
    );
    expect(rows).toEqual(pairs);
  });
});

describe("logins", () => {
  it("keep their password out of the server's statements and take a new one", async () => {
    const login = { login: "worker_rotated", role: "worker", tenantId: parseTenantId("rotated") } as const;
    const connected = async (password: string): Promise<string | null> => {
      const connection = connect({ ...catalogue.settings(login.login), password });
      return tenantOfLogin(connection).finally(() => connection.close());
    };
    await provisionLogins(catalogue.adminUrl, [{ ...login, password: "first's \\ pass" }]);
    expect(await connected("first's \\ pass")).toBe("rotated");
    await provisionLogins(catalogue.adminUrl, [{ ...login, password: "second" }]);
    expect(await connected("second")).toBe("rotated");
    await expect(connected("first's \\ pass")).rejects.toThrow(CatalogueRefusedError);
  });

  it("that serve another database of the same server are left as they are, with what to do", async () => {
    const login = {
      login: "worker_elsewhere",
      role: "worker",
      tenantId: parseTenantId("elsewhere"),
    } as const;
    const other = await postgres.createCatalogue(["acme"]);
    try {
      await provisionLogins(other.adminUrl, [{ ...login, password: `${login.login}-password` }]);
      await expect(
        provisionLogins(catalogue.adminUrl, [{ ...login, password: "another's" }]),
      ).rejects.toThrow(
        `this Postgres server has these logins for another environment: worker_elsewhere (database ${other.database}). ` +
          "Logins belong to the whole server, so that each environment needs a server of its own. If that database is no " +
          'longer in use, drop it, or give its logins to this one: COMMENT ON ROLE "worker_elsewhere" IS NULL;',
      );
      expect(await tenantOfLogin(other.as(login.login))).toBe("elsewhere");
      await catalogue.admin('COMMENT ON ROLE "worker_elsewhere" IS NULL');
      await provisionLogins(catalogue.adminUrl, [{ ...login, password: `${login.login}-password` }]);
      expect(await tenantOfLogin(catalogue.as(login.login))).toBe("elsewhere");
    } finally {
      await other.close();
    }
  });

  it("have one role: what they were before is taken away", async () => {
    await provisionLogins(catalogue.adminUrl, [
      { login: "changing", role: "cleanup", password: "changing-password" },
    ]);
    expect(await catalogue.as("changing").query("SELECT count(*) FROM storage.audit")).toEqual([
      { count: 0 },
    ]);
    await provisionLogins(catalogue.adminUrl, [
      { login: "changing", role: "uploader", password: "changing-password" },
    ]);
    await expect(catalogue.as("changing").query("SELECT count(*) FROM storage.audit")).rejects.toThrow(
      /permission denied/,
    );
  });

  it("are bound to their tenant", async () => {
    expect(await tenantOfLogin(acme())).toBe("acme");
    expect(await tenantOfLogin(uploader())).toBeNull();
    await expect(acme().query("UPDATE storage.tenant_logins SET tenant_id = 'globex'")).rejects.toThrow(
      /permission denied/,
    );
  });
});

describe("reports of a worker", () => {
  it("register a job, move it on, and change nothing when repeated or late", async () => {
    const record = jobRecord({ expectedBytes: 9 });
    const done: JobRecord = {
      ...record,
      ...{ state: "completed", revision: 2 },
      files: { "a.mp4": { bytes: 5, sha256: "0".repeat(64) }, "b.mp4": { bytes: 4, sha256: "0".repeat(64) } },
    };
    expect(await reportJob(acme(), record)).toBe("registered");
    expect(await reportJob(acme(), record)).toBe("unchanged");
    expect(await reportJob(acme(), done)).toBe("updated");
    expect(await reportJob(acme(), done)).toBe("unchanged");
    expect(await reportJob(acme(), record)).toBe("unchanged");
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({
      ...{ tenantId: "acme", state: "completed", revision: 2, bytes: 9, expectedBytes: 9, location: "local" },
      ...{ ...record.owner, deleted: false, contradiction: false },
    });
  });

  it("don't bring back a job that the sweep gave up", async () => {
    const record = await reported();
    expect(await markAbandoned(cleanup(), record)).toBe(true);
    expect(await markAbandoned(cleanup(), record)).toBe(false);
    expect(await reportJob(acme(), { ...record, state: "completed", revision: 2 })).toBe("unchanged");
    expect(await heartbeat(acme(), record)).toBe(false);
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ state: "abandoned", revision: 2 });
  });

  it("may all be for one job at once", async () => {
    const record = jobRecord();
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => reportJob(acme(), record)));
    expect(outcomes.filter((outcome) => outcome === "registered")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "unchanged")).toHaveLength(7);
  });
});

describe("tenants", () => {
  it("see only their own jobs and objects", async () => {
    const theirs = await reported({ tenantId: parseTenantId("globex") });
    const object = {
      bucket: "video",
      objectKey: `${jobPrefix(theirs.tenantId, theirs.jobId)}a`,
      bytes: 1,
      sha256: "0".repeat(64),
    };
    await recordObject(globex(), theirs, object);
    expect(await objectsOf(globex(), theirs)).toEqual([object]);
    expect(await objectsOf(acme(), theirs)).toEqual([]);
    expect(await jobStatus(acme(), theirs)).toBeUndefined();
    expect(await jobStatus(globex(), theirs)).toMatchObject({ state: "active", location: "local" });
    expect(await acme().query("SELECT DISTINCT tenant_id FROM storage.jobs")).toEqual([
      { tenant_id: "acme" },
    ]);
  });

  it("can't write for another one", async () => {
    const theirs = await reported({ tenantId: parseTenantId("globex") });
    await expect(reportJob(acme(), jobRecord({ tenantId: parseTenantId("globex") }))).rejects.toThrow(
      CatalogueRefusedError,
    );
    // Another's job under one's own name: the id is taken.
    await expect(reportJob(acme(), { ...theirs, tenantId: parseTenantId("acme") })).rejects.toThrow(
      CatalogueRefusedError,
    );
    expect(await heartbeat(acme(), theirs)).toBe(false);
    expect(
      await acme().query("UPDATE storage.jobs SET state = 'failed' WHERE job_id = $1 RETURNING 1", [
        theirs.jobId,
      ]),
    ).toEqual([]);
    const object = {
      bucket: "video",
      objectKey: `${jobPrefix(theirs.tenantId, theirs.jobId)}a`,
      bytes: 1,
      sha256: "0".repeat(64),
    };
    await expect(recordObject(acme(), theirs, object)).rejects.toThrow(CatalogueRefusedError);
    // One's own job, but a key below another's prefix.
    const own = await reported();
    await expect(recordObject(acme(), own, object)).rejects.toThrow(CatalogueRefusedError);
    expect(await jobStatus(globex(), theirs)).toMatchObject({ state: "active", location: "local" });
  });

  it("stay who they are under SET ROLE", async () => {
    const rows = await acme().transaction(async (connection) => {
      await connection.query("SET LOCAL ROLE storage_worker");
      return connection.query("SELECT DISTINCT tenant_id FROM storage.jobs");
    });
    expect(rows).toEqual([{ tenant_id: "acme" }]);
    await expect(acme().query("SET ROLE storage_cleanup")).rejects.toThrow(CatalogueRefusedError);
  });

  it("set only the states that are a worker's, and only forward", async () => {
    const record = await reported();
    const set = (sql: string) =>
      acme().query(`UPDATE storage.jobs SET ${sql} WHERE job_id = $1`, [record.jobId]);
    await expect(set("state = 'uploaded'")).rejects.toThrow(CatalogueRefusedError);
    await expect(set("state = 'abandoned'")).rejects.toThrow(CatalogueRefusedError);
    await expect(set("tenant_id = 'globex'")).rejects.toThrow(CatalogueRefusedError);
    await expect(set("volume = 'elsewhere'")).rejects.toThrow(CatalogueRefusedError);
    await expect(set("created_at = now() - interval '1 year'")).rejects.toThrow(CatalogueRefusedError);
    await set("state = 'completed'");
    await expect(set("state = 'active'")).rejects.toThrow(/a job that is completed cannot become active/);
    await expect(set("revision = 1")).rejects.toThrow(/revision 1 is older than 2/);
    await expect(acme().query("DELETE FROM storage.jobs")).rejects.toThrow(CatalogueRefusedError);
    await expect(acme().query("SELECT FROM storage.audit")).rejects.toThrow(CatalogueRefusedError);
  });
});

describe("the uploader", () => {
  it("marks completed jobs of any tenant uploaded, once", async () => {
    const record = await reported({ tenantId: parseTenantId("globex"), state: "completed" });
    expect(await markUploaded(uploader(), record)).toBe(true);
    expect(await markUploaded(uploader(), record)).toBe(false);
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ state: "uploaded", revision: 2 });
  });

  it("can do nothing else", async () => {
    const active = await reported();
    const completed = await reported({ state: "completed" });
    const set = (sql: string, jobId: string) =>
      uploader().query(`UPDATE storage.jobs SET ${sql} WHERE job_id = $1 RETURNING 1`, [jobId]);
    expect(await markUploaded(uploader(), active)).toBeUndefined();
    expect(await set("state = 'completed'", active.jobId)).toEqual([]);
    await expect(set("state = 'failed'", completed.jobId)).rejects.toThrow(CatalogueRefusedError);
    await expect(set("heartbeat_at = now()", completed.jobId)).rejects.toThrow(CatalogueRefusedError);
    await expect(reportJob(uploader(), jobRecord())).rejects.toThrow(CatalogueRefusedError);
    await expect(uploader().query("SELECT FROM storage.audit")).rejects.toThrow(CatalogueRefusedError);
    await expect(markAbandoned(uploader(), active)).resolves.toBe(false);
    await markUploaded(uploader(), completed);
    await expect(set("state = 'completed'", completed.jobId)).rejects.toThrow(
      /uploaded cannot become completed/,
    );
  });

  it("is itself what a worker can't be", async () => {
    const record = await reported({ state: "completed" });
    await expect(markUploaded(acme(), record)).rejects.toThrow(CatalogueRefusedError);
  });
});

describe("ages", () => {
  it("are by the database's clock, whatever the record's says, and negative when they lie ahead", async () => {
    const volume = "ages";
    const old = await reported({ ...onVolume(volume), createdAt: "1999-01-01T00:00:00.000Z" });
    const ahead = await reported(onVolume(volume));
    await catalogue.admin(
      `UPDATE storage.jobs SET heartbeat_at = now() - interval '90 s', last_access_at = now() - interval '1 h' WHERE job_id = $1`,
      [old.jobId],
    );
    await catalogue.admin(
      `UPDATE storage.jobs SET state_changed_at = now() + interval '1 h' WHERE job_id = $1`,
      [ahead.jobId],
    );
    const jobs = await jobsOnVolume(cleanup(), volume);
    expect(jobs.map((job) => job.jobId)).toEqual([old.jobId, ahead.jobId]);
    const within = (age: number, seconds: number) => age >= seconds && age < seconds + 15;
    expect(within(jobs[0]!.secondsSinceHeartbeat, 90)).toBe(true);
    expect(within(jobs[0]!.secondsSinceAccess, 3600)).toBe(true);
    expect(within(jobs[0]!.secondsSinceCreation, 0)).toBe(true);
    expect(within(jobs[1]!.secondsInState, -3600)).toBe(true);
  });

  it("begin again with a heartbeat, with an access, and with a state", async () => {
    const record = await reported();
    const age = async () => (await findJob(cleanup(), record.jobId))!;
    const long = `now() - interval '1 h'`;
    await catalogue.admin(
      `UPDATE storage.jobs SET heartbeat_at = ${long}, last_access_at = ${long}, state_changed_at = ${long} WHERE job_id = $1`,
      [record.jobId],
    );
    expect(await heartbeat(acme(), record)).toBe(true);
    expect((await age()).secondsSinceHeartbeat).toBeLessThan(15);
    expect((await age()).secondsInState).toBeGreaterThanOrEqual(3600);
    await reportJob(acme(), { ...record, state: "completed", revision: 2 });
    expect((await age()).secondsInState).toBeLessThan(15);
    expect((await age()).secondsSinceAccess).toBeGreaterThanOrEqual(3600);
    await touch(uploader(), record);
    expect((await age()).secondsSinceAccess).toBeLessThan(15);
  });
});

describe("deletions", () => {
  it("are recorded before and after, once, and the job says that it is gone", async () => {
    const record = await reported({ ...onVolume("deleting"), state: "failed" });
    const intent = intentFor(record, { details: { secondsInState: 61 } });
    expect(await recordIntent(cleanup(), intent)).toBe(true);
    expect(await recordIntent(cleanup(), { ...intent, reason: "again" })).toBe(true); // begun, and to be ended
    expect(await recordIntent(cleanup(), { ...intent, volume: "elsewhere" })).toBe(false);
    expect(await openIntents(cleanup(), "deleting")).toEqual([{ ...intent, sequence: 1 }]);
    expect(await recordOutcome(cleanup(), { ...intent, bytes: 7, files: 2 })).toBe(true);
    expect(await recordOutcome(cleanup(), { ...intent, bytes: 0, files: 0 })).toBe(false);
    expect(await recordIntent(cleanup(), intent)).toBe(false);
    expect(await openIntents(cleanup(), "deleting")).toEqual([]);
    expect(await jobsOnVolume(cleanup(), "deleting")).toEqual([]);
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ deleted: true, location: "none" });
    expect(await readAudit(auditor(), "deleting")).toMatchObject([
      {
        sequence: 1,
        phase: "intent",
        reason: "uploaded 60s ago",
        login: "cleanup",
        details: { secondsInState: 61 },
      },
      { sequence: 2, phase: "outcome", bytes: 7, files: 2, jobId: record.jobId, tenantId: "acme" },
    ]);
  });

  it("after tiering leave the job, in object storage, and may still be of the objects", async () => {
    const record = await reported({ ...onVolume("tiering"), state: "completed" });
    const tier = intentFor(record, { action: "tier" });
    await recordIntent(cleanup(), tier);
    await recordOutcome(cleanup(), { ...tier, bytes: 7, files: 1 });
    expect(await jobsOnVolume(cleanup(), "tiering")).toMatchObject([
      { jobId: record.jobId, location: "object" },
    ]);
    expect(await recordIntent(cleanup(), intentFor(record))).toBe(true);
  });

  it("that were begun and given up are no deletion of what was moved to object storage then", async () => {
    const record = await reported({ ...onVolume("given-up"), state: "completed" });
    const deletion = intentFor(record);
    const tier = intentFor(record, { action: "tier" });
    await recordIntent(cleanup(), deletion);
    await recordIntent(cleanup(), tier);
    await recordOutcome(cleanup(), { ...tier, bytes: 7, files: 1 });
    expect(await openIntents(cleanup(), "given-up")).toEqual([]);
    // Nor by a sweep of an earlier release, which had read what is open before.
    await recordOutcome(cleanup(), { ...deletion, bytes: 0, files: 0 });
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ deleted: false, location: "object" });
  });

  it("can't be recorded by anyone but the sweep", async () => {
    const record = await reported();
    for (const login of [acme(), uploader(), auditor()]) {
      await expect(recordIntent(login, intentFor(record))).rejects.toThrow(CatalogueRefusedError);
    }
  });

  it("leave contradictions and sweeps for people to see", async () => {
    const record = await reported();
    await markContradiction(cleanup(), record);
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ contradiction: true });
    const id = await beginSweep(cleanup(), "v", "cleanup-pod");
    const numbers = {
      deleted: 1,
      tiered: 2,
      kept: 3,
      failed: 4,
      freedBytes: 5,
      usageBytes: 6,
      capacityBytes: 2 ** 45,
    };
    await finishSweep(cleanup(), id, { result: "partial", ...numbers });
    const [sweep] = await auditor().query(
      "SELECT *, finished_at >= started_at AS ended FROM storage.sweeps WHERE id = $1",
      [id],
    );
    expect(sweep).toMatchObject({
      actor: "cleanup-pod",
      result: "partial",
      kept: 3,
      capacity_bytes: 2 ** 45,
      ended: true,
    });
  });
});

describe("the audit", () => {
  it("is append-only, for the sweep's login and for the superuser", async () => {
    const record = await reported(onVolume("append-only"));
    await recordIntent(cleanup(), intentFor(record));
    for (const statement of [
      "UPDATE storage.audit SET reason = 'x'",
      "DELETE FROM storage.audit",
      "TRUNCATE storage.audit",
    ]) {
      await expect(cleanup().query(statement)).rejects.toThrow(/permission denied/);
      await expect(catalogue.admin(statement)).rejects.toThrow(/the audit is append-only/);
    }
    const forged =
      "INSERT INTO storage.audit (volume, sequence, job_id, phase, action, reason, actor, recorded_at, hash)";
    await expect(
      cleanup().query(`${forged} VALUES ('append-only', 9, $1, 'outcome', 'delete', 'x', 'x', now(), '')`, [
        newJobId(),
      ]),
    ).rejects.toThrow(/permission denied/);
    expect(await readAudit(auditor(), "append-only")).toHaveLength(1);
  });

  it("is one whole chain per volume, also when many write at once and in whatever time zone", async () => {
    const records = await Promise.all(Array.from({ length: 12 }, () => reported(onVolume("crowd"))));
    await Promise.all(
      records.map((record) =>
        recordIntent(cleanup(), intentFor(record, { reason: `"é" \\ ${record.jobId}` })),
      ),
    );
    await cleanup().transaction(async (connection) => {
      await connection.query("SET LOCAL timezone = 'Asia/Kolkata'");
      await recordIntent(connection, intentFor(await reported(onVolume("crowd"))));
    });
    const entries = await readAudit(auditor(), "crowd");
    expect(entries.map((entry) => entry.sequence)).toEqual(
      Array.from({ length: 13 }, (_, index) => index + 1),
    );
    expect(verifyChain(entries)).toMatchObject({ intact: true, entries: 13, problems: [] });
    expect(verifyChain(await readAudit(auditor())).intact).toBe(true);
  });

  /** Runs the statements as someone who owns the database and switches its guards off. */
  async function tamper(...statements: string[]): Promise<void> {
    const all = [
      "ALTER TABLE storage.audit DISABLE TRIGGER USER",
      ...statements,
      "ALTER TABLE storage.audit ENABLE TRIGGER USER",
    ];
    await catalogue.admin(all.join(";"));
  }

  async function chainOf(volume: string, length: number): Promise<void> {
    for (let index = 0; index < length; index += 1)
      await recordIntent(cleanup(), intentFor(await reported(onVolume(volume))));
  }

  it.each([
    [
      "a changed column",
      "UPDATE storage.audit SET reason = 'nothing' WHERE volume = $ AND sequence = 2",
      [[2, "its columns don't say what was hashed"]],
    ],
    [
      "a changed time",
      "UPDATE storage.audit SET recorded_at = recorded_at - interval '1 ms' WHERE volume = $ AND sequence = 2",
      [[2, "its columns don't say what was hashed"]],
    ],
    [
      "a changed payload",
      "UPDATE storage.audit SET reason = 'x', payload = replace(payload, 'uploaded 60s ago', 'x') WHERE volume = $ AND sequence = 2",
      [[2, "its hash is not that of its content"]],
    ],
    [
      "a row hashed anew",
      `UPDATE storage.audit a SET reason = 'x' WHERE volume = $ AND sequence = 2;
       UPDATE storage.audit a SET payload = storage.audit_payload(a) WHERE volume = $ AND sequence = 2;
       UPDATE storage.audit a SET hash = sha256(previous_hash || convert_to(payload, 'UTF8')) WHERE volume = $ AND sequence = 2`,
      [[3, "doesn't link to the row before it"]],
    ],
    [
      "a row taken out",
      "DELETE FROM storage.audit WHERE volume = $ AND sequence = 2",
      [
        [3, "follows row 1: rows between are missing"],
        [3, "doesn't link to the row before it"],
      ],
    ],
  ])("shows %s", async (what, statements, problems) => {
    const volume = `tampered: ${what}`;
    await chainOf(volume, 3);
    await tamper(statements.replaceAll("$", `'${volume}'`));
    const verification = verifyChain(await readAudit(auditor(), volume));
    expect(verification.intact).toBe(false);
    expect(verification.problems).toEqual(
      problems.map(([sequence, problem]) => ({ volume, sequence, problem })),
    );
  });

  it("shows an end cut off to whoever kept an anchor", async () => {
    await chainOf("cut", 3);
    const { anchors } = verifyChain(await readAudit(auditor(), "cut"));
    expect(verifyChain(await readAudit(auditor(), "cut"), anchors).intact).toBe(true);
    await tamper("DELETE FROM storage.audit WHERE volume = 'cut' AND sequence = 3");
    expect(verifyChain(await readAudit(auditor(), "cut")).intact).toBe(true);
    expect(verifyChain(await readAudit(auditor(), "cut"), anchors).problems).toEqual([
      { volume: "cut", sequence: 3, problem: "is missing, and was there" },
    ]);
  });
});

describe("a server that is away", () => {
  it("is told from one that refuses, and comes back", async () => {
    const own = await startPostgres();
    try {
      const away = await own.createCatalogue(["acme"]);
      const connection = away.as("worker_acme");
      expect(await tenantOfLogin(connection)).toBe("acme");
      await own.interrupt();
      await expect(tenantOfLogin(connection)).rejects.toThrow(CatalogueUnavailableError);
      await expect(connection.transaction(async () => undefined)).rejects.toThrow(CatalogueUnavailableError);
      await own.resume();
      expect(await tenantOfLogin(connection)).toBe("acme");
      await away.close();
    } finally {
      await own.stop();
    }
  });

  it("doesn't hold up its caller", async () => {
    // Accepts connections and never says a word.
    const net = await import("node:net");
    const silent = net.createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const settings = { ...catalogue.settings("worker_acme"), port, connectTimeoutMilliseconds: 200 };
    const connection = connect(settings);
    await expect(tenantOfLogin(connection)).rejects.toThrow(CatalogueUnavailableError);
    await connection.close();
    silent.close();
  });

  it("is also one that cancels what takes too long", async () => {
    const connection = connect({ ...catalogue.settings("worker_acme"), statementTimeoutMilliseconds: 100 });
    await expect(connection.query("SELECT pg_sleep(5)")).rejects.toThrow(CatalogueUnavailableError);
    await connection.close();
  });

  it("isn't a wrong password", async () => {
    const connection = connect({ ...catalogue.settings("worker_acme"), password: "wrong" });
    await expect(tenantOfLogin(connection)).rejects.toThrow(CatalogueRefusedError);
    await connection.close();
  });
});
