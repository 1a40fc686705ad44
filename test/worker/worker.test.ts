import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { reportJob } from "@video-storage/catalogue/jobs";
import { findJob } from "@video-storage/catalogue/sweeping";
import { newJobId, parseJobId, parseTenantId } from "@video-storage/contract/identity";
import { parseJobRecord, serializeJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import {
  AdmissionRefusedError,
  CatalogueRefusedError,
  CatalogueUnavailableError,
  ContentMismatchError,
  IllegalTransitionError,
  InvalidContractError,
  InvalidFileNameError,
  InvalidIdentityError,
  JobExistsError,
  JobNotFoundError,
  JobStateError,
  ObjectStorageError,
  StorageConfigurationError,
  UnsafeFileError,
  VolumeFullError,
  WritesInProgressError,
  WrongTenantError,
  openStorage,
} from "@video-storage/worker";
import type { Job, Storage } from "@video-storage/worker";
import { requireAdmission } from "@video-storage/worker/admission";
import { tryLockExclusive } from "@video-storage/worker/directory-lock";
import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { jobRecord } from "../support/documents.js";
import { openFiles } from "../support/open-files.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { sha256 } from "../support/sha256.js";
import { isLeased, workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let surroundings: WorkerSurroundings;
let storage: Storage;

beforeAll(async () => {
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
});
beforeEach(async () => {
  surroundings = await workerSurroundings(catalogue);
  storage = await openStorage(await surroundings.options());
});
afterEach(async () => {
  vi.restoreAllMocks();
  await storage.close();
  await surroundings.remove();
});

const inCatalogue = (job: Job) => findJob(catalogue.as("cleanup"), job.identity.jobId);
const onDisk = async (job: Job): Promise<JobRecord> =>
  parseJobRecord(await fs.readFile(path.join(job.directory, "metadata.json"), "utf8"));
const modeOf = async (file: string) => ((await fs.stat(file)).mode & 0o7777).toString(8);

async function hasPlace(job: Job): Promise<boolean> {
  const place = await fs.open(path.join(surroundings.root, ".admission", job.identity.jobId), "r");
  try {
    return !tryLockExclusive(place.fd);
  } finally {
    await place.close();
  }
}

/** As on a full volume, for the next file that is to have its name, which must be a record. */
function recordFindsNoRoom(): void {
  vi.spyOn(fs, "rename").mockImplementationOnce(async (_, to) => {
    expect(path.basename(to as string)).toBe("metadata.json");
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  });
}

async function reportedElsewhere(): Promise<JobRecord> {
  const record = jobRecord({ owner: { ...jobRecord().owner, volume: "elsewhere" } });
  await reportJob(catalogue.as("worker_acme"), record);
  return record;
}

async function completedJob(files: Record<string, string> = { "source.mp4": "a video" }): Promise<Job> {
  const job = await storage.createJob();
  for (const [name, content] of Object.entries(files)) await job.writeFile(name, content);
  await job.complete();
  return job;
}

async function contentOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

describe("creating a job", () => {
  it("leaves a complete directory, a record, a row and a lease", async () => {
    const job = await storage.createJob({
      expectedBytes: 100,
      attributes: { title: "a film", token: "abc" },
    });
    expect(job.directory).toBe(path.join(surroundings.root, job.identity.jobId));
    expect((await fs.readdir(surroundings.root)).sort()).toEqual([".admission", job.identity.jobId]);
    expect((await fs.readdir(job.directory)).sort()).toEqual(["logs", "metadata.json"]);
    expect(await onDisk(job)).toMatchObject({
      ...{ version: 1, tenantId: "acme", jobId: job.identity.jobId, state: "active", revision: 1, files: {} },
      ...{ expectedBytes: 100, attributes: { title: "a film", token: "[redacted]" } },
      owner: { volume: "node-0-slot-0", node: "node-0", namespace: "video", pod: "worker-0" },
    });
    expect(await inCatalogue(job)).toMatchObject({
      state: "active",
      revision: 1,
      expectedBytes: 100,
      pod: "worker-0",
    });
    expect(job.reported).toBe(true);
    expect(await isLeased(job.directory)).toBe(true);
  });

  it("lets the group read and no one else, under any umask, and keeps the volume's group", async () => {
    await fs.chmod(surroundings.root, 0o2750);
    const before = process.umask(0o077);
    try {
      const job = await storage.createJob();
      await job.writeFile("source.mp4", "x");
      await job.appendLog("run.log", "x");
      const modes = ["", "logs", "metadata.json", "source.mp4", "logs/run.log"].map((name) =>
        modeOf(path.join(job.directory, name)),
      );
      expect(await Promise.all(modes)).toEqual(["2750", "2750", "640", "640", "640"]);
    } finally {
      process.umask(before);
    }
  });

  it("takes an id that was given out, once", async () => {
    const jobId = newJobId();
    expect((await storage.createJob({ jobId })).identity).toEqual({ tenantId: "acme", jobId });
    await expect(storage.createJob({ jobId })).rejects.toThrow(JobExistsError);
    await expect(storage.createJob({ jobId: "../up" })).rejects.toThrow(InvalidIdentityError);
    expect((await fs.readdir(surroundings.root)).sort()).toEqual([".admission", jobId]);
  });

  it("takes no id that the catalogue has had, on whichever volume, and does that job no harm", async () => {
    const first = await completedJob();
    const { jobId } = first.identity;
    // As after the sweep: moved to object storage, and its directory gone.
    await catalogue.admin(`UPDATE storage.jobs SET location = 'object' WHERE job_id = $1`, [jobId]);
    await fs.rm(first.directory, { recursive: true });
    await expect(storage.createJob({ jobId })).rejects.toThrow(JobExistsError);
    const elsewhere = await reportedElsewhere();
    await expect(storage.createJob({ jobId: elsewhere.jobId })).rejects.toThrow(JobExistsError);
    expect(await findJob(catalogue.as("cleanup"), elsewhere.jobId)).toMatchObject({
      state: "active",
      revision: 1,
      volume: "elsewhere",
    });
    expect(await fs.readdir(surroundings.root)).toEqual([".admission"]);
    expect(await fs.readdir(path.join(surroundings.root, ".admission"))).toEqual([]);
  });

  it("is refused, with the numbers, when there is no room", async () => {
    await expect(storage.createJob({ expectedBytes: 2 ** 50 })).rejects.toThrow(AdmissionRefusedError);
    await expect(storage.createJob({ expectedBytes: -1 })).rejects.toThrow(RangeError);
    expect(await fs.readdir(surroundings.root)).toEqual([".admission"]);
    expect(await fs.readdir(path.join(surroundings.root, ".admission"))).toEqual([]);
    const load = { availableBytes: 130n, promisedBytes: 30n, activeJobs: 1 };
    const request = { expectedBytes: 60, reserveBytes: 40, maximumJobs: 2 };
    expect(() => requireAdmission(request, load)).not.toThrow();
    expect(() => requireAdmission({ ...request, expectedBytes: 61 }, load)).toThrow(
      /needs 61 bytes and 40 must stay free, but the volume has 130, of which active jobs were promised 30/,
    );
    expect(() => requireAdmission({ ...request, maximumJobs: 1 }, load)).toThrow(
      /1 jobs are active on the volume, and the stack allows 1/,
    );
  });

  it("removes what a worker left that died while creating one, and nothing that lives", async () => {
    for (const name of [".new-dead", ".new-alive", ".new-odd", "precious"]) {
      await fs.mkdir(path.join(surroundings.root, name, "logs"), { recursive: true });
    }
    await fs.writeFile(path.join(surroundings.root, ".new-dead", "metadata.json.x.partial"), "{");
    await fs.writeFile(path.join(surroundings.root, ".new-odd", "something"), "not ours");
    const alive = await fs.open(path.join(surroundings.root, ".new-alive"));
    expect(tryLockExclusive(alive.fd)).toBe(true);
    await (await openStorage(await surroundings.options())).close();
    expect((await fs.readdir(surroundings.root)).sort()).toEqual([".new-alive", ".new-odd", "precious"]);
    expect(await fs.readdir(path.join(surroundings.root, ".new-odd"))).toEqual(["something"]);
    await alive.close();
  });
});

describe("files", () => {
  it("come with their size and checksum, and replace what had their name", async () => {
    const job = await storage.createJob();
    expect(await job.writeFile("source.mp4", "one")).toEqual({ bytes: 3, sha256: sha256("one") });
    const chunks = [Buffer.from("zwei"), new Uint8Array([33]), "é"];
    expect(await job.writeStream("source.mp4", chunks, { expectedBytes: 7 })).toEqual({
      bytes: 7,
      sha256: sha256("zwei!é"),
    });
    expect(await job.writeFile("empty", "")).toEqual({ bytes: 0, sha256: sha256("") });
    expect(await fs.readFile(path.join(job.directory, "source.mp4"), "utf8")).toBe("zwei!é");
    await job.complete();
    expect((await onDisk(job)).files).toEqual({
      empty: { bytes: 0, sha256: sha256("") },
      "source.mp4": { bytes: 7, sha256: sha256("zwei!é") },
    });
    expect(await inCatalogue(job)).toMatchObject({ bytes: 7 });
  });

  it("have no half under any name when the source fails, lies about its size, or the name is none", async () => {
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "before");
    async function* failing(): AsyncGenerator<string> {
      yield "half";
      throw new Error("connection lost");
    }
    await expect(job.writeStream("source.mp4", failing())).rejects.toThrow("connection lost");
    await expect(job.writeStream("source.mp4", ["abc"], { expectedBytes: 4 })).rejects.toThrow(
      ContentMismatchError,
    );
    await expect(job.writeStream("source.mp4", ["abc"], { expectedBytes: 2 })).rejects.toThrow(
      ContentMismatchError,
    );
    for (const name of ["../up", "metadata.json", "logs", ".hidden", "a/b", "x.partial"]) {
      await expect(job.writeFile(name, "x")).rejects.toThrow(InvalidFileNameError);
    }
    expect((await fs.readdir(job.directory)).sort()).toEqual(["logs", "metadata.json", "source.mp4"]);
    expect(await fs.readFile(path.join(job.directory, "source.mp4"), "utf8")).toBe("before");
  });

  it("have a temporary name until they are whole", async () => {
    const job = await storage.createJob();
    let during: string[] = [];
    async function* watched(): AsyncGenerator<string> {
      yield "half";
      during = await fs.readdir(job.directory);
      yield "half";
    }
    await job.writeStream("source.mp4", watched());
    const files = during.filter((name) => name.startsWith("source"));
    expect(files).toEqual([expect.stringMatching(/^source\.mp4\.[0-9a-f-]{36}\.partial$/)]);
  });

  it("are on the disk before they have their name, and their name before the call returns", async () => {
    const steps: string[] = [];
    const someHandle = await fs.open(surroundings.root);
    const handles = Object.getPrototypeOf(someHandle) as FileHandle;
    await someHandle.close();
    const { sync, write } = handles;
    vi.spyOn(handles, "write").mockImplementation(function (this: FileHandle, ...args: unknown[]) {
      steps.push("write");
      return write.apply(this, args as never);
    } as never);
    vi.spyOn(handles, "sync").mockImplementation(async function (this: FileHandle) {
      steps.push((await this.stat()).isDirectory() ? "sync directory" : "sync file");
      return sync.call(this);
    });
    const { rename } = fs;
    vi.spyOn(fs, "rename").mockImplementation((from, to) => {
      steps.push(`rename to ${path.basename(to as string)}`);
      return rename(from, to);
    });
    try {
      const job = await storage.createJob();
      expect(steps.splice(0)).toEqual([
        ...["write", "sync file", "rename to metadata.json", "sync directory"],
        ...[`rename to ${job.identity.jobId}`, "sync directory"],
      ]);
      await job.writeFile("source.mp4", "x");
      expect(steps.splice(0)).toEqual(["write", "sync file", "rename to source.mp4", "sync directory"]);
      await job.appendLog("run.log", "x");
      await job.complete();
      expect(steps.splice(0)).toEqual([
        ...["write", "sync file", "sync directory"],
        ...["write", "sync file", "rename to metadata.json", "sync directory"],
      ]);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it("that fill the volume leave room to say so", async ({ skip }) => {
    const volume = path.join(surroundings.root, "..", "small");
    await fs.mkdir(volume);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", volume], { stdio: "ignore" });
    } catch {
      skip("needs the privilege to mount a small volume");
    }
    const small = await openStorage({ ...(await surroundings.options()), root: volume });
    try {
      await expect(small.createJob({ expectedBytes: 2 ** 20 + 1 })).rejects.toThrow(AdmissionRefusedError);
      const job = await small.createJob();
      await expect(job.writeFile("source.mp4", Buffer.alloc(2 ** 20))).rejects.toThrow(VolumeFullError);
      await job.fail("the volume is full");
      expect((await fs.readdir(job.directory)).sort()).toEqual(["logs", "metadata.json"]);
      expect(await onDisk(job)).toMatchObject({ state: "failed", failure: { reason: "the volume is full" } });
    } finally {
      await small.close();
      execFileSync("umount", [volume]);
    }
  });
});

describe("logs", () => {
  it("hold each line whole, without secrets, in the order of the calls", async () => {
    const job = await storage.createJob();
    await job.appendLog("run.log", "started\n");
    await job.appendLog("run.log", "Authorization: Bearer abc.def-123");
    await job.appendLog("run.log", "two\nlines\r");
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => job.appendLog("many.log", `line ${index} ${"x".repeat(500)}`)),
    );
    await expect(job.appendLog("../run.log", "x")).rejects.toThrow(InvalidFileNameError);
    await job.complete();
    const read = (name: string) => fs.readFile(path.join(job.directory, "logs", name), "utf8");
    expect(await read("run.log")).toBe("started\nAuthorization: [redacted]\ntwo\\nlines\\r\n");
    const many = (await read("many.log")).trimEnd().split("\n");
    expect(many.filter((line) => /^line \d+ x{500}$/.test(line))).toHaveLength(50);
    expect(new Set(many).size).toBe(50);
  });

  it("are all closed, even where one of them can't be written down", async () => {
    const job = await storage.createJob();
    for (const name of ["one.log", "two.log", "three.log"]) await job.appendLog(name, "x");
    const openLogs = (): string[] =>
      openFiles().filter((file) => path.dirname(file) === path.join(job.directory, "logs"));
    expect(openLogs()).toHaveLength(3);
    const some = await fs.open(job.directory);
    const sync = vi.spyOn(Object.getPrototypeOf(some) as FileHandle, "sync");
    await some.close();
    sync.mockRejectedValueOnce(new Error("input/output error")).mockRejectedValueOnce(new Error("another"));
    await expect(job.close()).rejects.toThrow("input/output error");
    expect(openLogs()).toEqual([]);
    // Each log and then their directory.
    expect(sync).toHaveBeenCalledTimes(4);
  });
});

describe("the end of a job", () => {
  it("by completion is on the disk, in the catalogue, and ends the lease", async () => {
    const job = await completedJob();
    expect(await onDisk(job)).toMatchObject({ state: "completed", revision: 2 });
    expect(await inCatalogue(job)).toMatchObject({ state: "completed", revision: 2, bytes: 7 });
    expect(await isLeased(job.directory)).toBe(false);
  });

  it("by failure keeps the reason, without secrets", async () => {
    const job = await storage.createJob();
    await job.fail("GET https://user:hunter2@example.com/v.mp4?sig=abcdef failed");
    expect(await onDisk(job)).toMatchObject({
      state: "failed",
      failure: { reason: "GET https://[redacted]@example.com/v.mp4?sig=[redacted] failed" },
    });
    expect(await inCatalogue(job)).toMatchObject({ state: "failed", revision: 2 });
    expect(await isLeased(job.directory)).toBe(false);
  });

  it("is the end: nothing is written after it", async () => {
    const job = await completedJob();
    await expect(job.complete()).rejects.toThrow(IllegalTransitionError);
    await expect(job.fail("late")).rejects.toThrow(IllegalTransitionError);
    await expect(job.writeFile("late.mp4", "x")).rejects.toThrow(JobStateError);
    await expect(job.appendLog("run.log", "x")).rejects.toThrow(JobStateError);
    expect(await onDisk(job)).toMatchObject({ state: "completed", revision: 2 });
  });

  it("comes once, however often it is asked for at the same time", async () => {
    const job = await storage.createJob();
    const results = await Promise.allSettled([job.complete(), job.fail("no"), job.complete()]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(await onDisk(job)).toMatchObject({ state: "completed", revision: 2 });
  });

  it("waits for no write that was forgotten, but says so; a failure ends it", async () => {
    const job = await storage.createJob();
    let release = () => undefined as void;
    const gate = new Promise<void>((resolve) => (release = resolve));
    async function* slow(): AsyncGenerator<string> {
      yield "x";
      await gate;
    }
    const write = job.writeStream("slow.mp4", slow());
    const refused = expect(write).rejects.toThrow(JobStateError);
    await expect(job.complete()).rejects.toThrow(WritesInProgressError);
    await job.fail("given up");
    release();
    await refused;
    expect((await fs.readdir(job.directory)).sort()).toEqual(["logs", "metadata.json"]);
  });

  it("doesn't come after close either: nothing keeps the sweep from the job by then", async () => {
    for (const end of [(job: Job) => job.complete(), (job: Job) => job.fail("too late")]) {
      const job = await storage.createJob();
      await job.close();
      await expect(end(job)).rejects.toThrow(JobStateError);
      expect((await onDisk(job)).state).toBe("active");
    }
  });

  it("doesn't come by close: the job stays active, for the sweep to find abandoned", async () => {
    const job = await storage.createJob();
    await job.close();
    expect(await isLeased(job.directory)).toBe(false);
    expect(await onDisk(job)).toMatchObject({ state: "active" });
    await expect(job.writeFile("x", "x")).rejects.toThrow(/it was closed/);
  });

  it.each<[string, (job: Job) => Promise<void>]>([
    ["completed", (job) => job.complete()],
    ["failed", (job) => job.fail("no audio")],
  ])("may be tried again when its record, %s, couldn't be written", async (state, end) => {
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "a video");
    recordFindsNoRoom();
    await expect(end(job)).rejects.toThrow(VolumeFullError);
    expect(await onDisk(job)).toMatchObject({ state: "active", revision: 1 });
    expect([await isLeased(job.directory), await hasPlace(job)]).toEqual([true, true]);
    await end(job);
    expect(await onDisk(job)).toMatchObject({ state, revision: 2, files: { "source.mp4": { bytes: 7 } } });
    expect(await isLeased(job.directory)).toBe(false);
  });
});

describe("closing a job whose record can't be written", () => {
  it("says so, and gives the job up all the same: it can be opened again", async () => {
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "a video");
    await job.appendLog("run.log", "started");
    recordFindsNoRoom();
    await expect(job.close()).rejects.toThrow(VolumeFullError);
    expect([await isLeased(job.directory), await hasPlace(job)]).toEqual([false, false]);
    expect(storage.activity()).toEqual({ activeJobs: 0, unreportedJobs: 0 });
    const again = await storage.openJob(job.identity.jobId);
    expect(again.reported).toBe(true);
    await again.complete();
    expect(await onDisk(job)).toMatchObject({ state: "completed", files: { "source.mp4": { bytes: 7 } } });
  });

  it("frees its place when its directory is gone", async () => {
    const job = await storage.createJob();
    await job.appendLog("run.log", "started");
    await fs.rm(job.directory, { recursive: true });
    expect(await hasPlace(job)).toBe(true);
    await expect(job.close()).rejects.toThrow(/ENOENT.*metadata\.json/);
    expect(await hasPlace(job)).toBe(false);
  });
});

describe("a job whose record can't be read", () => {
  it("does the other jobs of the process no harm, at heartbeats and when it is drained, and is told of", async () => {
    const told: unknown[] = [];
    const observed: unknown[] = [];
    const quick = await openStorage({
      ...(await surroundings.options()),
      contract: { ...surroundings.contract, heartbeatSeconds: 1, objectStorage: null },
      onCatalogueError: (error) => {
        told.push(error);
        throw new Error("the client's own");
      },
    });
    quick.observe({ failed: (error) => void observed.push(error) });
    const spoiled = await quick.createJob();
    const other = await quick.createJob();
    await fs.rm(spoiled.directory, { recursive: true });
    await expect.poll(() => told.length, { timeout: 10_000 }).toBeGreaterThan(1);
    expect(told[0]).toMatchObject({
      code: "ENOENT",
      path: expect.stringMatching(/metadata\.json$/) as string,
    });
    expect(observed).toEqual(told);
    await catalogue.admin(`UPDATE storage.jobs SET heartbeat_at = now() - interval '1 h' WHERE job_id = $1`, [
      other.identity.jobId,
    ]);
    await expect
      .poll(async () => (await inCatalogue(other))!.secondsSinceHeartbeat, { timeout: 10_000 })
      .toBeLessThan(60);
    expect(quick.activity()).toEqual({ activeJobs: 2, unreportedJobs: 0 });
    expect(await quick.drain()).toEqual([
      { jobId: spoiled.identity.jobId, state: "active", error: told[0] },
      { jobId: other.identity.jobId, state: "failed", error: expect.any(ObjectStorageError) as Error },
    ]);
    await expect(quick.close()).rejects.toThrow(/ENOENT.*metadata\.json/);
  });

  it("isn't waited for when a FIFO lies in its place", async () => {
    const own = await openStorage(await surroundings.options());
    const job = await own.createJob();
    await fs.rm(path.join(job.directory, "metadata.json"));
    execFileSync("mkfifo", [path.join(job.directory, "metadata.json")]);
    expect(() => job.state).toThrow("metadata.json is not read: it is not a regular file");
    await own.close().catch(() => undefined);
    expect(await isLeased(job.directory)).toBe(false);
  });
});

describe("a worker that is killed", () => {
  it("loses its lease at once, though a program of its own lives on, and leaves nothing half under a whole name", async () => {
    const holder = new URL("../support/lease-holder.ts", import.meta.url).pathname;
    const worker = spawn(
      process.execPath,
      [...RUNS_TYPESCRIPT, holder, JSON.stringify(await surroundings.options())],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const ended = once(worker, "exit");
    const [line] = (await once(worker.stdout, "data")) as [Buffer];
    const { jobId, directory, child } = JSON.parse(line.toString()) as {
      jobId: string;
      directory: string;
      child: number;
    };
    try {
      expect(await isLeased(directory)).toBe(true);
      worker.kill("SIGKILL");
      await ended;
      expect(await isLeased(directory)).toBe(false);
      // Still there: it has not inherited the lease.
      expect(process.kill(child, 0)).toBe(true);
    } finally {
      process.kill(child, "SIGKILL");
    }
    const names = (await fs.readdir(directory)).sort();
    expect(names).toEqual([
      expect.stringMatching(/^half\.mp4\..*\.partial$/),
      "logs",
      "metadata.json",
      "whole.mp4",
    ]);
    expect(await fs.readFile(path.join(directory, "whole.mp4"), "utf8")).toBe("all of it");
    const record = parseJobRecord(await fs.readFile(path.join(directory, "metadata.json"), "utf8"));
    expect(record).toMatchObject({ state: "active", revision: 1 });
    expect(await findJob(catalogue.as("cleanup"), parseJobId(jobId))).toMatchObject({ state: "active" });
  });
});

describe("a catalogue that is away", () => {
  it("doesn't hold up the work, and is told once, in the end, when it is back", async () => {
    const own = await startPostgres();
    const away = await own.createCatalogue(["acme"]);
    const there = await workerSurroundings(away);
    const errors: unknown[] = [];
    const options = {
      ...(await there.options()),
      onCatalogueError: (error: unknown) => void errors.push(error),
    };
    try {
      await own.interrupt();
      const offline = await openStorage(options);
      const job = await offline.createJob();
      const other = await offline.createJob();
      await job.writeFile("source.mp4", "a video");
      expect(await job.heartbeat()).toBe(false);
      await job.complete();
      expect(job.reported).toBe(false);
      expect(await onDisk(job)).toMatchObject({ state: "completed", revision: 2 });
      expect(errors.length).toBeGreaterThan(0);
      expect(errors.every((error) => error instanceof CatalogueUnavailableError)).toBe(true);

      await own.resume();
      expect(await job.heartbeat()).toBe(true);
      expect(await job.heartbeat()).toBe(true);
      expect(job.reported).toBe(true);
      expect(other.reported).toBe(false);
      await offline.close();
      const rows = await away.admin(
        "SELECT job_id, state, revision, bytes::int FROM storage.jobs ORDER BY job_id",
      );
      expect(rows).toEqual([
        { job_id: job.identity.jobId, state: "completed", revision: 2, bytes: 7 },
        { job_id: other.identity.jobId, state: "active", revision: 1, bytes: null },
      ]);
      // The sweep replays from the record, too: that changes nothing any more.
      expect(await reportJob(away.as("cleanup"), await onDisk(job))).toBe("unchanged");
      await away.close();
    } finally {
      await there.remove();
      await own.stop();
    }
  });

  it("isn't taken to know what it wasn't told when the job is opened again, and is told then", async () => {
    const options = {
      ...(await surroundings.options()),
      contract: { ...surroundings.contract, heartbeatSeconds: 1 },
    };
    const before = await openStorage(options);
    const job = await before.createJob();
    await postgres.interrupt();
    try {
      await job.complete();
      await before.close();
    } finally {
      await postgres.resume();
    }
    expect(await inCatalogue(job)).toMatchObject({ state: "active", revision: 1 });
    const after = await openStorage(options);
    const again = await after.openJob(job.identity.jobId);
    expect(again.state).toBe("completed");
    expect(again.reported).toBe(false);
    expect(after.activity()).toEqual({ activeJobs: 0, unreportedJobs: 1 });
    await expect.poll(() => again.reported, { timeout: 10_000 }).toBe(true);
    expect(await inCatalogue(job)).toMatchObject({ state: "completed", revision: 2 });
    expect((await after.openJob(job.identity.jobId)).reported).toBe(true);
    await after.close();
  });

  it("is told of life by the timer, without anyone's call", async () => {
    const options = await surroundings.options();
    const quick = await openStorage({
      ...options,
      contract: { ...surroundings.contract, heartbeatSeconds: 1 },
    });
    const job = await quick.createJob();
    const long = "now() - interval '1 h'";
    await catalogue.admin(`UPDATE storage.jobs SET heartbeat_at = ${long} WHERE job_id = $1`, [
      job.identity.jobId,
    ]);
    await expect
      .poll(async () => (await inCatalogue(job))!.secondsSinceHeartbeat, { timeout: 10_000 })
      .toBeLessThan(60);
    await job.close();
    await catalogue.admin(`UPDATE storage.jobs SET heartbeat_at = ${long} WHERE job_id = $1`, [
      job.identity.jobId,
    ]);
    await sleep(1_500);
    expect((await inCatalogue(job))!.secondsSinceHeartbeat).toBeGreaterThan(3_000);
    await quick.close();
  });

  it("is told again of a job that it forgot", async () => {
    const job = await storage.createJob();
    await catalogue.admin("DELETE FROM storage.jobs WHERE job_id = $1", [job.identity.jobId]);
    expect(await job.heartbeat()).toBe(true);
    expect(await inCatalogue(job)).toMatchObject({ state: "active" });
  });
});

describe("opening the storage", () => {
  const refused = async (change: object) => openStorage({ ...(await surroundings.options()), ...change });

  it("takes the settings of its pod", async () => {
    const options = await surroundings.options();
    const file = path.join(surroundings.root, "..", "contract.json");
    await fs.writeFile(file, JSON.stringify(surroundings.contract));
    const environment = {
      ...{
        VIDEO_STORAGE_CONTRACT: file,
        VIDEO_STORAGE_TENANT: "acme",
        VIDEO_STORAGE_VOLUME: "node-0-slot-1",
      },
      ...{ NODE_NAME: "node-0", POD_NAME: "pod-7", POD_NAMESPACE: "video" },
    };
    const { root, catalogueCredentials } = options;
    const fromPod = await openStorage({
      root: root!,
      catalogueCredentials: catalogueCredentials!,
      environment,
    });
    const job = await fromPod.createJob();
    expect((await onDisk(job)).owner).toEqual({
      volume: "node-0-slot-1",
      node: "node-0",
      namespace: "video",
      pod: "pod-7",
    });
    await fromPod.close();
  });

  it.each([
    [{ tenantId: undefined }, StorageConfigurationError, /tenantId is not set: .*VIDEO_STORAGE_TENANT/],
    [
      { tenantId: "initech" },
      StorageConfigurationError,
      /tenant "initech" is not in the stack's contract, which has acme, globex/,
    ],
    [{ tenantId: "../acme" }, InvalidIdentityError, /tenant id/],
    [
      { volume: "node-9-slot-9" },
      StorageConfigurationError,
      /volume "node-9-slot-9" is not in the stack's contract/,
    ],
    [{ root: "/nowhere" }, StorageConfigurationError, /\/nowhere is not a directory/],
    [{ contract: "/nowhere.json" }, StorageConfigurationError, /the stack's contract can't be read/],
    [
      { contract: { contractVersion: 2 } },
      InvalidContractError,
      /contractVersion 2, and this program reads only/,
    ],
    [
      { catalogueCredentials: "/nowhere" },
      StorageConfigurationError,
      /the catalogue's credentials can't be read/,
    ],
  ])("says what is wrong with %j", async (change, type, message) => {
    const attempt = refused(change);
    await expect(attempt).rejects.toThrow(type);
    await expect(attempt).rejects.toThrow(message);
  });

  it("refuses another tenant's login, and one that isn't accepted", async () => {
    await expect(openStorage(await surroundings.options("globex", "worker_acme"))).rejects.toThrow(
      WrongTenantError,
    );
    const options = await surroundings.options("acme", "worker_nobody");
    await expect(openStorage(options)).rejects.toThrow(CatalogueRefusedError);
  });
});

describe("opening a job for upload", () => {
  it("reads what was completed, as the uploader, and keeps the sweep away meanwhile", async () => {
    const job = await completedJob({ "source.mp4": "a video", "notes.txt": "ä" });
    const uploader = await openStorage(await surroundings.options("acme", "uploader"));
    const view = await uploader.openForUpload(job.identity.jobId);
    expect(view).toMatchObject({ location: "local", identity: job.identity });
    expect(Object.keys(view.files)).toEqual(["notes.txt", "source.mp4"]);
    expect(await contentOf(await view.open("source.mp4"))).toBe("a video");
    expect(await contentOf(await view.open("notes.txt"))).toBe("ä");
    await expect(view.open("metadata.json")).rejects.toThrow(JobNotFoundError);
    await expect(view.open("../../x")).rejects.toThrow(JobNotFoundError);
    expect(await isLeased(job.directory)).toBe(true);
    view.close();
    expect(await isLeased(job.directory)).toBe(false);
    await uploader.markUploaded(job.identity.jobId);
    await uploader.markUploaded(job.identity.jobId);
    expect(await inCatalogue(job)).toMatchObject({ state: "uploaded", revision: 3 });
    await uploader.close();
  });

  it("is refused to another tenant, whichever its login", async () => {
    const job = await completedJob();
    for (const login of ["worker_globex", "uploader"]) {
      const other = await openStorage(await surroundings.options("globex", login));
      await expect(other.openForUpload(job.identity.jobId)).rejects.toThrow(WrongTenantError);
      await expect(other.markUploaded(job.identity.jobId)).rejects.toThrow(JobStateError);
      await other.close();
    }
    expect(await inCatalogue(job)).toMatchObject({ state: "completed" });
  });

  it("doesn't believe a record that a worker wrote in another tenant's name", async () => {
    const job = await completedJob();
    const forged = { ...(await onDisk(job)), tenantId: parseTenantId("globex") };
    await fs.writeFile(path.join(job.directory, "metadata.json"), serializeJobRecord(forged));
    const uploader = await openStorage(await surroundings.options("globex", "uploader"));
    await expect(uploader.openForUpload(job.identity.jobId)).rejects.toThrow(
      /the catalogue knows no job .* of tenant globex/,
    );
    await uploader.close();
  });

  it("is refused for a job that isn't completed, or isn't there", async () => {
    const job = await storage.createJob();
    await expect(storage.openForUpload(job.identity.jobId)).rejects.toThrow(JobStateError);
    await job.fail("no");
    await expect(storage.openForUpload(job.identity.jobId)).rejects.toThrow(
      /is failed: only a completed job is uploaded/,
    );
    await expect(storage.openForUpload(newJobId())).rejects.toThrow(JobNotFoundError);
    await expect(storage.openForUpload("..")).rejects.toThrow(InvalidIdentityError);
    await expect(storage.markUploaded(job.identity.jobId)).rejects.toThrow(JobStateError);
  });

  type Swap = (file: string, victim: string) => Promise<unknown>;
  const replaced =
    (swap: Swap): Swap =>
    async (file, victim) => {
      await fs.unlink(file);
      await swap(file, victim);
    };
  it.each<[string, Swap, new (message?: string) => Error]>([
    ["a symbolic link", replaced((file, victim) => fs.symlink(victim, file)), UnsafeFileError],
    ["a hard link", replaced((file, victim) => fs.link(victim, file)), UnsafeFileError],
    ["a FIFO", replaced(async (file) => execFileSync("mkfifo", [file])), UnsafeFileError],
    ["a directory", replaced((file) => fs.mkdir(file)), UnsafeFileError],
    [
      "someone else's file",
      async (file) =>
        process.getuid!() === 0 ? fs.chown(file, 12_345, 0) : Promise.reject(new Error("root")),
      UnsafeFileError,
    ],
    ["other bytes", (file) => fs.writeFile(file, "A VIDEO"), ContentMismatchError],
    ["more bytes", (file) => fs.appendFile(file, "!"), ContentMismatchError],
  ])("doesn't read %s in a file's place", async (what, swap, type) => {
    if (what === "someone else's file" && process.getuid!() !== 0)
      return expect(process.getuid!()).not.toBe(0);
    const job = await completedJob();
    const victim = path.join(surroundings.root, "secret-of-another-tenant");
    await fs.writeFile(victim, "secret!");
    await swap(path.join(job.directory, "source.mp4"), victim);
    const view = await storage.openForUpload(job.identity.jobId);
    await expect(view.open("source.mp4").then(contentOf)).rejects.toThrow(type);
    view.close();
  });

  it("doesn't follow a link in the directory's or the record's place", async () => {
    const job = await completedJob();
    const elsewhere = path.join(surroundings.root, "..", "elsewhere");
    await fs.rename(job.directory, elsewhere);
    await fs.symlink(elsewhere, job.directory);
    await expect(storage.openForUpload(job.identity.jobId)).rejects.toThrow(/ENOTDIR|ELOOP/);
    await fs.unlink(job.directory);
    await fs.rename(elsewhere, job.directory);
    const record = path.join(job.directory, "metadata.json");
    await fs.rename(record, `${elsewhere}.json`);
    await fs.symlink(`${elsewhere}.json`, record);
    await expect(storage.openForUpload(job.identity.jobId)).rejects.toThrow(UnsafeFileError);
  });

  it("gives way to a sweep that has taken the job", async () => {
    const job = await completedJob();
    const sweep = await fs.open(job.directory);
    expect(tryLockExclusive(sweep.fd)).toBe(true);
    const noObjects = openStorage({
      ...(await surroundings.options()),
      contract: { ...surroundings.contract, objectStorage: null },
    });
    await expect((await noObjects).openForUpload(job.identity.jobId)).rejects.toThrow(ObjectStorageError);
    await sweep.close();
    await (await noObjects).close();
  });
});

describe("staging", () => {
  it("is only for completed jobs, and only where there is object storage", async () => {
    const job = await storage.createJob();
    await expect(job.stage()).rejects.toThrow(/is active: only a completed job is staged/);
    const none = await openStorage({
      ...(await surroundings.options()),
      contract: { ...surroundings.contract, objectStorage: null },
    });
    const completed = await none.createJob();
    await completed.complete();
    await expect(completed.stage()).rejects.toThrow(/this stack has no object storage/);
    expect(await onDisk(completed)).toMatchObject({ state: "completed", revision: 2 });
    expect(jobRecord().staged).toBeUndefined();
    await none.close();
  });
});
