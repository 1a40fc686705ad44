import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { claimUpkeep, finishUpkeep } from "@video-storage/catalogue/bucket-upkeep";
import { reportJob } from "@video-storage/catalogue/jobs";
import { beginSweep, finishSweep, recordIntent } from "@video-storage/catalogue/sweeping";
import { parseTenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import { METRICS } from "@video-storage/contract/metrics";
import { exporterOf } from "@video-storage/monitor/exporter/exporter";
import type { ExporterDocuments } from "@video-storage/monitor/exporter/exporter";
import { samplesOf } from "@video-storage/monitor/exporter/samples";
import { bundledProgram } from "../support/bundles.js";
import type { BundledProgram } from "../support/bundles.js";
import { problemsOfMetrics } from "../support/check-metrics.js";
import { RETENTION, jobRecord, stackContract } from "../support/documents.js";
import { freePort } from "../support/free-port.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { bySeries, scraped } from "../support/scraped.js";

/** The exporter on a real Postgres: first within this process, then as the program that is shipped. */

let postgres: TestPostgres;
let catalogue: TestCatalogue;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres?.stop();
});
beforeEach(async () => {
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
  return () => catalogue.close();
});

const CONTRACT = stackContract({ jobsPerSlot: 2 });
const DOCUMENTS: ExporterDocuments = {
  contract: CONTRACT,
  retention: { retention: RETENTION, tenantRetention: { limits: {}, overrides: {} } },
};
const exporter = (options: Partial<Parameters<typeof exporterOf>[0]> = {}) =>
  exporterOf({
    catalogue: catalogue.as("monitor"),
    documents: () => DOCUMENTS,
    ...{ cacheSeconds: 0, timeoutSeconds: 8, ...options },
  });

const SHA256 = "a".repeat(64);
async function addJob(state: JobRecord["state"], ageSeconds = 0, tenant = "acme"): Promise<JobRecord> {
  const job = jobRecord({ tenantId: parseTenantId(tenant) });
  const login = catalogue.as(`worker_${tenant}`);
  await reportJob(login, job);
  if (state !== "active") {
    const files = { "source.mp4": { bytes: 500, sha256: SHA256 } };
    await reportJob(login, { ...job, state, revision: 2, files });
  }
  await catalogue.admin(
    `UPDATE storage.jobs SET state_changed_at = now() - make_interval(secs => $2) WHERE job_id = $1`,
    [job.jobId, ageSeconds],
  );
  return job;
}

/** Something of everything that the exporter has a figure for. */
async function addSomethingOfEach(): Promise<void> {
  await addJob("active");
  await addJob("failed", 1000);
  await addJob("completed", 10, "globex");
  const begun = await addJob("failed", 1000);
  const cleanup = catalogue.as("cleanup");
  await recordIntent(cleanup, {
    ...{ volume: "node-0-slot-0", tenantId: begun.tenantId, jobId: begun.jobId },
    ...{ action: "delete", reason: "test", actor: "test" },
  });
  await finishSweep(cleanup, await beginSweep(cleanup, "node-0-slot-0", "test"), {
    ...{ result: "ok", deleted: 3, tiered: 2, kept: 1, failed: 0, freedBytes: 7000 },
    ...{ usageBytes: 1, capacityBytes: 2 },
  });
  await claimUpkeep(cleanup, "videos", "test", 0);
  await finishUpkeep(cleanup, "videos", { result: "ok" }, false);
}

describe("a scrape", () => {
  it("has every metric of the registry that is the exporter's, with its labels, and no other", async () => {
    await addSomethingOfEach();
    const text = await exporter()();
    const series = scraped(text);
    const expected = Object.values(METRICS).filter(({ source }) => source === "exporter");
    expect([...new Set(series.map(({ name }) => name))].sort()).toEqual(
      expected.map(({ name }) => name).sort(),
    );
    for (const { name, labels } of expected) {
      for (const one of series.filter((other) => other.name === name)) {
        expect(Object.keys(one.labels).sort()).toEqual(["environment", ...labels].sort());
      }
    }
    expect(await problemsOfMetrics(text)).toBe("");
    const types = Object.fromEntries(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]),
    );
    expect(types).toEqual(Object.fromEntries(expected.map(({ name, type }) => [name, type])));
  });

  it("has the figures that the catalogue has", async () => {
    await addSomethingOfEach();
    const found = bySeries(scraped(await exporter()()));
    expect(found).toMatchObject({
      "video_storage_catalogue_up{environment=test}": 1,
      "video_storage_slots{environment=test}": 2,
      "video_storage_slots_in_use{environment=test}": 1,
      "video_storage_extraction_limit{environment=test}": 4,
      "video_storage_slot_info{environment=test,volume=node-0-slot-1}": 1,
      "video_storage_jobs{environment=test,location=local,state=failed,tenant=acme}": 2,
      "video_storage_jobs{environment=test,location=local,state=completed,tenant=globex}": 1,
      "video_storage_job_bytes{environment=test,location=local,state=failed,tenant=acme}": 1000,
      "video_storage_job_bytes{environment=test,location=local,state=active,tenant=acme}": 0,
      "video_storage_eligible_jobs{environment=test,state=failed,tenant=acme}": 2,
      "video_storage_eligible_bytes{environment=test,state=failed,tenant=acme}": 1000,
      "video_storage_audit_open_intents{action=delete,environment=test}": 1,
      "video_storage_audit_open_intents{action=tier,environment=test}": 0,
      "video_storage_audit_lag_seconds{action=tier,environment=test}": 0,
      "video_storage_sweeps_total{environment=test,result=ok}": 1,
      "video_storage_sweeps_total{environment=test,result=partial}": 0,
      "video_storage_deleted_jobs_total{environment=test}": 3,
      "video_storage_tiered_jobs_total{environment=test}": 2,
      "video_storage_freed_bytes_total{environment=test}": 7000,
    });
    expect(found).not.toHaveProperty([
      "video_storage_eligible_jobs{environment=test,state=completed,tenant=globex}",
    ]);
    const age =
      found[
        "video_storage_oldest_job_age_seconds{environment=test,location=local,state=failed,tenant=acme}"
      ]!;
    expect(age).toBeGreaterThanOrEqual(1000);
    expect(age).toBeLessThan(1060);
  });

  it("has zeroes and no gaps where nothing has happened yet, and no limit where the stack has none", async () => {
    const unlimited = { ...DOCUMENTS, contract: { ...CONTRACT, jobsPerSlot: null } };
    const found = bySeries(scraped(await exporter({ documents: () => unlimited })()));
    expect(found).toMatchObject({
      "video_storage_sweeps_total{environment=test,result=ok}": 0,
      "video_storage_freed_bytes_total{environment=test}": 0,
      "video_storage_audit_open_intents{action=orphan,environment=test}": 0,
    });
    expect(Object.keys(found).filter((one) => one.includes("extraction_limit"))).toEqual([]);
  });

  it("counts by what the stack says now", async () => {
    await addJob("failed", 1000);
    let retention = RETENTION;
    const scrape = exporter({
      documents: () => ({ ...DOCUMENTS, retention: { ...DOCUMENTS.retention, retention } }),
    });
    const eligible = async (): Promise<number | undefined> =>
      bySeries(scraped(await scrape()))[
        "video_storage_eligible_jobs{environment=test,state=failed,tenant=acme}"
      ];
    expect(await eligible()).toBe(1);
    retention = { ...RETENTION, failedSeconds: 5000 };
    expect(await eligible()).toBeUndefined();
  });

  it("holds a tenant's own times", async () => {
    await addJob("failed", 1000);
    const tenantRetention = { limits: {}, overrides: { acme: { failedSeconds: 5000 } } };
    const documents = { ...DOCUMENTS, retention: { retention: RETENTION, tenantRetention } };
    const found = bySeries(scraped(await exporter({ documents: () => documents })()));
    expect(Object.keys(found).filter((one) => one.includes("eligible"))).toEqual([]);
  });
});

describe("the catalogue", () => {
  it("is asked once for all that ask at once, and not again while the answer is kept", async () => {
    let asked = 0;
    const counting: Parameters<typeof exporterOf>[0]["catalogue"] = {
      query(text, values) {
        if (text.includes("storage.sweep_totals")) asked++;
        return catalogue.as("monitor").query(text, values);
      },
    };
    const kept = exporter({ catalogue: counting, cacheSeconds: 60 });
    const answers = await Promise.all([kept(), kept(), kept()]);
    expect(new Set(answers).size).toBe(1);
    await kept();
    expect(asked).toBe(1);
    const fresh = exporter({ catalogue: counting, cacheSeconds: 0 });
    await Promise.all([fresh(), fresh()]);
    await fresh();
    expect(asked).toBe(3);
  });

  it("that is away makes an answer that says so, with what needs no catalogue, and is noted once", async () => {
    const changes: unknown[] = [];
    const scrape = exporter({
      onChange: (up, reason) => changes.push(reason === undefined ? up : [up, reason]),
    });
    expect(bySeries(scraped(await scrape()))["video_storage_catalogue_up{environment=test}"]).toBe(1);
    await postgres.interrupt();
    try {
      await scrape();
      expect(bySeries(scraped(await scrape()))).toEqual({
        "video_storage_catalogue_up{environment=test}": 0,
        "video_storage_slots{environment=test}": 2,
        "video_storage_slot_info{environment=test,volume=node-0-slot-0}": 1,
        "video_storage_slot_info{environment=test,volume=node-0-slot-1}": 1,
        "video_storage_extraction_limit{environment=test}": 4,
      });
    } finally {
      await postgres.resume();
    }
    expect(bySeries(scraped(await scrape()))["video_storage_catalogue_up{environment=test}"]).toBe(1);
    expect(changes).toEqual([[false, expect.stringContaining("can't be reached now")], true]);
  });

  it("counts as away when it doesn't answer within the time for a scrape", async () => {
    const holder = new pg.Client({ connectionString: catalogue.adminUrl });
    await holder.connect();
    await holder.query("BEGIN; LOCK TABLE storage.sweep_totals IN ACCESS EXCLUSIVE MODE");
    try {
      const reasons: unknown[] = [];
      const scrape = exporter({ timeoutSeconds: 0.5, onChange: (_, reason) => reasons.push(reason) });
      expect(bySeries(scraped(await scrape()))["video_storage_catalogue_up{environment=test}"]).toBe(0);
      expect(reasons).toEqual(["the catalogue didn't answer everything within 0.5 s"]);
    } finally {
      await holder.end();
    }
  });

  it("is refused to another login, and that is an answer too", async () => {
    const scrape = exporter({ catalogue: catalogue.as("worker_acme") });
    expect(bySeries(scraped(await scrape()))["video_storage_catalogue_up{environment=test}"]).toBe(0);
  });
});

describe("samples", () => {
  it("take the oldest of all volumes for the lag of an action, and add up what is open", () => {
    const samples = samplesOf(CONTRACT, {
      ...{ totals: [], oldest: [], eligible: [], sweeps: [], buckets: [], slotsInUse: 0, seconds: 0.25 },
      auditLag: [
        { volume: "a", action: "delete", openIntents: 2, oldestSeconds: 7 },
        { volume: "b", action: "delete", openIntents: 3, oldestSeconds: 90 },
        { volume: "b", action: "tier", openIntents: 1, oldestSeconds: 5 },
      ],
    });
    const of = (metric: { name: string }) =>
      samples
        .filter((sample) => sample.metric.name === metric.name)
        .map(({ labels, value }) => [labels.action, value]);
    expect(Object.fromEntries(of(METRICS.auditOpenIntents))).toEqual({
      delete: 5,
      tier: 1,
      expire: 0,
      orphan: 0,
    });
    expect(Object.fromEntries(of(METRICS.auditLag))).toEqual({ delete: 90, tier: 5, expire: 0, orphan: 0 });
    expect(of(METRICS.exporterDuration)).toEqual([[undefined, 0.25]]);
  });
});

describe("the program", () => {
  let directory: string;
  let monitor: BundledProgram;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-monitor-"));
    monitor = await bundledProgram("monitor");
  }, 60_000);
  afterEach(() => children.splice(0).forEach((child) => child.kill("SIGKILL")));
  afterAll(() => fs.rm(directory, { recursive: true }));

  async function documents(): Promise<string[]> {
    const { host, port, database, user, password } = catalogue.settings("monitor");
    const contract = stackContract({ catalogue: { host, port, database, tls: false } });
    const cleanup = {
      ...{ version: 1, retention: RETENTION, heartbeatTimeoutSeconds: 60, namespace: "video" },
      ...{ catalogue: contract.catalogue, objectStorage: null, checkPods: true },
      pressure: {
        bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
        inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
      },
    };
    await fs.writeFile(path.join(directory, "contract.json"), JSON.stringify(contract));
    await fs.writeFile(path.join(directory, "cleanup.json"), JSON.stringify(cleanup));
    await fs.mkdir(path.join(directory, "credentials"), { recursive: true });
    await fs.writeFile(path.join(directory, "credentials", "username"), `${user}\n`);
    await fs.writeFile(path.join(directory, "credentials", "password"), `${password as string}\n`);
    return [
      ...["--contract", path.join(directory, "contract.json")],
      ...["--cleanup-config", path.join(directory, "cleanup.json")],
      ...["--catalogue-credentials", path.join(directory, "credentials")],
    ];
  }

  async function run(
    ...args: string[]
  ): Promise<{ child: ChildProcess; output: () => string; line: Promise<string> }> {
    const child = spawn(process.execPath, [monitor.file, "exporter", ...args]);
    children.push(child);
    let text = "";
    const line = new Promise<string>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (data: Buffer) => {
          text += data.toString();
          if (text.includes("\n")) resolve(text);
        });
      }
      child.once("close", () => resolve(text));
    });
    return { child, output: () => text, line };
  }
  const codeOf = async (child: ChildProcess): Promise<number> => ((await once(child, "exit")) as [number])[0];

  it("answers until it is asked to stop, also while the catalogue is away", async () => {
    const { child, line, output } = await run(
      ...(await documents()),
      "--host",
      "127.0.0.1",
      "--port",
      "0",
      "--cache",
      "0",
    );
    const said = JSON.parse(await line) as { event: string; port: number };
    expect(said).toMatchObject({ event: "listening", host: "127.0.0.1" });
    const get = async (url: string) => fetch(`http://127.0.0.1:${said.port}${url}`);
    const up = async () =>
      bySeries(scraped(await (await get("/metrics")).text()))["video_storage_catalogue_up{environment=test}"];
    expect(await up()).toBe(1);
    await postgres.interrupt();
    try {
      expect(await up()).toBe(0);
      expect((await get("/metrics")).status).toBe(200);
      expect((await get("/healthz")).status).toBe(200);
    } finally {
      await postgres.resume();
    }
    expect(await up()).toBe(1);
    child.kill("SIGTERM");
    expect(await codeOf(child)).toBe(0);
    const events = output()
      .trim()
      .split("\n")
      .map((text) => (JSON.parse(text) as { event: string }).event);
    expect(events).toEqual(["listening", "catalogue-away", "catalogue-back"]);
    expect(output()).not.toContain("monitor-password");
  });

  it("ends with 1 when its port is taken, and says so", async () => {
    const port = await freePort();
    const first = await run(...(await documents()), "--host", "127.0.0.1", "--port", `${port}`);
    await first.line;
    const { child, output } = await run(...(await documents()), "--host", "127.0.0.1", "--port", `${port}`);
    expect(await codeOf(child)).toBe(1);
    expect(output()).toMatch(/^monitor: .*EADDRINUSE/);
  });

  it.each([
    ["a port that is none", ["--port", "70000"], /must be a whole number from 0 to 65535/],
    ["an option that it hasn't", ["--portt", "1"], /unknown option/],
    [
      "a contract that isn't there",
      ["--contract", "/nowhere.json"],
      /can't be read from \/nowhere\.json \(ENOENT\)/,
    ],
    ["credentials that aren't there", ["--catalogue-credentials", "/nowhere"], /of the login "monitor"/],
  ])("ends with 2 for %s", async (_what, args, message) => {
    const { child, output } = await run(...(await documents()), ...args);
    expect(await codeOf(child)).toBe(2);
    expect(output()).toMatch(message);
  });

  it("says how it is used", async () => {
    const { child, output } = await run("--help");
    expect(await codeOf(child)).toBe(0);
    for (const word of ["--contract", "--cleanup-config", "--port", "--cache", "/healthz", "Exit codes"]) {
      expect(output()).toContain(word);
    }
  });
});
