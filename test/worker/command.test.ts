import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { findJob } from "@video-storage/catalogue/sweeping";
import { parseJobId } from "@video-storage/contract/identity";
import { parseJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { bundleVideoJob, commandEnvironment, olderNode, start } from "../support/video-job.js";
import type { Ended } from "../support/video-job.js";
import { isLeased, workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let surroundings: WorkerSurroundings;
let bundle: string;
let command: ReturnType<typeof bundleVideoJob>;
let env: Record<string, string>;

beforeAll(async () => {
  bundle = await fs.mkdtemp(path.join(os.tmpdir(), "video-job-"));
  command = bundleVideoJob(bundle);
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
  await fs.rm(bundle, { recursive: true, force: true });
});
beforeEach(async () => {
  surroundings = await workerSurroundings(catalogue, { jobsPerSlot: 2 });
  env = await environmentOf("acme");
});
afterEach(() => surroundings.remove());

async function environmentOf(tenant: string): Promise<Record<string, string>> {
  const options = await surroundings.options(tenant);
  const environment = await commandEnvironment(options, path.dirname(surroundings.root));
  return { ...environment, ...command };
}
const run = (...args: string[]): Promise<Ended> => start(["video-job", ...args], env).ended;
const shell = (script: string, extra: Record<string, string> = {}): Promise<Ended> =>
  start(["sh", "-c", script], { ...env, ...extra }).ended;
const directoryOf = (jobId: string) => path.join(surroundings.root, jobId);
const recordOf = async (jobId: string): Promise<JobRecord> =>
  parseJobRecord(await fs.readFile(path.join(directoryOf(jobId), "metadata.json"), "utf8"));
const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function jobs(): Promise<string[]> {
  return (await fs.readdir(surroundings.root)).filter((name) => !name.startsWith("."));
}

describe.each([["the project's", () => process.execPath] as const, ["the machine's 20", olderNode] as const])(
  "with %s Node.js",
  (_, find) => {
    it("a shell worker goes from create to complete, and what it wrote is there", async ({ skip }) => {
      const node = find();
      if (node === undefined) skip("this machine has no Node.js 20");
      const PATH = `${path.dirname(node!)}:${env["PATH"]}`;
      const script = `set -e
        node --version
        export VIDEO_JOB_ID=$(video-job create --hold-for $$ --expected-bytes 7 --attribute title=film --attribute token=s3cret)
        printf 'a video' | video-job write source.mp4 --expected-bytes 7
        printf 'one\\ntwo Authorization: Bearer abc.def-123\\n' | video-job log run.log
        video-job log run.log three
        printf 'past the client' > ${surroundings.root}/$VIDEO_JOB_ID/audio.wav
        video-job complete
        echo $VIDEO_JOB_ID`;
      const { code, stdout, stderr } = await shell(script, { PATH });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const [version, sum, state, jobId] = stdout.trim().split("\n");
      expect(version).toMatch(node === process.execPath ? /^v24\./ : /^v20\./);
      expect(sum).toMatch(/^[0-9a-f]{64} {2}source\.mp4$/);
      expect(state).toBe("completed");
      const record = await recordOf(jobId!);
      expect(record).toMatchObject({
        ...{ state: "completed", expectedBytes: 7, attributes: { title: "film", token: "[redacted]" } },
        files: { "audio.wav": { bytes: 15 }, "source.mp4": { bytes: 7, sha256: sum!.slice(0, 64) } },
      });
      expect(await fs.readFile(path.join(directoryOf(jobId!), "logs/run.log"), "utf8")).toBe(
        "one\ntwo Authorization: [redacted]\nthree\n",
      );
      expect(await findJob(catalogue.as("cleanup"), parseJobId(jobId))).toMatchObject({
        ...{ state: "completed", bytes: 22 },
      });
      await vi.waitFor(async () => expect(await isLeased(directoryOf(jobId!))).toBe(false), 5_000);
    });
  },
);

describe("the lease", () => {
  it("lives and dies with the process that it is held for, and then its place is free", async () => {
    const worker = spawn("sleep", ["60"], { stdio: "ignore" });
    const jobId = (await run("create", "--hold-for", String(worker.pid))).stdout.trim();
    const other = (await run("create", "--hold-for", String(process.pid))).stdout.trim();
    expect(await isLeased(directoryOf(jobId))).toBe(true);
    const refused = await run("create", "--hold-for", String(process.pid), "--json");
    expect(refused.code).toBe(3);
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: { name: "AdmissionRefusedError", reason: "concurrency", exitCode: 3 },
    });
    worker.kill("SIGKILL");
    await vi.waitFor(async () => expect(await isLeased(directoryOf(jobId))).toBe(false), 5_000);
    expect(await recordOf(jobId)).toMatchObject({ state: "active", revision: 1 });
    const next = await run("create", "--hold-for", String(process.pid));
    expect(next.code).toBe(0);
    for (const job of [other, next.stdout.trim()])
      expect((await run("fail", "done", "--job", job)).code).toBe(0);
  });

  it("is taken up again by the same pod's processes, and by no other's", async () => {
    const worker = spawn("sleep", ["60"], { stdio: "ignore" });
    const jobId = (await run("create", "--hold-for", String(worker.pid))).stdout.trim();
    worker.kill("SIGKILL");
    await vi.waitFor(async () => expect(await isLeased(directoryOf(jobId))).toBe(false), 5_000);
    const stranger = { ...env, POD_NAME: "worker-1" };
    const refused = await start(["video-job", "complete", "--job", jobId], stranger).ended;
    expect(refused).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/was begun by pod video\/worker-0/),
    });
    expect((await run("complete", "--job", jobId)).code).toBe(0);
    expect(await recordOf(jobId)).toMatchObject({ state: "completed" });
  });

  it("is nobody's to have for another tenant", async () => {
    const jobId = (await run("create", "--hold-for", String(process.pid))).stdout.trim();
    const globex = await environmentOf("globex");
    for (const command of [
      ["complete"],
      ["write", "x"],
      ["fail", "no"],
      ["stage"],
      ["show"],
      ["hand-over"],
    ]) {
      const { code, stderr } = await start(["video-job", ...command, "--job", jobId], globex).ended;
      expect({ command, code }).toEqual({ command, code: 4 });
      expect(stderr).toMatch(/doesn't belong to tenant globex/);
    }
    const fetched = await start(["video-job", "fetch", "source.mp4", "--job", jobId], globex).ended;
    expect(fetched.code).toBe(4);
    expect((await run("fail", "done", "--job", jobId)).code).toBe(0);
  });
});

describe("run", () => {
  it("completes the job when its program ends with 0, and passes its streams on", async () => {
    const script = `printf video | video-job write source.mp4 && echo "dir $VIDEO_JOB_DIRECTORY"`;
    const { code, stdout, stderr } = await run("run", "--attribute", "a=b", "--", "sh", "-c", script);
    const [jobId] = await jobs();
    expect(code).toBe(0);
    expect(stdout).toContain(`dir ${directoryOf(jobId!)}`);
    expect(JSON.parse(stderr)).toEqual({ jobId, state: "completed" });
    expect(await recordOf(jobId!)).toMatchObject({
      state: "completed",
      files: { "source.mp4": { bytes: 5 } },
    });
  });

  it("fails it when that ends otherwise or can't be started, and exits as it did", async () => {
    expect((await run("run", "--", "sh", "-c", "exit 7")).code).toBe(7);
    expect((await run("run", "--", "sh", "-c", "kill -KILL $$")).code).toBe(137);
    expect((await run("run", "--", "no-such-program")).code).toBe(1);
    const reasons = await Promise.all(
      (await jobs()).map(async (job) => (await recordOf(job)).failure?.reason),
    );
    expect(reasons.sort()).toEqual([
      "no-such-program couldn't be started: spawn no-such-program ENOENT",
      "sh ended with 137",
      "sh ended with 7",
    ]);
  });

  it("leaves a job that its program ended as it is", async () => {
    expect((await run("run", "--", "sh", "-c", "video-job fail 'no audio track'")).code).toBe(0);
    const [jobId] = await jobs();
    expect(await recordOf(jobId!)).toMatchObject({ state: "failed", failure: { reason: "no audio track" } });
  });

  it("when killed, leaves an active job without a lease and nothing half", async () => {
    const { child, ended } = start(["video-job", "run", "--", "sh", "-c", "echo ready; sleep 60"], env);
    await once(child.stdout!, "data");
    const [jobId] = await jobs();
    expect(await isLeased(directoryOf(jobId!))).toBe(true);
    // The launcher became Node.js, so this is the process that holds the lease; its program is our own to end.
    const children = await fs.readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
    child.kill("SIGKILL");
    await vi.waitFor(async () => expect(await isLeased(directoryOf(jobId!))).toBe(false), 5_000);
    for (const pid of children.trim().split(" ").map(Number)) if (isThere(pid)) process.kill(pid, "SIGKILL");
    const grandchildren = ended.catch(() => undefined);
    child.stdout!.destroy();
    child.stderr!.destroy();
    await grandchildren;
    expect(await recordOf(jobId!)).toMatchObject({ state: "active" });
  });
});

describe("mistakes", () => {
  it.each([
    [["create"], 2, /--hold-for is missing: .*os\.getpid\(\)/],
    [["create", "--hold-for", "none"], 2, /--hold-for none is not a whole number/],
    [
      ["create", "--hold-for", "1", "--expected-bytes", "1125899906842624"],
      3,
      /give the job to a worker with more room/,
    ],
    [["write"], 2, /write takes 1 or more arguments, not 0/],
    [["complete"], 2, /which job\? Pass --job, or set VIDEO_JOB_ID/],
    [["complete", "--job", "../up"], 2, /is not valid: use a lower-case UUID/],
    [["complete", "--job", "019a3c5e-0000-7000-8000-000000000000"], 4, /is not on this volume/],
    [["complete", "--force"], 2, /Unknown option '--force'/],
    [["run"], 2, /run needs a program/],
    [["explode"], 2, /there is no command explode/],
  ] as const)("%j ends with %i and says what to do", async (args, code, message) => {
    const result = await run(...args);
    expect(result).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(message) });
    expect(await jobs()).toEqual([]);
  });

  it("writes nothing that is cut short, and refuses what the job's state doesn't allow", async () => {
    const jobId = (await run("create", "--hold-for", String(process.pid))).stdout.trim();
    const short = await start(
      ["video-job", "write", "s.mp4", "--job", jobId, "--expected-bytes", "9"],
      env,
      "short",
    ).ended;
    expect(short).toMatchObject({ code: 1, stderr: expect.stringMatching(/only 5 of 9 expected bytes/) });
    expect((await fs.readdir(directoryOf(jobId))).sort()).toEqual(["logs", "metadata.json"]);
    expect((await run("complete", "--job", jobId)).code).toBe(0);
    for (const args of [["complete"], ["fail", "late"], ["write", "late.mp4"], ["log", "late.log", "x"]]) {
      expect((await run(...args, "--job", jobId)).code).toBe(4);
    }
    expect((await run("stage", "--job", jobId)).code).toBe(5);
  });

  it("has help for every command, which names its options", async () => {
    const overall = await run("--help");
    expect(overall.code).toBe(0);
    const named = [...overall.stdout.matchAll(/^ {2}video-job ([a-z-]+) /gm)].map((match) => match[1]!);
    expect([...new Set(named)].sort()).toEqual([
      "complete",
      "create",
      "fail",
      "fetch",
      "hand-over",
      "log",
      "resume",
      "run",
      "show",
      "stage",
      "uploaded",
      "write",
    ]);
    for (const command of named) {
      const help = await run(command, "--help");
      expect(help.code).toBe(0);
      expect(help.stdout).toMatch(new RegExp(`^video-job ${command}`));
      expect(help.stdout).toContain("--json");
    }
  }, 60_000);
});

describe("a completed job", () => {
  it("is fetched with its checksums looked at, shown, and marked as uploaded by the uploader's login", async () => {
    await run(
      "run",
      "--",
      "sh",
      "-c",
      "printf video | video-job write source.mp4; video-job log run.log hello",
    );
    const [jobId] = await jobs();
    const uploader = {
      ...(await commandEnvironment(
        await surroundings.options("acme", "uploader"),
        path.dirname(surroundings.root),
      )),
      PATH: env["PATH"]!,
      VIDEO_JOB_ID: jobId!,
    };
    const upload = (...args: string[]) => start(["video-job", ...args], uploader).ended;
    expect(await upload("fetch", "source.mp4")).toMatchObject({ code: 0, stdout: "video" });
    const to = path.join(surroundings.root, "..", "fetched");
    expect((await upload("fetch", "--to", to)).code).toBe(0);
    expect(await fs.readFile(path.join(to, "source.mp4"), "utf8")).toBe("video");
    expect((await run("uploaded", "--job", jobId!)).code).toBe(4);
    expect((await upload("uploaded")).code).toBe(0);
    const shown = JSON.parse((await upload("show", "--json")).stdout) as Record<string, object>;
    expect(shown).toMatchObject({
      record: { state: "completed" },
      catalogue: { state: "uploaded", location: "local" },
    });
    await fs.writeFile(path.join(directoryOf(jobId!), "source.mp4"), "VIDEO");
    expect((await upload("fetch", "source.mp4")).code).toBe(1);
  });
});
