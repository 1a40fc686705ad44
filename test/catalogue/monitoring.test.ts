import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { claimUpkeep, finishUpkeep } from "@video-storage/catalogue/bucket-upkeep";
import { heartbeat, reportJob } from "@video-storage/catalogue/jobs";
import { bucketUpkeep, sweepTotals, volumesInUse } from "@video-storage/catalogue/statistics";
import { beginSweep, finishSweep, recordIntent, recordOutcome } from "@video-storage/catalogue/sweeping";
import type { SweepResult } from "@video-storage/catalogue/sweeping";
import { usageByTenant } from "@video-storage/catalogue/tenant-usage";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobRecord } from "../support/documents.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

/** What the monitoring reads, on a real Postgres with few rows; test/catalogue/million-jobs.test.ts has many. */

let postgres: TestPostgres;
let catalogue: TestCatalogue;

beforeAll(async () => {
  postgres = await startPostgres();
});
beforeEach(async () => {
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
  return () => catalogue.close();
});
afterAll(async () => {
  await postgres?.stop();
});

const cleanup = () => catalogue.as("cleanup");
const monitor = () => catalogue.as("monitor");

const SWEPT: SweepResult = {
  result: "ok",
  ...{ deleted: 3, tiered: 2, kept: 5, failed: 0, freedBytes: 7_000 },
  ...{ usageBytes: 10, capacityBytes: 100 },
};

async function swept(volume: string, result: Partial<SweepResult> = {}): Promise<void> {
  await finishSweep(cleanup(), await beginSweep(cleanup(), volume, "test"), { ...SWEPT, ...result });
}

describe("what sweeps came to", () => {
  it("is nothing before the first", async () => {
    expect(await sweepTotals(monitor())).toEqual([]);
  });

  it("is added up by how they ended, and not by those that never did", async () => {
    await swept("volume-1");
    await swept("volume-2");
    await swept("volume-1", { result: "partial", deleted: 1, tiered: 0, failed: 4, freedBytes: 11 });
    await beginSweep(cleanup(), "volume-1", "killed");
    expect(await sweepTotals(monitor())).toEqual([
      { result: "ok", sweeps: 2, deleted: 6, tiered: 4, failed: 0, freedBytes: 14_000 },
      { result: "partial", sweeps: 1, deleted: 1, tiered: 0, failed: 4, freedBytes: 11 },
    ]);
  });

  it("never falls: not when old rows leave the catalogue, and no sweep counts twice", async () => {
    const id = await beginSweep(cleanup(), "volume-1", "test");
    await finishSweep(cleanup(), id, SWEPT);
    await finishSweep(cleanup(), id, SWEPT);
    const before = await sweepTotals(monitor());
    expect(before).toMatchObject([{ sweeps: 1, deleted: 3 }]);
    await catalogue.admin(`DELETE FROM storage.sweeps`);
    expect(await sweepTotals(monitor())).toEqual(before);
  });

  it("goes beyond what a bigint of bytes would hold", async () => {
    await catalogue.admin(`INSERT INTO storage.sweep_totals VALUES ('ok', 1, 0, 0, 0, 9223372036854775807)`);
    await swept("volume-1");
    expect(await sweepTotals(monitor())).toMatchObject([{ sweeps: 2, freedBytes: 2 ** 63 + 7_000 }]);
  });
});

describe("the bucket", () => {
  const turn = async (result: string, failed: boolean): Promise<void> => {
    expect(await claimUpkeep(cleanup(), "artifacts", "test", 0)).toBe(true);
    await finishUpkeep(cleanup(), "artifacts", { result }, failed);
  };

  it("keeps when all was well, through turns that fail or are at work", async () => {
    expect(await bucketUpkeep(monitor())).toEqual([]);
    await turn("partial", true);
    expect(await bucketUpkeep(monitor())).toEqual([]);
    await turn("ok", false);
    const [good] = await bucketUpkeep(monitor());
    expect(good!.bucket).toBe("artifacts");
    expect(Math.abs(good!.lastSuccessSeconds - Date.now() / 1000)).toBeLessThan(60);
    await turn("partial", true);
    await claimUpkeep(cleanup(), "artifacts", "test", 0);
    expect(await bucketUpkeep(monitor())).toEqual([good]);
  });
});

describe("a volume", () => {
  const on = (volume: string, more: Partial<JobRecord> = {}): JobRecord => {
    const record = jobRecord(more);
    return { ...record, owner: { ...record.owner, volume } };
  };

  it("is in use while a job on it is active", async () => {
    const job = on("volume-1");
    await reportJob(catalogue.as("worker_acme"), job);
    expect(await volumesInUse(monitor(), ["volume-1", "volume-2"])).toBe(1);
    expect(await volumesInUse(monitor(), ["volume-2"])).toBe(0);
    await reportJob(catalogue.as("worker_acme"), { ...job, state: "completed", revision: 2 });
    expect(await volumesInUse(monitor(), ["volume-1", "volume-2"])).toBe(0);
  });

  it("is added up by tenant, without what is on others, tiered or deleted", async () => {
    const files = { "source.mp4": { bytes: 500, sha256: "a".repeat(64) } };
    const active = on("volume-1");
    const done = on("volume-1");
    const gone = on("volume-1");
    await reportJob(catalogue.as("worker_acme"), active);
    await reportJob(catalogue.as("worker_acme"), on("volume-2"));
    for (const job of [done, gone]) {
      await reportJob(catalogue.as("worker_acme"), job);
      await reportJob(catalogue.as("worker_acme"), { ...job, state: "completed", revision: 2, files });
    }
    const deletion = {
      ...{ volume: "volume-1", tenantId: gone.tenantId, jobId: gone.jobId, action: "delete" as const },
      ...{ reason: "test", actor: "test" },
    };
    await recordIntent(cleanup(), deletion);
    await recordOutcome(cleanup(), { ...deletion, bytes: 500, files: 1 });
    await catalogue.admin(
      `UPDATE storage.jobs SET last_access_at = now() - interval '1 day', state_changed_at = now() - interval '1 day',
         heartbeat_at = now() - interval '1 day'`,
    );
    const [silent] = await usageByTenant(cleanup(), "volume-1");
    expect(silent).toMatchObject({ tenantId: "acme", jobs: 2, bytes: 500 });
    expect(Math.abs(Date.now() / 1000 - 86_400 - silent!.lastAccessSeconds)).toBeLessThan(60);
    await heartbeat(catalogue.as("worker_acme"), active);
    const [alive] = await usageByTenant(cleanup(), "volume-1");
    expect(alive!.lastAccessSeconds - silent!.lastAccessSeconds).toBeGreaterThan(86_000);
    expect(await usageByTenant(cleanup(), "volume-3")).toEqual([]);
  });
});

describe("the monitor's login", () => {
  it.each([
    ["a job's id", "SELECT job_id FROM storage.jobs"],
    ["the audit", "SELECT reason FROM storage.audit"],
    ["what a bucket's turn said", "SELECT result FROM storage.janitor_runs"],
    ["the actor of a bucket's turn", "SELECT actor FROM storage.janitor_runs"],
  ])("may not read %s", async (_what, statement) => {
    await expect(monitor().query(statement)).rejects.toThrow(/permission denied/);
  });

  it("may not change the totals, and neither may the sweep's", async () => {
    const zero = "UPDATE storage.sweep_totals SET sweeps = 0";
    await expect(monitor().query(zero)).rejects.toThrow(/permission denied/);
    await expect(cleanup().query(zero)).rejects.toThrow(/permission denied/);
  });
});
