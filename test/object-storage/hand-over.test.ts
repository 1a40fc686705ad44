import { randomUUID } from "node:crypto";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { jobStatus, objectsOf } from "@video-storage/catalogue/jobs";
import { findJob, markAbandoned } from "@video-storage/catalogue/sweeping";
import { parseJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix } from "@video-storage/contract/layout";
import type { StackContract } from "@video-storage/contract/stack-contract";
import {
  DrainedError,
  IllegalTransitionError,
  JobNotFoundError,
  JobStateError,
  ObjectStorageError,
  VolumeFullError,
  WrongTenantError,
  openStorage,
} from "@video-storage/worker";
import type { Job, OpenStorageOptions, Storage } from "@video-storage/worker";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { sha256 } from "../support/sha256.js";
import { bundleVideoJob, commandEnvironment, start } from "../support/video-job.js";
import { isLeased, workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

// A real S3 server on loopback and a real Postgres: two workers on two nodes, with a volume each.
const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const credentials = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
const MIB = 2 ** 20;
const settings = {
  endpoint,
  region: "us-east-1",
  bucket: `test-${randomUUID()}`,
  forcePathStyle: true,
  credentials: "secret" as const,
  caFile: null,
};

let s3: S3Client;
let postgres: TestPostgres;
let catalogue: TestCatalogue;
let first: WorkerSurroundings;
let second: WorkerSurroundings;
const open: Storage[] = [];

beforeAll(async () => {
  s3 = new S3Client({
    endpoint,
    region: settings.region,
    forcePathStyle: true,
    credentials: { ...credentials },
  });
  await s3.send(new CreateBucketCommand({ Bucket: settings.bucket }));
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
});
afterAll(async () => {
  s3?.destroy();
  await catalogue?.close();
  await postgres?.stop();
});
beforeEach(async () => {
  first = await workerSurroundings(catalogue, { objectStorage: settings });
  second = await workerSurroundings(catalogue, { objectStorage: settings });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((storage) => storage.close()));
  await first.remove();
  await second.remove();
});

async function optionsOn(
  which: WorkerSurroundings,
  pod: string,
  change: Partial<StackContract> = {},
  tenant = "acme",
): Promise<OpenStorageOptions> {
  const options = await which.options(tenant);
  await fs.mkdir(options.objectStorageCredentials!, { recursive: true });
  for (const [name, value] of Object.entries(credentials)) {
    await fs.writeFile(path.join(options.objectStorageCredentials!, name), value);
  }
  const volume = which === first ? "node-0-slot-0" : "node-0-slot-1";
  return { ...options, pod, volume, contract: { ...which.contract, ...change } };
}
async function worker(
  which: WorkerSurroundings,
  pod: string,
  change: Partial<StackContract> & { root?: string; onStagingError?: (error: unknown) => void } = {},
  tenant = "acme",
): Promise<Storage> {
  const { root, onStagingError, ...contract } = change;
  const options = await optionsOn(which, pod, contract, tenant);
  const storage = await openStorage({
    ...options,
    ...(root && { root }),
    ...(onStagingError && { onStagingError }),
  });
  open.push(storage);
  return storage;
}
const recordOf = async (directory: string): Promise<JobRecord> =>
  parseJobRecord(await fs.readFile(path.join(directory, "metadata.json"), "utf8"));
const keysOf = async (job: Job): Promise<string[]> => {
  const prefix = jobPrefix(job.identity.tenantId, job.identity.jobId);
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket: settings.bucket, Prefix: prefix }),
  );
  return Contents.map(({ Key }) => Key!.slice(prefix.length)).sort();
};
const unfinishedUploads = async (): Promise<unknown[]> =>
  (await s3.send(new ListMultipartUploadsCommand({ Bucket: settings.bucket }))).Uploads ?? [];
const contentOf = async (stream: AsyncIterable<Buffer>): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
};

/** A source that gives its beginning and then nothing more. */
async function* stuck(beginning: string, told: () => void): AsyncGenerator<string> {
  yield beginning;
  told();
  await sleep(60_000, undefined, { ref: false });
}

describe("a drained worker", () => {
  it("leaves whole files, the beginning of others, logs and attributes to the worker that goes on", async () => {
    const one = await worker(first, "worker-0");
    const job = await one.createJob({ expectedBytes: 12, attributes: { title: "film" } });
    await job.writeFile("poster.jpg", "a poster");
    await job.appendLog("run.log", "on the first node");
    let begun = (): void => undefined;
    const beginning = new Promise<void>((resolve) => (begun = resolve));
    const cut = expect(job.writeStream("source.mp4", stuck("half of ", begun))).rejects.toThrow(DrainedError);
    await beginning;
    expect(await one.drain()).toEqual([{ jobId: job.identity.jobId, state: "handed-over" }]);
    await cut;
    expect(await recordOf(job.directory)).toMatchObject({
      ...{ state: "handed-over", revision: 2, staged: { bucket: settings.bucket } },
      files: { "poster.jpg": { bytes: 8 }, "source.mp4.part": { bytes: 8, sha256: sha256("half of ") } },
    });
    expect(await isLeased(job.directory)).toBe(false);
    expect(await findJob(catalogue.as("cleanup"), job.identity.jobId)).toMatchObject({
      state: "handed-over",
    });
    expect(await keysOf(job)).toEqual(["logs/run.log", "metadata.json", "poster.jpg", "source.mp4.part"]);
    await expect(one.createJob()).rejects.toThrow(/this worker is drained/);

    // The node goes, and its volume with it.
    await fs.rm(job.directory, { recursive: true });
    const two = await worker(second, "worker-1");
    const resumed = await two.resumeJob(job.identity.jobId);
    expect(resumed.identity.jobId).not.toBe(job.identity.jobId);
    expect(resumed.record).toMatchObject({
      ...{ state: "active", continues: job.identity.jobId, expectedBytes: 16, attributes: { title: "film" } },
      owner: { volume: "node-0-slot-1", pod: "worker-1" },
    });
    expect(Object.keys(resumed.files)).toEqual(["poster.jpg", "source.mp4.part"]);
    const options = { continuing: "source.mp4.part", expectedBytes: 16 };
    expect(await resumed.writeStream("source.mp4", ["a video!"], options)).toEqual({
      bytes: 16,
      sha256: sha256("half of a video!"),
    });
    await resumed.appendLog("run.log", "on the second");
    await resumed.complete();
    expect(Object.keys((await recordOf(resumed.directory)).files)).toEqual(["poster.jpg", "source.mp4"]);
    expect(await fs.readFile(path.join(resumed.directory, "logs/run.log"), "utf8")).toBe(
      "on the first node\non the second\n",
    );

    // Whoever knows the id that was handed over gets the job that went on with it.
    const view = await two.openForUpload(job.identity.jobId);
    expect(view.identity).toEqual(resumed.identity);
    expect(await contentOf(await view.open("source.mp4"))).toBe("half of a video!");
    view.close();
    await expect(two.resumeJob(job.identity.jobId)).rejects.toThrow(
      /is completed: only a job that was handed over/,
    );
  });

  it("is gone on with by one of several, again when that one fails, and by no other tenant", async () => {
    const one = await worker(first, "worker-0");
    const job = await one.createJob();
    await job.writeFile("source.mp4", "a video");
    await job.handOver();
    await expect(job.complete()).rejects.toThrow(IllegalTransitionError);
    const { jobId } = job.identity;
    const globex = await worker(second, "worker-9", {}, "globex");
    await expect(globex.resumeJob(jobId)).rejects.toThrow(JobNotFoundError);
    const workers = await Promise.all([1, 2, 3, 4].map((index) => worker(second, `worker-${index}`)));
    const results = await Promise.allSettled(workers.map((storage) => storage.resumeJob(jobId)));
    const won = results.filter((result) => result.status === "fulfilled").map((result) => result.value);
    expect(won).toHaveLength(1);
    for (const result of results) {
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(JobStateError);
    }
    // Nothing of those that came too late is left.
    expect((await fs.readdir(second.root)).sort()).toEqual([".admission", won[0]!.identity.jobId]);
    expect(await fs.readdir(path.join(second.root, ".admission"))).toEqual([won[0]!.identity.jobId]);
    await won[0]!.fail("out of memory");
    const again = await workers[0]!.resumeJob(jobId);
    expect(again.files).toEqual({ "source.mp4": { bytes: 7, sha256: sha256("a video") } });
    // Its worker dies, the sweep finds that, and once more somebody goes on.
    await again.close();
    await markAbandoned(catalogue.as("cleanup"), again.identity);
    const last = await workers[1]!.resumeJob(jobId);
    await last.complete();
    expect(await jobStatus(catalogue.as("worker_acme"), job.identity)).toMatchObject({
      state: "handed-over",
      continuedBy: last.identity.jobId,
    });
  });

  it("may be drained again on the next node: the chain is followed to its end", async () => {
    const job = await (await worker(first, "worker-0")).createJob();
    await job.writeFile("source.mp4", "a video");
    await job.handOver();
    const next = await (await worker(second, "worker-1")).resumeJob(job.identity.jobId);
    await next.handOver();
    const last = await (await worker(first, "worker-2")).resumeJob(job.identity.jobId);
    expect(last.record.continues).toBe(next.identity.jobId);
    await last.complete();
    const view = await (await worker(first, "worker-3")).openForUpload(job.identity.jobId);
    expect(view.identity).toEqual(last.identity);
    view.close();
  });

  it("without object storage fails its jobs with the reason, and with one that is away, too", async () => {
    for (const objectStorage of [null, { ...settings, endpoint: "http://127.0.0.1:1" }]) {
      const storage = await worker(first, "worker-0", { objectStorage });
      const job = await storage.createJob();
      await job.writeFile("source.mp4", "a video");
      const [result] = await storage.drain();
      expect(result).toMatchObject({ jobId: job.identity.jobId, state: "failed" });
      expect(result!.error).toBeInstanceOf(ObjectStorageError);
      expect(await recordOf(job.directory)).toMatchObject({
        state: "failed",
        failure: {
          reason: expect.stringMatching(/^its worker was drained, and it couldn't be handed over: /),
        },
      });
    }
  }, 60_000);

  it("that runs its program by the command hands over on SIGTERM, and the next one goes on", async () => {
    const bundle = await fs.mkdtemp(path.join(os.tmpdir(), "video-job-"));
    try {
      const command = bundleVideoJob(bundle);
      const base = path.dirname(first.root);
      const env = { ...(await commandEnvironment(await optionsOn(first, "worker-0"), base)), ...command };
      const script = `trap 'exit 0' TERM
        printf 'a poster' | video-job write poster.jpg
        (printf 'half of '; sleep 60) | video-job write source.mp4 &
        while :; do ls $VIDEO_JOB_DIRECTORY | grep -q 'source.*partial' && echo ready; sleep 0.2; done`;
      const { child, ended } = start(
        ["video-job", "run", "--drain-seconds", "2", "--", "sh", "-c", script],
        env,
      );
      for await (const data of child.stdout!) if (String(data).includes("ready")) break;
      const [jobId] = (await fs.readdir(first.root)).filter((name) => !name.startsWith("."));
      child.kill("SIGTERM");
      expect(await once(child, "exit")).toEqual([75, null]);
      // What its shell left behind is this test's to end.
      for (const pid of await processesWith(first.root)) process.kill(pid, "SIGKILL");
      const { stderr } = await ended;
      expect(stderr).toContain(JSON.stringify({ jobId, state: "handed-over" }));
      const secondBase = path.dirname(second.root);
      const next = {
        ...(await commandEnvironment(await optionsOn(second, "worker-1"), secondBase)),
        ...command,
      };
      const go = `ls $VIDEO_JOB_DIRECTORY; printf 'all of it' | video-job write source.mp4`;
      const resumed = await start(["video-job", "run", "--resume", jobId!, "--", "sh", "-c", go], next).ended;
      expect(resumed).toMatchObject({ code: 0, stdout: expect.stringContaining("poster.jpg") });
      const to = path.join(secondBase, "fetched");
      const fetched = await start(["video-job", "fetch", "--job", jobId!, "--to", to], next).ended;
      expect(fetched).toMatchObject({ code: 0, stderr: "" });
      expect(await fs.readFile(path.join(to, "poster.jpg"), "utf8")).toBe("a poster");
      expect(await fs.readFile(path.join(to, "source.mp4"), "utf8")).toBe("all of it");
    } finally {
      await fs.rm(bundle, { recursive: true, force: true });
    }
  }, 60_000);
});

/** By what they were started with: a shell's pipe outlives the shell. */
async function processesWith(root: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await fs.readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const environment = await fs.readFile(`/proc/${name}/environ`, "utf8").catch(() => "");
    if (environment.includes(`VIDEO_STORAGE_ROOT=${root}\0`)) found.push(Number(name));
  }
  return found;
}

describe("a volume without room", () => {
  let volume: string;
  beforeEach(async ({ skip }) => {
    volume = path.join(first.root, "..", "small");
    await fs.mkdir(volume);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", volume], { stdio: "ignore" });
    } catch {
      skip("needs the privilege to mount a small volume");
    }
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((storage) => storage.close()));
    execFileSync("umount", [volume]);
  });
  async function* bytes(count: number): AsyncGenerator<Buffer> {
    const chunk = Buffer.alloc(MIB, "x");
    for (let left = count; left > 0; left -= MIB) yield left < MIB ? chunk.subarray(0, left) : chunk;
  }

  it("sends what doesn't fit to object storage, whole and checked, and an upload can't tell", async () => {
    const storage = await worker(first, "worker-0", { root: volume });
    const job = await storage.createJob();
    await job.writeFile("small.txt", "stays");
    const written = await job.writeStream("source.mp4", bytes(40 * MIB));
    expect(written).toEqual({
      bytes: 40 * MIB,
      sha256: sha256(Buffer.alloc(40 * MIB, "x")),
      location: "object",
    });
    expect((await fs.readdir(job.directory)).sort()).toEqual(["logs", "metadata.json", "small.txt"]);
    await job.complete();
    expect((await recordOf(job.directory)).files["source.mp4"]).toEqual(written);
    const view = await storage.openForUpload(job.identity.jobId);
    expect(view.location).toBe("local");
    let received = 0;
    for await (const chunk of await view.open("source.mp4")) received += (chunk as Buffer).byteLength;
    expect(received).toBe(40 * MIB);
    expect(await contentOf(await view.open("small.txt"))).toBe("stays");
    view.close();
    await job.stage();
    expect(
      (await objectsOf(catalogue.as("worker_acme"), job.identity)).map(({ objectKey }) =>
        path.basename(objectKey),
      ),
    ).toEqual(["metadata.json", "small.txt", "source.mp4"]);
    expect(await unfinishedUploads()).toEqual([]);
  }, 60_000);

  it("keeps the reserve free for others, and goes there from the first byte when the size is known", async () => {
    const storage = await worker(first, "worker-0", { root: volume, reserveBytes: 4 * MIB });
    const job = await storage.createJob();
    expect(
      await job.writeStream("fits.mp4", bytes(16 * MIB), { expectedBytes: 16 * MIB }),
    ).not.toHaveProperty("location");
    let most = 0;
    const watch = setInterval(() => {
      void fs
        .statfs(volume)
        .then(({ blocks, bfree, bsize }) => (most = Math.max(most, (blocks - bfree) * bsize)));
    }, 5);
    const written = await job.writeStream("more.mp4", bytes(8 * MIB), { expectedBytes: 8 * MIB });
    clearInterval(watch);
    expect(written).toMatchObject({ bytes: 8 * MIB, location: "object" });
    expect(most).toBeLessThan(17 * MIB);
    await job.fail("enough");
  }, 60_000);

  it("says so when object storage is away too, and leaves nothing half", async () => {
    const away = { ...settings, endpoint: "http://127.0.0.1:1" };
    const storage = await worker(first, "worker-0", { root: volume, objectStorage: away });
    const job = await storage.createJob();
    await expect(job.writeStream("source.mp4", bytes(40 * MIB))).rejects.toThrow(VolumeFullError);
    expect((await fs.readdir(job.directory)).sort()).toEqual(["logs", "metadata.json"]);
    await job.fail("no room");
  }, 60_000);

  it("a source that breaks on the way leaves no object and no unfinished upload", async () => {
    const storage = await worker(first, "worker-0", { root: volume });
    const job = await storage.createJob();
    async function* breaking(): AsyncGenerator<Buffer> {
      yield* bytes(48 * MIB);
      throw new Error("connection lost");
    }
    await expect(job.writeStream("source.mp4", breaking())).rejects.toThrow("connection lost");
    expect(await keysOf(job)).toEqual([]);
    expect(await unfinishedUploads()).toEqual([]);
    await job.fail("no source");
  }, 60_000);
});

describe("a job that runs for long", () => {
  it("is copied while it runs, by itself, and staged when it is complete", async () => {
    const errors: unknown[] = [];
    const storage = await worker(first, "worker-0", {
      ...{ heartbeatSeconds: 1, staging: { maxLocalSeconds: 1 } },
      onStagingError: (error) => void errors.push(error),
    });
    const job = await storage.createJob();
    await job.writeFile("part-1.mp4", "first part");
    expect(await keysOf(job)).toEqual([]);
    await vi.waitFor(async () => expect(await keysOf(job)).toEqual(["part-1.mp4"]), {
      timeout: 10_000,
      interval: 200,
    });
    await expect(job.writeFile("part-1.mp4", "another")).rejects.toThrow(/is in object storage already/);
    expect(await fs.readFile(path.join(job.directory, "part-1.mp4"), "utf8")).toBe("first part");
    await job.writeFile("part-2.mp4", "second part");
    await job.complete();
    expect(errors).toEqual([]);
    expect((await recordOf(job.directory)).staged).toBeDefined();
    expect(await keysOf(job)).toEqual(["metadata.json", "part-1.mp4", "part-2.mp4"]);
  });

  it("stays local as long as it doesn't", async () => {
    const storage = await worker(first, "worker-0", {
      heartbeatSeconds: 1,
      staging: { maxLocalSeconds: 3600 },
    });
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "a video");
    await sleep(1_500);
    await job.complete();
    expect(await keysOf(job)).toEqual([]);
    expect((await recordOf(job.directory)).staged).toBeUndefined();
  });

  it("completes all the same when object storage is away, and says so", async () => {
    const errors: unknown[] = [];
    const storage = await worker(first, "worker-0", {
      ...{ staging: { maxLocalSeconds: 1 }, objectStorage: { ...settings, endpoint: "http://127.0.0.1:1" } },
      onStagingError: (error) => void errors.push(error),
    });
    const job = await storage.createJob();
    await sleep(1_100);
    await job.complete();
    expect(await recordOf(job.directory)).toMatchObject({ state: "completed" });
    expect(errors).toEqual([expect.any(ObjectStorageError)]);
  }, 60_000);
});

describe("one job in two processes", () => {
  it("what one wrote or ended the other knows, and a write under way keeps the job from being completed", async () => {
    const one = await worker(first, "worker-0");
    const two = await worker(first, "worker-0");
    const job = await one.createJob();
    await job.writeFile("source.mp4", "a video");
    const same = await two.openJob(job.identity.jobId);
    expect(same.state).toBe("active");
    await same.writeFile("poster.jpg", "a poster");
    await same.appendLog("run.log", "from the second");
    await same.complete();
    expect((await recordOf(job.directory)).files).toMatchObject({
      "source.mp4": { bytes: 7 },
      "poster.jpg": { bytes: 8 },
    });
    expect(job.state).toBe("completed");
    await expect(job.writeFile("late.mp4", "x")).rejects.toThrow(JobStateError);
    await expect(job.fail("late")).rejects.toThrow(IllegalTransitionError);
    expect(await isLeased(job.directory)).toBe(false);
    const reopened = await two.openJob(job.identity.jobId);
    await reopened.stage();
    expect(await keysOf(job)).toEqual(["logs/run.log", "metadata.json", "poster.jpg", "source.mp4"]);
    const globex = await worker(first, "worker-0", {}, "globex");
    await expect(globex.openJob(job.identity.jobId)).rejects.toThrow(WrongTenantError);
  });
});
