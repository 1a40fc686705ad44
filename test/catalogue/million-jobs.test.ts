import fs from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Queryable, Row } from "@video-storage/catalogue/connection";
import { historyOf } from "@video-storage/catalogue/job-history";
import { heartbeat, markUploaded } from "@video-storage/catalogue/jobs";
import { migrate } from "@video-storage/catalogue/migrate";
import {
  auditLag,
  bucketUpkeep,
  eligibleJobs,
  jobTotals,
  lastSweeps,
  oldestJobs,
  sweepTotals,
  volumesInUse,
} from "@video-storage/catalogue/statistics";
import { findJob, openIntents } from "@video-storage/catalogue/sweeping";
import { usageByTenant } from "@video-storage/catalogue/tenant-usage";
import type { TenantUsage } from "@video-storage/catalogue/tenant-usage";
import {
  dueJobsInPages,
  jobsInObjectStorageInPages,
  jobsOnVolumeInPages,
  leastRecentlyUsedInPages,
} from "@video-storage/catalogue/volume-jobs";
import type { JobIdentity } from "@video-storage/contract/identity";
import type { JobState } from "@video-storage/contract/states";
import { RETENTION } from "../support/documents.js";
import { THOROUGH } from "../support/rounds.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

/** What the sweep and the monitoring ask, on a real Postgres that holds a million jobs and as many audit rows. */

const JOBS = 1_000_000;
const VOLUMES = 200;
const TENANTS = 40;
const HOUR = 3600;
const VOLUME = "volume-7";
const VOLUME_NAMES = Array.from({ length: VOLUMES }, (_, n) => `volume-${n}`);

let postgres: TestPostgres;
let catalogue: TestCatalogue;

// The states in which jobs are, by job number modulo 20; the age in hours is the number divided by 400.
const LOAD = `
  INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod, bytes, location,
    created_at, state_changed_at, heartbeat_at, last_access_at, deleted_at)
  SELECT 'tenant-' || n / 4000 % ${TENANTS},
    (lpad(to_hex(n), 12, '0') || '7000' || '8000' || lpad(to_hex(n::bigint * 7919 % 1000003), 12, '0'))::uuid,
    CASE WHEN n % 20 < 12 THEN 'uploaded' WHEN n % 20 < 16 THEN 'completed' WHEN n % 20 < 18 THEN 'failed'
      WHEN n % 20 = 18 THEN 'abandoned' ELSE 'active' END,
    2, 'volume-' || n / 20 % ${VOLUMES}, 'node', 'video', 'pod-' || n, n % 1000 * 1000000,
    CASE WHEN n % 20 < 6 THEN 'none' WHEN n % 20 = 12 THEN 'object' ELSE 'local' END,
    age, age, age, age, CASE WHEN n % 20 < 6 THEN age END
  FROM (SELECT n, now() - n / 400 * interval '1 hour' AS age FROM generate_series(1, ${JOBS}) n) g`;
// Half a million deletions, all with their outcome but one on each volume.
const LOAD_AUDIT = `
  INSERT INTO storage.audit (volume, sequence, tenant_id, job_id, phase, action, reason, actor, login, recorded_at,
    payload, previous_hash, hash)
  SELECT volume, row_number() OVER (PARTITION BY volume ORDER BY job_id, phase), tenant_id, job_id, phase, 'delete',
    'uploaded', 'cleanup', 'cleanup', state_changed_at, '{}', '', ''
  FROM storage.jobs, (VALUES ('intent'), ('outcome')) p (phase)
  WHERE state = 'uploaded' AND (phase = 'intent' OR pod <> 'pod-' || 20 * substr(volume, 8)::int)
    AND substr(pod, 5)::int <= 833333`;
const LOAD_SWEEPS = `
  INSERT INTO storage.sweeps (volume, actor, started_at, finished_at, result)
  SELECT 'volume-' || n % ${VOLUMES}, 'cleanup', t, t, CASE WHEN n % 7 = 0 THEN 'partial' ELSE 'ok' END
  FROM (SELECT n, now() - n * interval '3 s' AS t FROM generate_series(1, 100000) n) g`;

// Half a minute of a processor.
describe.runIf(THOROUGH)("a catalogue of a million jobs", () => {
  beforeAll(async () => {
    postgres = await startPostgres({
      shared_buffers: "512MB",
      max_wal_size: "8GB",
      maintenance_work_mem: "256MB",
    });
    // As a catalogue of the first release would have grown; the later migrations then meet all of it.
    const early = await fs.mkdtemp("/tmp/video-storage-migrations-");
    for (const name of ["0001_catalogue.sql", "0002_hostile_logins.sql"])
      await fs.copyFile(`catalogue/migrations/${name}`, `${early}/${name}`);
    const adminUrl = await postgres.createDatabase();
    await migrate(adminUrl, { directory: early });
    await fs.rm(early, { recursive: true });
    catalogue = postgres.catalogueAt(adminUrl);
    await catalogue.admin(
      `SET LOCAL session_replication_role = replica; ${LOAD}; ${LOAD_AUDIT}; ${LOAD_SWEEPS}`,
    );
    await migrate(adminUrl);
    await postgres.provision(adminUrl, ["tenant-7"]);
    await catalogue.admin("VACUUM (ANALYZE) storage.jobs, storage.audit, storage.sweeps");
  }, 180_000);
  afterAll(async () => {
    await catalogue?.close();
    await postgres?.stop();
  });

  interface PlanNode {
    readonly "Node Type": string;
    readonly "Relation Name"?: string;
    readonly "Index Name"?: string;
    readonly "Actual Rows": number;
    readonly "Actual Loops": number;
    readonly "Rows Removed by Filter"?: number;
    readonly "Shared Hit Blocks": number;
    readonly "Shared Read Blocks": number;
    readonly Plans?: readonly PlanNode[];
  }

  interface Explained {
    readonly statements: number;
    /** Every table that was read as a whole. */
    readonly sequential: string[];
    readonly indexes: string[];
    /** Pages of 8 KiB that the dearest statement touched. */
    readonly blocks: number;
    /** Rows that the dearest statement read and threw away. */
    readonly discarded: number;
    readonly sorted: boolean;
  }

  /** Runs the work, and every statement of it by EXPLAIN (ANALYZE, BUFFERS) as well. */
  async function explained(
    login: string,
    work: (catalogue: Queryable) => Promise<unknown>,
  ): Promise<Explained> {
    const plans: PlanNode[] = [];
    const connection = catalogue.as(login);
    await work({
      async query<R extends Row>(text: string, values?: readonly unknown[]): Promise<R[]> {
        if (/^\s*(SELECT|WITH)/.test(text)) {
          const [row] = await connection.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values);
          plans.push((row!["QUERY PLAN"] as [{ Plan: PlanNode }])[0].Plan);
        }
        return connection.query<R>(text, values);
      },
    });
    const nodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
    const all = plans.flatMap(nodes);
    const large = new Set(["jobs", "audit", "sweeps", "objects"]);
    return {
      statements: plans.length,
      sequential: all
        .filter((n) => n["Node Type"].includes("Seq Scan") && large.has(n["Relation Name"] ?? ""))
        .map((n) => n["Relation Name"]!),
      indexes: [...new Set(all.flatMap((n) => n["Index Name"] ?? []))].sort(),
      blocks: Math.max(...plans.map((n) => n["Shared Hit Blocks"] + n["Shared Read Blocks"])),
      discarded: Math.max(
        ...plans.map((plan) =>
          nodes(plan).reduce((sum, n) => sum + (n["Rows Removed by Filter"] ?? 0) * n["Actual Loops"], 0),
        ),
      ),
      sorted: all.some((n) => n["Node Type"].includes("Sort") && n["Actual Rows"] > 1000),
    };
  }

  async function counted(pages: AsyncIterable<readonly unknown[]>, most = Infinity): Promise<number> {
    let count = 0;
    for await (const page of pages) {
      count += page.length;
      if (count >= most) break;
    }
    return count;
  }

  const jobNumber = async (n: number): Promise<JobIdentity & { state: JobState }> => {
    const [row] = await catalogue.admin(
      `SELECT tenant_id AS "tenantId", job_id AS "jobId", state FROM storage.jobs
     WHERE job_id = (lpad(to_hex($1::int), 12, '0') || '7000' || '8000' || lpad(to_hex($1::bigint * 7919 % 1000003), 12, '0'))::uuid`,
      [n],
    );
    return row as never;
  };

  it("holds a million jobs", async () => {
    const [row] = await catalogue.admin(
      `SELECT (SELECT count(*)::int FROM storage.jobs) AS jobs, (SELECT count(*)::int FROM storage.audit) AS audit`,
    );
    expect(row).toEqual({ jobs: JOBS, audit: 999_807 });
  });

  describe("the sweep of one volume", () => {
    it("reads its jobs page by page from one index", async () => {
      let found = 0;
      const plan = await explained("cleanup", async (c) => {
        found = await counted(jobsOnVolumeInPages(c, VOLUME));
      });
      expect(found).toBe((JOBS / VOLUMES) * 0.7);
      expect(plan).toMatchObject({
        ...{ statements: 8, sequential: [], indexes: ["jobs_on_volume"], discarded: 0, sorted: false },
      });
      expect(plan.blocks).toBeLessThan(1_200);
    });

    it("finds what is due without looking at what isn't", async () => {
      const due = { uploaded: 2400 * HOUR, failed: 2450 * HOUR, completed: 2480 * HOUR };
      let found = 0;
      const plan = await explained("cleanup", async (c) => {
        found = await counted(dueJobsInPages(c, VOLUME, due));
      });
      expect(found).toBeGreaterThan(50);
      expect(found).toBeLessThan(300);
      expect(plan).toMatchObject({ sequential: [], indexes: ["jobs_by_age"], discarded: 0, sorted: false });
      expect(plan.blocks).toBeLessThan(500);
    });

    it("finds silent workers among the active jobs only", async () => {
      const plan = await explained("cleanup", (c) =>
        counted(dueJobsInPages(c, VOLUME, { active: 60, abandoned: 60 })),
      );
      expect(plan).toMatchObject({ sequential: [], indexes: ["jobs_by_age"], sorted: false });
      expect(plan.discarded).toBeLessThanOrEqual(JOBS / VOLUMES / 20);
    });

    it("takes the longest unused in their order", async () => {
      const plan = await explained("cleanup", (c) =>
        counted(leastRecentlyUsedInPages(c, VOLUME, ["uploaded", "failed"], { pageSize: 100 }), 300),
      );
      expect(plan).toMatchObject({
        statements: 3,
        sequential: [],
        indexes: ["jobs_by_access"],
        sorted: false,
      });
      expect(plan.blocks).toBeLessThan(300);
    });

    it("finds one job, its history and what a killed sweep left by their keys", async () => {
      const { jobId } = await jobNumber(140);
      const plan = await explained("cleanup", async (c) => {
        await findJob(c, jobId);
        expect(await historyOf(c, jobId)).toHaveLength(1);
        expect(await openIntents(c, VOLUME)).toMatchObject([{ jobId }]);
      });
      expect(plan.sequential).toEqual([]);
      expect(plan.indexes).toEqual(expect.arrayContaining(["audit_of_job", "jobs_job_id_key", "audit_pkey"]));
      expect(plan.blocks).toBeLessThan(50);
    });

    it("sums up what each tenant has there from its own rows", async () => {
      let usage: TenantUsage[] = [];
      const plan = await explained("cleanup", async (c) => {
        usage = await usageByTenant(c, VOLUME);
      });
      const [row] = await catalogue.admin(
        `SELECT count(*)::int AS jobs, sum(bytes)::float8 AS bytes FROM storage.jobs
       WHERE volume = $1 AND deleted_at IS NULL AND location = 'local'`,
        [VOLUME],
      );
      const sum = (of: (one: TenantUsage) => number): number => usage.reduce((all, one) => all + of(one), 0);
      expect({ jobs: sum((one) => one.jobs), bytes: sum((one) => one.bytes) }).toEqual(row);
      expect(usage).toHaveLength(TENANTS);
      expect(plan.sequential).toEqual([]);
      expect(plan.discarded).toBeLessThanOrEqual((JOBS / VOLUMES) * 0.7);
    });

    it("leaves volumes and finds what is in object storage, oldest first", async () => {
      const plan = await explained("cleanup", (c) =>
        counted(jobsInObjectStorageInPages(c, { minimumSecondsInState: 1000 * HOUR }), 1000),
      );
      expect(plan).toMatchObject({
        ...{
          statements: 2,
          sequential: [],
          indexes: ["jobs_in_object_storage"],
          discarded: 0,
          sorted: false,
        },
      });
    });
  });

  describe("workers", () => {
    it("change one row by its key, and a heartbeat changes no index", async () => {
      const identity = await jobNumber(7 * 4000 + 19);
      expect(identity.tenantId).toBe("tenant-7");
      const explain = async (login: string, sql: string): Promise<string> => {
        const rows = await catalogue
          .as(login)
          .transaction((c) => c.query(`EXPLAIN ${sql}`, [identity.tenantId, identity.jobId]));
        return rows.map((row) => String(row["QUERY PLAN"])).join("\n");
      };
      expect(
        await explain(
          "worker_tenant_7",
          "UPDATE storage.jobs SET heartbeat_at = now() WHERE tenant_id = $1 AND job_id = $2",
        ),
      ).toMatch(/Index Scan using jobs_(pkey|job_id_key)/);
      const [columns] = await catalogue.admin(
        `SELECT count(*)::int AS indexed FROM pg_index i JOIN pg_attribute a
         ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND a.attname = 'heartbeat_at'
       WHERE i.indrelid = 'storage.jobs'::regclass`,
      );
      expect(columns).toEqual({ indexed: 0 });
    });
  });

  describe("the monitoring", () => {
    const NOTHING_KEPT = {
      ...RETENTION,
      uploadedSeconds: 0,
      failedSeconds: 0,
      completedSeconds: 0,
      abandonedSeconds: 0,
    };
    const figures: [string, (c: Queryable) => Promise<unknown>][] = [
      ["totals", jobTotals],
      ["ages", oldestJobs],
      [
        "what is due",
        (c) =>
          eligibleJobs(c, () => ({
            ...RETENTION,
            uploadedSeconds: 2300 * HOUR,
            failedSeconds: 2300 * HOUR,
            completedSeconds: 2300 * HOUR,
          })),
      ],
      ["what is due when no sweep has run for months", (c) => eligibleJobs(c, () => NOTHING_KEPT)],
      ["open intents", auditLag],
      ["sweeps", lastSweeps],
      ["what sweeps came to", sweepTotals],
      ["buckets", bucketUpkeep],
      ["volumes in use", (c) => volumesInUse(c, VOLUME_NAMES)],
    ];

    it.each(figures)("has %s without reading a table", async (_what, ask) => {
      const plan = await explained("monitor", ask);
      expect(plan.sequential).toEqual([]);
      expect(plan.blocks).toBeLessThan(20_000);
    });

    it("gets the figures that the tables have", async () => {
      const totals = await jobTotals(catalogue.as("monitor"));
      expect(totals).toEqual(
        await catalogue.admin(
          `SELECT tenant_id AS "tenantId", location, state, count(*)::int AS jobs, sum(bytes)::float8 AS bytes
         FROM storage.jobs WHERE deleted_at IS NULL GROUP BY 1, 2, 3 ORDER BY tenant_id COLLATE "C", 2, 3`,
        ),
      );
      expect(totals.reduce((sum, t) => sum + t.jobs, 0)).toBe(JOBS * 0.7);
      const retention = { ...RETENTION, abandonedSeconds: 2000 * HOUR };
      const eligible = await eligibleJobs(catalogue.as("monitor"), () => retention);
      const [row] = await catalogue.admin(
        `SELECT count(*)::int AS jobs, sum(bytes)::float8 AS bytes FROM storage.jobs
       WHERE deleted_at IS NULL AND location = 'local' AND state = 'abandoned'
         AND state_changed_at <= now() - make_interval(secs => $1)`,
        [retention.abandonedSeconds],
      );
      const abandoned = eligible.filter((e) => e.state === "abandoned");
      expect({
        jobs: abandoned.reduce((sum, e) => sum + e.jobs, 0),
        bytes: abandoned.reduce((sum, e) => sum + e.bytes, 0),
      }).toEqual(row);
      expect(await auditLag(catalogue.as("monitor"))).toHaveLength(VOLUMES - 1);
      expect(await lastSweeps(catalogue.as("monitor"))).toHaveLength(VOLUMES);
      expect(await sweepTotals(catalogue.as("monitor"))).toMatchObject([
        { result: "ok", sweeps: 85_715 },
        { result: "partial", sweeps: 14_285 },
      ]);
      expect(await volumesInUse(catalogue.as("monitor"), [...VOLUME_NAMES, "volume-of-nobody"])).toBe(
        VOLUMES,
      );
      await markUploaded(catalogue.as("uploader"), await jobNumber(14));
      await heartbeat(catalogue.as("cleanup"), await jobNumber(19));
      const after = await jobTotals(catalogue.as("monitor"));
      const of = (list: typeof totals, state: JobState): number =>
        list.filter((t) => t.state === state && t.location === "local").reduce((sum, t) => sum + t.jobs, 0);
      expect(of(after, "uploaded") - of(totals, "uploaded")).toBe(1);
      expect(of(after, "completed") - of(totals, "completed")).toBe(-1);
    });
  });
});
