import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isJobId } from "@video-storage/contract/identity";
import { parseJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { openStorage } from "@video-storage/worker";
import { bundle } from "../../local/images/bundle.mjs";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { random } from "../support/random.js";
import { rounds, seed } from "../support/rounds.js";
import { isLeased, workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

const ROUNDS = rounds("CRASH_ROUNDS", 200);
const AT_ONCE = 4;
/** Things that a worker says before it is killed, and then some part of the time that the last one took. */
const MOST_EVENTS = 6;
const SEED = seed("TEST_SEED");

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let surroundings: WorkerSurroundings;
let directory: string;

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-crashes-"));
  const entry = new URL("../support/crashing-worker.ts", import.meta.url).pathname;
  await bundle({ entry, directory, name: "crashing-worker", locks: true });
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme"]);
  surroundings = await workerSurroundings(catalogue);
});
afterAll(async () => {
  await surroundings?.remove();
  await catalogue?.close();
  await postgres?.stop();
  await fs.rm(directory, { recursive: true, force: true });
});

it(`${ROUNDS} workers killed at random lose nothing that they were told is done (TEST_SEED=${SEED})`, async () => {
  const options = JSON.stringify(await surroundings.options());
  const next = random(SEED);
  const completed = new Set<string>();
  const failed = new Set<string>();
  /** Workers that were killed with a job at work, which its record says. */
  let cutShort = 0;
  let killed = 0;
  const round = async (): Promise<void> => {
    let left = Math.floor(next() * MOST_EVENTS);
    const part = next();
    const seed = String(Math.floor(next() * 2 ** 31));
    const worker = spawn(process.execPath, [path.join(directory, "crashing-worker.mjs"), options, seed], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(worker, "exit");
    let dying: Promise<void> | undefined;
    let last = 0;
    let current: string | undefined;
    for await (const line of createInterface({ input: worker.stdout })) {
      const event = JSON.parse(line) as {
        ready?: true;
        created?: string;
        completed?: string;
        failed?: string;
      };
      const took = event.ready ? 50 : performance.now() - last;
      last = performance.now();
      current = event.created ?? current;
      if (left-- === 0) dying = sleep(took * part * 1.5).then(() => void worker.kill("SIGKILL"));
      if (event.completed) completed.add(event.completed);
      if (event.failed) failed.add(event.failed);
    }
    await dying;
    if ((await ended)[1] === "SIGKILL") killed += 1;
    if (current !== undefined && (await recordOf(current)).state === "active") cutShort += 1;
  };
  let begun = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      // So long that something was complete and something cut short, which a few rounds need not bring.
      while (begun < ROUNDS || completed.size <= ROUNDS / 4 || cutShort <= ROUNDS / 4) {
        begun++;
        await round();
      }
    }),
  );
  expect(killed).toBe(begun);

  // The next worker finds a volume that is in order.
  const storage = await openStorage(await surroundings.options());
  try {
    const after = await storage.createJob();
    await after.fail("only to be admitted");
    const names = (await fs.readdir(surroundings.root)).sort();
    expect(names.filter((name) => !isJobId(name))).toEqual([".admission"]);
    expect(await fs.readdir(path.join(surroundings.root, ".admission"))).toEqual([]);
    const counts: Record<string, number> = {};
    for (const jobId of names.filter(isJobId)) {
      const job = path.join(surroundings.root, jobId);
      // Always whole: a record that can be read, of this job, in a state that a worker makes.
      const record = await recordOf(jobId);
      expect(record.jobId).toBe(jobId);
      expect(await isLeased(job)).toBe(false);
      counts[record.state] = (counts[record.state] ?? 0) + 1;
      if (completed.has(jobId)) expect(record.state).toBe("completed");
      if (failed.has(jobId)) expect(record.state).toBe("failed");
      if (record.state !== "completed") {
        expect(["active", "failed"]).toContain(record.state);
        continue;
      }
      // Killed between the disk and the answer it is complete too, and then no less whole.
      const view = await storage.openForUpload(jobId).catch((error: Error) => error);
      if (view instanceof Error) {
        // Killed before the catalogue was told: the sweep replays the record, and no half job is read before that.
        expect(completed.has(jobId)).toBe(false);
        continue;
      }
      expect(Object.keys(view.files).length).toBeGreaterThan(0);
      expect((await fs.readdir(job)).sort()).toEqual(
        [...Object.keys(view.files), "logs", "metadata.json"].sort(),
      );
      for (const name of Object.keys(view.files)) {
        let bytes = 0;
        for await (const chunk of await view.open(name)) bytes += (chunk as Buffer).byteLength;
        expect(bytes).toBe(view.files[name]!.bytes);
      }
      view.close();
    }
    for (const jobId of completed) expect(names).toContain(jobId);
    // Neither would a run in which nothing was ever complete, or nothing ever cut short, show anything.
    expect(completed.size).toBeGreaterThan(ROUNDS / 4);
    expect(counts["active"]).toBeGreaterThan(ROUNDS / 4);
    const rows = await statesInCatalogue();
    for (const jobId of completed) expect(["completed", "active"]).toContain(rows.get(jobId));
    console.log(
      `seed ${SEED}: ${JSON.stringify(counts)}; ${completed.size} said completed, ${cutShort} cut short`,
    );
  } finally {
    await storage.close();
  }
}, 600_000);

async function recordOf(jobId: string): Promise<JobRecord> {
  return parseJobRecord(await fs.readFile(path.join(surroundings.root, jobId, "metadata.json"), "utf8"));
}

async function statesInCatalogue(): Promise<Map<string, string>> {
  const rows = await catalogue.admin(`SELECT job_id, state FROM storage.jobs`);
  return new Map(rows.map((row) => [String(row["job_id"]), String(row["state"])]));
}
