import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CatalogueBusyError, CatalogueRefusedError, connect } from "@video-storage/catalogue/connection";
import { reportJob } from "@video-storage/catalogue/jobs";
import {
  findJob,
  jobsOnVolume,
  markAbandoned,
  provesRecord,
  recordIntent,
  recordOutcome,
} from "@video-storage/catalogue/sweeping";
import type { Outcome } from "@video-storage/catalogue/sweeping";
import { newJobId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import { recordKey, recordProof } from "@video-storage/contract/record-proof";
import { jobRecord } from "../support/documents.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

/** What a tenant can do that has its worker's password, and what the sweep's login must not be able to. */

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
const cleanup = () => catalogue.as("cleanup");

async function reported(change: Partial<JobRecord> = {}): Promise<JobRecord> {
  const record = jobRecord(change);
  await reportJob(acme(), record);
  return record;
}

function outcomeFor({ tenantId, jobId, owner }: JobRecord): Outcome {
  return {
    ...{ tenantId, jobId, volume: owner.volume, action: "delete", reason: "test", actor: "test" },
    ...{ bytes: 1, files: 1 },
  };
}

describe("a worker's login", () => {
  it("can't hold up the audit", async () => {
    const record = await reported({ state: "failed" });
    await expect(recordIntent(cleanup(), outcomeFor(record))).resolves.toBe(true);
    for (const statement of [
      `SELECT FROM storage.audit_chains FOR UPDATE`,
      `INSERT INTO storage.audit_chains VALUES ('${record.owner.volume}')`,
      `SELECT storage.lock_audit_chain('${record.owner.volume}')`,
      `SELECT pg_advisory_lock(hashtextextended('storage.audit:${record.owner.volume}', 0))`,
    ]) {
      await expect(acme().query(statement)).rejects.toThrow(CatalogueRefusedError);
    }
  });

  it.each(["bytes", "expected_bytes"])("can't store %s that stop the sweep of a volume", async (column) => {
    const owner = { ...jobRecord().owner, volume: `huge-${column}` };
    const values = [newJobId(), owner.volume, "9223372036854775807"];
    await expect(
      acme().query(
        `INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod, ${column})
         VALUES ('acme', $1, 'active', 1, $2, 'n', 'n', 'p', $3)`,
        values,
      ),
    ).rejects.toThrow(CatalogueRefusedError);
    await expect(jobsOnVolume(cleanup(), owner.volume)).resolves.toEqual([]);
  });

  it("can't store names of any length", async () => {
    const owner = { ...jobRecord().owner, pod: "p".repeat(254) };
    await expect(reportJob(acme(), jobRecord({ owner }))).rejects.toThrow(CatalogueRefusedError);
  });

  it.each(["infinity", "-infinity", "2999-01-01", "1999-01-01"])("can't choose a time (%s)", async (time) => {
    const { jobId } = await reported();
    await acme().query(`UPDATE storage.jobs SET heartbeat_at = $2, last_access_at = $2 WHERE job_id = $1`, [
      jobId,
      time,
    ]);
    const job = (await findJob(cleanup(), jobId))!;
    for (const age of [job.secondsSinceHeartbeat, job.secondsSinceAccess]) {
      expect(age).toBeGreaterThanOrEqual(0);
      expect(age).toBeLessThan(15);
    }
  });

  it("can't use up the revisions, so that nobody else could move the job on", async () => {
    const record = await reported({ revision: 2_147_483_647 });
    expect(await markAbandoned(cleanup(), record)).toBe(true);
  });

  it("that holds a row is told from a server that is away", async () => {
    const record = await reported();
    let release = () => {};
    let locked = () => {};
    const isLocked = new Promise<void>((resolve) => (locked = resolve));
    const held = acme().transaction(async (connection) => {
      await connection.query(`SELECT FROM storage.jobs WHERE job_id = $1 FOR UPDATE`, [record.jobId]);
      locked();
      await new Promise<void>((resolve) => (release = resolve));
    });
    await isLocked;
    const impatient = connect({ ...catalogue.settings("cleanup"), statementTimeoutMilliseconds: 900 });
    try {
      await expect(markAbandoned(impatient, record)).rejects.toThrow(CatalogueBusyError);
    } finally {
      release();
      await held;
      await impatient.close();
    }
  });
});

describe("a report", () => {
  it("from another volume is a copy's, and changes nothing", async () => {
    const record = await reported();
    const copy = {
      ...record,
      state: "failed" as const,
      revision: 9,
      owner: { ...record.owner, volume: "other" },
    };
    expect(await reportJob(cleanup(), copy)).toBe("unchanged");
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ state: "active", revision: 1 });
  });

  it("proves its tenant by that tenant's password, for its own job and volume only", async () => {
    const record = jobRecord();
    const proof = recordProof(recordKey("worker_acme-password"), record);
    const proven = (change: Partial<JobRecord>) => provesRecord(cleanup(), { ...record, proof, ...change });
    expect(await proven({})).toBe(true);
    expect(await proven({ state: "completed", revision: 7 })).toBe(true);
    expect(await proven({ jobId: newJobId() })).toBe(false);
    expect(await proven({ owner: { ...record.owner, volume: "other" } })).toBe(false);
    expect(await proven({ tenantId: "globex" as JobRecord["tenantId"] })).toBe(false);
    expect(await proven({ proof: recordProof(recordKey("worker_globex-password"), record) })).toBe(false);
    expect(await proven({ proof: "00" })).toBe(false);
    expect(await provesRecord(cleanup(), record)).toBe(false);
    await expect(
      acme().query(`SELECT storage.proves_record('acme', $1, 'v', '')`, [record.jobId]),
    ).rejects.toThrow(CatalogueRefusedError);
    await expect(cleanup().query(`SELECT record_key FROM storage.tenant_logins`)).rejects.toThrow(
      CatalogueRefusedError,
    );
  });
});

describe("the sweep's login", () => {
  it("records no outcome of what it didn't intend", async () => {
    const record = await reported({ state: "failed" });
    const outcome = outcomeFor(record);
    await expect(recordOutcome(cleanup(), outcome)).rejects.toThrow(CatalogueRefusedError);
    await recordIntent(cleanup(), outcome);
    for (const other of [{ volume: "other" }, { action: "tier" as const }]) {
      await expect(recordOutcome(cleanup(), { ...outcome, ...other })).rejects.toThrow(CatalogueRefusedError);
    }
    expect(await findJob(cleanup(), record.jobId)).toMatchObject({ location: "local", deleted: false });
    expect(await recordOutcome(cleanup(), outcome)).toBe(true);
  });

  it("says of no job that it was uploaded", async () => {
    const { jobId } = await reported({ state: "completed" });
    await expect(
      cleanup().query(`UPDATE storage.jobs SET state = 'uploaded' WHERE job_id = $1`, [jobId]),
    ).rejects.toThrow(CatalogueRefusedError);
  });
});

describe("functions", () => {
  it("are for the roles that need them, and for nobody else", async () => {
    const rows = await catalogue.admin(
      `SELECT proname FROM pg_proc WHERE pronamespace = 'storage'::regnamespace
         AND has_function_privilege('public', oid, 'EXECUTE')`,
    );
    expect(rows).toEqual([]);
  });
});
