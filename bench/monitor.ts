// `npm run bench:monitor`: what a scrape costs when there is much to say.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { METRICS } from "@video-storage/contract/metrics";

import { forEachConcurrently } from "../cleanup-job/src/concurrency.js";
import { pushSweep } from "../cleanup-job/src/pushgateway.js";
import { samplesOf } from "../cleanup-job/src/sweep-metrics.js";
import { buildExporter, buildPushgateway } from "../components/lib/monitoring-workloads.js";
import { RETENTION, stackContract } from "../test/support/documents.js";
import { startPostgres } from "../test/support/postgres.js";
import { startPushgateway } from "../test/support/pushgateway.js";
import { scraped } from "../test/support/scraped.js";
import { Results, median } from "./lib/bars.js";
import { peakMemoryBytes } from "./lib/memory.js";
import { fill } from "./monitor/rows.js";

const USAGE = `usage: npm run bench:monitor -- [--small] [--rounds 9] [--only exporter,pushgateway]

What a scrape costs at 1,000 volumes, 40 tenants and 1,000,000 jobs, of which all are within their time, and then all
due, as after months without a sweep:
  the exporter, as it is shipped: seconds for a scrape with no answer kept, the first included, and its memory
  Debian's Pushgateway with 1,000 volumes' groups of 8 tenants each: seconds for a scrape and a push, and its memory
The bars: a second for a scrape, half of one for a push, and the memory that each one's container has.
With --small everything is a fiftieth, which says whether it runs and nothing about how fast.
`;

const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    rounds: { type: "string", default: "9" },
    only: { type: "string", default: "exporter,pushgateway" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const rounds = Number(values.rounds);
const scale = values.small ? 50 : 1;
const SIZE = { jobs: 1_000_000 / scale, volumes: 1_000 / scale, tenants: 40 };
const TENANTS_ON_A_VOLUME = 8;
const SCRAPE_SECONDS = 1;
const PUSH_SECONDS = 0.5;
const MIB = 2 ** 20;
const results = new Results(values.small ? "monitor-small" : "monitor");

const contract = stackContract({
  jobsPerSlot: 1,
  slots: Array.from({ length: SIZE.volumes }, (_, n) => ({
    ...{ name: `volume-${n}`, node: `node-${n % 125}`, claim: `slot-${n}`, runAsUser: 21_000 + n },
    ...{ capacityBytes: 2 ** 38, tenant: null, placement: null, subPath: null },
  })),
});

/** What their containers get. */
const WORKLOADS: Parameters<typeof buildExporter>[0] = {
  ...{ environment: "bench", namespace: "video", systemNamespace: "storage", workerPort: 9401 },
  ...{ image: "", pushgatewayImage: "", catalogueCa: null, contract },
  cleanupConfig: cleanupConfig(contract.catalogue, 0),
};

const parts = new Set(values.only.split(","));
if (parts.has("exporter")) await exporter();
if (parts.has("pushgateway")) await pushgateway();
process.exit(results.finish());

async function exporter(): Promise<void> {
  const postgres = await startPostgres({ shared_buffers: "512MB", max_wal_size: "8GB" }, tmpdir());
  const directory = fs.mkdtempSync(join(tmpdir(), "bench-monitor-"));
  try {
    const catalogue = await postgres.createCatalogue([]);
    await fill(catalogue, SIZE);
    execFileSync(process.execPath, ["monitor/build.mjs", "--out", join(directory, "app")]);
    const { host, port, database, user, password } = catalogue.settings("monitor");
    const address = { host, port, database, tls: false };
    fs.mkdirSync(join(directory, "credentials"));
    fs.writeFileSync(join(directory, "credentials/username"), user);
    fs.writeFileSync(join(directory, "credentials/password"), password as string);
    fs.writeFileSync(join(directory, "contract.json"), JSON.stringify({ ...contract, catalogue: address }));
    const never = 10 * 365 * 86_400;
    const backlogs = { "within-their-time": never, "all-due": 0 };
    for (const [backlog, kept] of Object.entries(backlogs)) {
      fs.writeFileSync(join(directory, "cleanup.json"), JSON.stringify(cleanupConfig(address, kept)));
      const child = spawn(
        process.execPath,
        [
          ...[
            join(directory, "app/monitor.mjs"),
            "exporter",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--cache",
            "0",
          ],
          ...[
            "--contract",
            join(directory, "contract.json"),
            "--cleanup-config",
            join(directory, "cleanup.json"),
          ],
          ...["--catalogue-credentials", join(directory, "credentials")],
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const { port: listening } = JSON.parse(line.toString()) as { port: number };
      const url = `http://127.0.0.1:${listening}/metrics`;
      const seconds = await timedScrapes(url, METRICS.catalogueUp.name);
      results.figure(`exporter-${backlog}-seconds`, seconds.all);
      results.figure(`exporter-${backlog}-series`, seconds.series);
      results.bar(`exporter-first-scrape-${backlog}`, seconds.all[0]!, SCRAPE_SECONDS, { atMost: 1 });
      results.bar(`exporter-scrape-${backlog}`, median(seconds.all.slice(1)), SCRAPE_SECONDS, { atMost: 1 });
      const limit = buildExporter(WORKLOADS).spec.template.spec.containers[0]!.resources.limits.memory;
      results.bar(`exporter-memory-MiB-${backlog}`, peakMemoryBytes(child.pid!) / MIB, mebibytes(limit), {
        atMost: 1,
      });
      child.kill();
      await once(child, "exit");
    }
    await catalogue.close();
  } finally {
    await postgres.stop();
    execFileSync("rm", ["-rf", directory]);
  }
}

async function pushgateway(): Promise<void> {
  const gateway = await startPushgateway();
  try {
    const settings = { pushgateway: gateway.url, environment: "bench" };
    const pushes: number[] = [];
    const push = async ({ volume, node }: { volume: string; node: string }): Promise<void> => {
      const started = performance.now();
      const samples = samplesOf(observations(volume, node));
      await pushSweep(settings, volume, { succeeded: true, samples, bucket: undefined });
      pushes.push((performance.now() - started) / 1000);
    };
    const volumes = contract.slots.map(({ name, node }) => ({ volume: name, node: node! }));
    // A thousand sweeps that began at different minutes seldom end at once; four do.
    await forEachConcurrently(each(volumes), 4, new AbortController().signal, push);
    const full = pushes.splice(0).slice(-100);
    for (const volume of volumes.slice(0, rounds)) await push(volume);
    results.figure("pushgateway-push-by-four-seconds", median(full));
    results.bar("pushgateway-push", median(pushes), PUSH_SECONDS, { atMost: 1 });
    const seconds = await timedScrapes(`${gateway.url}/metrics`, METRICS.sweepLastSuccess.name);
    results.figure("pushgateway-scrape-seconds", seconds.all);
    results.figure("pushgateway-series", seconds.series);
    results.bar("pushgateway-scrape", median(seconds.all), SCRAPE_SECONDS, { atMost: 1 });
    const { limits } = buildPushgateway(WORKLOADS, "").spec.template.spec.containers[0]!.resources;
    results.bar("pushgateway-memory-MiB", peakMemoryBytes(gateway.pid) / MIB, mebibytes(limits.memory), {
      atMost: 1,
    });
  } finally {
    await gateway.stop();
  }
}

async function timedScrapes(url: string, expected: string): Promise<{ all: number[]; series: number }> {
  const all: number[] = [];
  let series = 0;
  for (let round = 0; round <= rounds; round++) {
    const started = performance.now();
    const text = await (await fetch(url)).text();
    all.push((performance.now() - started) / 1000);
    const found = scraped(text);
    const one = found.find(({ name }) => name === expected);
    if (!one || one.value === 0) throw new Error(`${url} had no ${expected}: ${text.slice(0, 300)}`);
    series = found.length;
  }
  return { all, series };
}

function observations(volume: string, node: string): Parameters<typeof samplesOf>[0] {
  const tenants = Array.from({ length: TENANTS_ON_A_VOLUME }, (_, n) => `tenant-${n}`);
  return {
    ...{ volume, node, endedAtSeconds: Date.now() / 1000, durationSeconds: 1.5, succeeded: true },
    counts: {
      ...{
        deleted: 1,
        tiered: 2,
        evicted: 0,
        abandoned: 0,
        kept: 3,
        reported: 0,
        failed: 0,
        freedBytes: 1e9,
      },
    },
    space: { bytes: { used: 1e11, capacity: 4e11 }, inodes: { used: 1e4, capacity: 1e6 } },
    ...{ trashEntries: 0, objectStorageAway: false },
    usage: tenants.map((tenantId) => ({
      ...{ tenantId: tenantId as never, jobs: 5, bytes: 1e10, lastAccessSeconds: Date.now() / 1000 },
    })),
  };
}

function cleanupConfig(
  catalogue: object,
  seconds: number,
): Parameters<typeof buildExporter>[0]["cleanupConfig"] {
  const times = { uploadedSeconds: seconds, completedSeconds: seconds, failedSeconds: seconds };
  return {
    ...{ version: 1, heartbeatTimeoutSeconds: 60, namespace: "video", checkPods: true, objectStorage: null },
    retention: { ...RETENTION, ...times, abandonedSeconds: seconds },
    catalogue: catalogue as never,
    pressure: {
      bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
      inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
      ...{ unuploaded: "keep", floor: { seconds: 0, bytes: 0 }, tenantFloors: {} },
    },
  } as never;
}

function mebibytes(quantity: string): number {
  const [, number] = /^(\d+)Mi$/.exec(quantity)!;
  return Number(number);
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}
