// npm run bench:worker [-- --small]
//
// How many jobs a second workers on one volume bring from create to complete, against a real Postgres with fsync on,
// and what a durable, checksummed write of a large file costs over write and fsync of the same bytes.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { openStorage } from "@video-storage/worker";
import { bundle } from "../local/images/bundle.mjs";
import { startPostgres } from "../test/support/postgres.js";
import { workerSurroundings } from "../test/support/worker-surroundings.js";
import { Results, median, pairs } from "./lib/bars.js";

const { small } = parseArgs({ options: { small: { type: "boolean", default: false } } }).values;
/** Processes, and jobs at once in each: 64 processes would measure the start of 64 Node.js. */
const WORKERS = [
  { workers: 1, processes: 1 },
  { workers: 8, processes: 8 },
  { workers: 64, processes: 8 },
];
const JOBS_EACH = small ? 4 : 40;
const SIZES = small ? [100] : [100, 256, 1024];
const ROUNDS = small ? 3 : 7;
const MIB = 2 ** 20;
/** What a download hands on at a time. */
const CHUNK = 64 * 1024;

const results = new Results("worker");
const postgres = await startPostgres({ fsync: "on" }, os.tmpdir());
const catalogue = await postgres.createCatalogue(["acme"]);
try {
  await measureRates();
  await measureWrites();
} finally {
  await catalogue.close();
  await postgres.stop();
}
process.exitCode = results.finish();

async function measureRates(): Promise<void> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "bench-worker-"));
  try {
    const entry = new URL("worker/jobs.ts", import.meta.url).pathname;
    await bundle({ entry, directory, name: "jobs", locks: true });
    for (const { workers, processes } of WORKERS) {
      const surroundings = await workerSurroundings(catalogue);
      try {
        const options = JSON.stringify(await surroundings.options());
        const args = [
          path.join(directory, "jobs.mjs"),
          options,
          String(workers / processes),
          String(JOBS_EACH),
        ];
        const running = Array.from({ length: processes }, () =>
          spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] }),
        );
        const lines = running.map((child) =>
          createInterface({ input: child.stdout })[Symbol.asyncIterator](),
        );
        for (const line of lines) await line.next();
        const begun = performance.now();
        for (const child of running) child.stdin.end("go\n");
        const answers = await Promise.all(
          lines.map(async (line) => JSON.parse((await line.next()).value as string) as number[]),
        );
        const seconds = (performance.now() - begun) / 1000;
        await Promise.all(
          running.filter(({ exitCode }) => exitCode === null).map((child) => once(child, "exit")),
        );
        const milliseconds = answers.flat().sort((a, b) => a - b);
        results.figure(`create-to-complete-with-${workers}-workers`, {
          jobs: milliseconds.length,
          jobsPerSecond: Math.round((milliseconds.length / seconds) * 10) / 10,
          medianMilliseconds: Math.round(median(milliseconds)),
          p99Milliseconds: Math.round(milliseconds[Math.ceil(milliseconds.length * 0.99) - 1]!),
        });
      } finally {
        await surroundings.remove();
      }
    }
  } finally {
    removeOwn(directory);
  }
}

async function measureWrites(): Promise<void> {
  const surroundings = await workerSurroundings(catalogue);
  const storage = await openStorage(await surroundings.options());
  const chunk = Buffer.alloc(CHUNK, "a video's bytes ");
  function* chunks(bytes: number): Generator<Buffer> {
    for (let left = bytes; left > 0; left -= CHUNK) yield chunk;
  }
  try {
    for (const size of SIZES) {
      const bytes = size * MIB;
      const job = await storage.createJob();
      const plain = path.join(surroundings.root, "plain");
      const figures = await pairs(
        ROUNDS,
        () => timed(() => job.writeStream("source.mp4", chunks(bytes), { expectedBytes: bytes })),
        () =>
          timed(async () => {
            const handle = await fs.open(plain, "w");
            for (const one of chunks(bytes)) await handle.write(one);
            await handle.sync();
            await handle.close();
          }),
      );
      await job.fail("measured");
      removeOwn(job.directory);
      await fs.unlink(plain);
      const work = `durable-write-${size}-MiB`;
      results.bar(work, median(figures.ours), median(figures.theirs), { atMost: 1.1 });
      results.figure(`${work}-milliseconds`, figures);
    }
  } finally {
    await storage.close();
    await surroundings.remove();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** Nobody but this program writes there. */
function removeOwn(directory: string): void {
  execFileSync("rm", ["-r", directory]);
}
