import { build } from "esbuild";
import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { METRICS } from "@video-storage/contract/metrics";
import { openStorage } from "@video-storage/worker";
import type { Storage } from "@video-storage/worker";
import { registerMetrics, serveMetrics } from "@video-storage/worker/metrics";
import type { MetricsServer } from "@video-storage/worker/metrics";
import { problemsOfMetrics } from "../support/check-metrics.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { scraped } from "../support/scraped.js";
import { workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

const HOST = "127.0.0.1";

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let surroundings: WorkerSurroundings;
let storage: Storage;
let server: MetricsServer;

beforeAll(async () => {
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
});
beforeEach(async () => {
  surroundings = await workerSurroundings(catalogue, { jobsPerSlot: 2 });
  storage = await openStorage(await surroundings.options());
  server = await serveMetrics(storage, { host: HOST, port: 0 });
});
afterEach(async () => {
  await server.close();
  await storage.close();
  await surroundings.remove();
});

const scrape = async (): Promise<string> => (await fetch(`http://${HOST}:${server.port}/metrics`)).text();
/** Of one metric, by its labels besides those that every series has. */
async function values(metric: { name: string }, suffix = ""): Promise<Record<string, number>> {
  const found = scraped(await scrape()).filter(({ name }) => name === `${metric.name}${suffix}`);
  for (const { labels } of found) expect(labels).toMatchObject({ environment: "test", tenant: "acme" });
  return Object.fromEntries(
    found.map(({ labels, value }) => [labels["outcome"] ?? labels["reason"] ?? labels["le"] ?? "", value]),
  );
}

describe("a worker's metrics", () => {
  it("are those of the registry that are a worker's, with its labels, from the first scrape on", async () => {
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "video").catch(() => undefined);
    await job.stage().catch(() => undefined);
    const text = await scrape();
    const expected = Object.values(METRICS).filter(({ source }) => source === "worker");
    const names = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    expect([...names].sort()).toEqual(expected.map(({ name }) => name).sort());
    for (const { name, labels, type } of expected) {
      const one = scraped(text).find(
        (series) => series.name === (type === "histogram" ? `${name}_count` : name),
      );
      expect({ name, labels: Object.keys(one!.labels).sort() }).toEqual({
        name,
        labels: ["environment", ...labels].sort(),
      });
    }
    expect(await problemsOfMetrics(text)).toBe("");
    await job.close();
  });

  it("count jobs by how they ended, and those that are active", async () => {
    const [done, failed] = [await storage.createJob(), await storage.createJob()];
    expect(await values(METRICS.workerActiveJobs)).toEqual({ "": 2 });
    await done.complete();
    await failed.fail("no audio");
    expect(await values(METRICS.workerJobs)).toEqual({
      ...{ completed: 1, failed: 1, "handed-over": 0, quarantined: 0, uploaded: 0 },
    });
    expect(await values(METRICS.workerActiveJobs)).toEqual({ "": 0 });
  });

  it("count what was written, and how long it took", async () => {
    const job = await storage.createJob();
    await job.writeFile("source.mp4", Buffer.alloc(3000));
    await job.writeFile("frame.jpg", Buffer.alloc(500));
    expect(await values(METRICS.workerWrittenBytes)).toEqual({ "": 3500 });
    expect(await values(METRICS.workerWriteDuration, "_count")).toEqual({ "": 2 });
    const buckets = await values(METRICS.workerWriteDuration, "_bucket");
    expect(buckets["1800"]).toBe(2);
    expect(buckets["+Inf"]).toBe(2);
  });

  it("count refusals by their code, and not among the errors", async () => {
    await storage.createJob();
    await storage.createJob();
    await expect(storage.createJob()).rejects.toThrow("jobs are active");
    expect(await values(METRICS.workerRefusals)).toEqual({ space: 0, concurrency: 1, busy: 0 });
    expect(await values(METRICS.workerErrors)).toEqual({});
  });

  it("count errors by their name, once each, and let no source make names without end", async () => {
    const job = await storage.createJob();
    await job.complete();
    await expect(job.complete()).rejects.toThrow();
    await expect(storage.openForUpload("0190a000-0000-7000-8000-000000000000")).rejects.toThrow();
    await expect(storage.openJob("nonsense")).rejects.toThrow();
    expect(await values(METRICS.workerErrors)).toEqual({
      ...{ IllegalTransitionError: 1, JobNotFoundError: 1, InvalidIdentityError: 1 },
    });
    const other = await storage.createJob();
    for (let i = 0; i < 60; i++) {
      const name = `Error${String.fromCharCode(65 + (i % 26))}${i < 26 ? "" : i < 52 ? "B" : "C"}`;
      const source = (async function* () {
        yield Buffer.from("x");
        throw Object.assign(new Error("of the source"), { name });
      })();
      await expect(other.writeStream("f", source)).rejects.toThrow("of the source");
    }
    const reasons = await values(METRICS.workerErrors);
    expect(Object.keys(reasons)).toHaveLength(41);
    expect(reasons["other"]).toBe(60 - 37);
    await expect(
      other.writeStream(
        "f",
        (async function* () {
          yield Buffer.from("x");
          throw Object.assign(new Error("x"), { name: 'a"} 1\nevil{' });
        })(),
      ),
    ).rejects.toThrow();
    expect((await values(METRICS.workerErrors))["other"]).toBe(60 - 37 + 1);
  });

  it("say what the catalogue wasn't told yet, and that it was away", async () => {
    const job = await storage.createJob();
    expect(await values(METRICS.workerSpooledRecords)).toEqual({ "": 0 });
    await postgres.interrupt();
    try {
      await job.complete();
      expect(await values(METRICS.workerSpooledRecords)).toEqual({ "": 1 });
      expect(await values(METRICS.workerErrors)).toEqual({ CatalogueUnavailableError: 1 });
    } finally {
      await postgres.resume();
    }
    expect(await job.heartbeat()).toBe(true);
    expect(await values(METRICS.workerSpooledRecords)).toEqual({ "": 0 });
  });
});

describe("serving them", () => {
  it("goes to the contract's port unless told otherwise, and says when that is taken", async () => {
    const taken = await workerSurroundings(catalogue, { metrics: { port: server.port } });
    const second = await openStorage(await taken.options());
    await expect(serveMetrics(second, { host: HOST })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await second.close();
    await taken.remove();
  });

  it("takes several tenants' storages in one registry, each under its own label", async () => {
    const registry = new Registry();
    const globex = await openStorage(await surroundings.options("globex"));
    registerMetrics(storage, registry);
    registerMetrics(globex, registry);
    await (await globex.createJob()).complete();
    await storage.createJob();
    const found = scraped(await registry.metrics());
    const of = (metric: { name: string }, tenant: string, outcome?: string) =>
      found.find(
        ({ name, labels }) =>
          name === metric.name && labels["tenant"] === tenant && labels["outcome"] === outcome,
      )?.value;
    expect(of(METRICS.workerJobs, "globex", "completed")).toBe(1);
    expect(of(METRICS.workerJobs, "acme", "completed")).toBe(0);
    expect(of(METRICS.workerActiveJobs, "acme")).toBe(1);
    expect(of(METRICS.workerActiveJobs, "globex")).toBe(0);
    await globex.close();
  });

  it.each([
    ["POST", "/metrics", 405],
    ["DELETE", "/metrics", 405],
    ["GET", "/", 404],
    ["GET", "/metrics/../secret", 404],
    ["GET", "/healthz", 200],
    ["HEAD", "/metrics", 200],
  ])("answers %s %s with %i", async (method, url, status) => {
    const answer = await fetch(`http://${HOST}:${server.port}${url}`, { method });
    expect(answer.status).toBe(status);
    if (method === "HEAD") expect(await answer.text()).toBe("");
  });

  it("loads nothing for metrics into a worker that has none", async () => {
    const inputs = async (entry: string): Promise<string[]> => {
      const { metafile } = await build({
        ...{ entryPoints: [entry], bundle: true, write: false, metafile: true, platform: "node" },
        ...{ format: "esm", external: ["koffi", "pg-native"], logLevel: "silent" },
      });
      return Object.keys(metafile.inputs);
    };
    const heavy = /node_modules\/(?:prom-client|@opentelemetry|tdigest)\//;
    expect((await inputs("worker/src/index.ts")).filter((input) => heavy.test(input))).toEqual([]);
    expect((await inputs("worker/src/command/main.ts")).filter((input) => heavy.test(input))).toEqual([]);
    expect((await inputs("worker/src/metrics.ts")).some((input) => heavy.test(input))).toBe(true);
  });
});
