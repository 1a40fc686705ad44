import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { recordScan, scansOf } from "@video-storage/catalogue/scans";
import { findJob } from "@video-storage/catalogue/sweeping";
import { parseJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix } from "@video-storage/contract/layout";
import type { ScanSettings } from "@video-storage/contract/schemas";
import {
  InfectedFileError,
  JobStateError,
  ScanUndecidedError,
  ScannerUnavailableError,
  openStorage,
} from "@video-storage/worker";
import type { Job, Storage } from "@video-storage/worker";
import { readReply } from "@video-storage/worker/antivirus";
import { EICAR, OWN_PATTERN, startClamd } from "../support/clamd.js";
import type { Clamd } from "../support/clamd.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { isLeased, workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

// Debian's clamd, a real S3 server and a real Postgres.
const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const credentials = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
const MIB = 2 ** 20;
const objectStorage = {
  ...{ endpoint, region: "us-east-1", bucket: `test-${randomUUID()}`, forcePathStyle: true },
  ...{ credentials: "secret" as const, caFile: null },
};

let s3: S3Client;
let clamd: Clamd;
let postgres: TestPostgres;
let catalogue: TestCatalogue;
let surroundings: WorkerSurroundings;
const open: Storage[] = [];

beforeAll(async () => {
  s3 = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { ...credentials } });
  await s3.send(new CreateBucketCommand({ Bucket: objectStorage.bucket }));
  clamd = await startClamd();
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme"]);
}, 300_000);
afterAll(async () => {
  s3?.destroy();
  await clamd?.stop();
  await catalogue?.close();
  await postgres?.stop();
});
beforeEach(async () => {
  surroundings = await workerSurroundings(catalogue, { objectStorage });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((storage) => storage.close()));
  await surroundings.remove();
});

async function opened(
  scan: ScanSettings | null = clamd.settings,
  login = "worker_acme",
  root?: string,
): Promise<Storage> {
  const options = await surroundings.options("acme", login);
  await fs.mkdir(options.objectStorageCredentials!, { recursive: true });
  for (const [name, value] of Object.entries(credentials)) {
    await fs.writeFile(path.join(options.objectStorageCredentials!, name), value);
  }
  const storage = await openStorage({
    ...options,
    contract: { ...surroundings.contract, scan },
    ...(root === undefined ? {} : { root }),
  });
  open.push(storage);
  return storage;
}
async function completed(storage: Storage, content: string | Buffer): Promise<Job> {
  const job = await storage.createJob();
  await job.writeFile("source.mp4", content);
  await job.complete();
  return job;
}
const recordOf = async (job: Job): Promise<JobRecord> =>
  parseJobRecord(await fs.readFile(path.join(job.directory, "metadata.json"), "utf8"));
const stateOf = async (job: Job) => (await findJob(catalogue.as("cleanup"), job.identity.jobId))?.state;
const verdictsOf = async (job: Job) =>
  (await scansOf(catalogue.as("auditor"), job.identity)).map(
    ({ file, verdict, detail, scannedBy }) => `${file} ${verdict} ${detail ?? "-"} by ${scannedBy}`,
  );
const objectsOf = async (job: Job): Promise<number> => {
  const Prefix = jobPrefix(job.identity.tenantId, job.identity.jobId);
  return (await s3.send(new ListObjectsV2Command({ Bucket: objectStorage.bucket, Prefix }))).KeyCount ?? 0;
};

it("clamd runs as an unprivileged user", async () => {
  const status = await fs.readFile(`/proc/${clamd.pid}/status`, "utf8");
  expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0");
});

describe("staging", () => {
  it("lets a clean source go, with the verdict in record and catalogue", async () => {
    const job = await completed(
      await opened(),
      Buffer.concat([Buffer.alloc(3 * MIB, "a"), Buffer.from("a video")]),
    );
    await job.stage();
    expect((await recordOf(job)).scans).toMatchObject({ "source.mp4": { verdict: "clean" } });
    expect(await verdictsOf(job)).toEqual(["source.mp4 clean - by worker_acme"]);
    expect(await objectsOf(job)).toBe(2);
  });

  it.each([
    ["EICAR", EICAR, "Test.Eicar.UNOFFICIAL"],
    [
      "a pattern of the tests' own, at the end of megabytes",
      Buffer.concat([Buffer.alloc(5 * MIB), Buffer.from(OWN_PATTERN)]),
      "Test.Own.UNOFFICIAL",
    ],
  ])("keeps %s: quarantined, nothing of it in the bucket, reported", async (_, content, signature) => {
    const storage = await opened();
    const job = await completed(storage, content);
    const error = await job.stage().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InfectedFileError);
    expect(error).toMatchObject({ file: "source.mp4", signature });
    expect(await recordOf(job)).toMatchObject({
      ...{ state: "quarantined", revision: 3 },
      failure: { reason: expect.stringContaining(signature) },
      scans: { "source.mp4": { verdict: "infected", detail: signature } },
    });
    expect(await stateOf(job)).toBe("quarantined");
    expect(await verdictsOf(job)).toEqual([`source.mp4 infected ${signature} by worker_acme`]);
    expect(await objectsOf(job)).toBe(0);
    expect((await fs.stat(path.join(job.directory, "source.mp4"))).mode & 0o777).toBe(0);
    await expect(job.stage()).rejects.toThrow(JobStateError);
    await expect(storage.openForUpload(job.identity.jobId)).rejects.toThrow(/is quarantined/);
    await expect(storage.markUploaded(job.identity.jobId)).rejects.toThrow(JobStateError);
  });

  it("of what is active is gated too: a checkpoint and a hand-over", async () => {
    for (const leave of [(job: Job) => job.checkpoint(), (job: Job) => job.handOver()]) {
      const job = await (await opened()).createJob();
      await job.writeFile("poster.jpg", "harmless");
      await job.writeFile("source.mp4", OWN_PATTERN);
      await expect(leave(job)).rejects.toThrow(InfectedFileError);
      expect(await recordOf(job)).toMatchObject({ state: "quarantined" });
      expect(await isLeased(job.directory)).toBe(false);
      const Prefix = jobPrefix(job.identity.tenantId, job.identity.jobId);
      const listed = await s3.send(new ListObjectsV2Command({ Bucket: objectStorage.bucket, Prefix }));
      expect((listed.Contents ?? []).map(({ Key }) => path.basename(Key!))).not.toContain("source.mp4");
    }
  });
});

describe("what goes to object storage because the volume has no room", () => {
  it("is scanned on the way, without a second copy, and isn't there before it is found clean", async ({
    skip,
  }) => {
    const { execFileSync } = await import("node:child_process");
    const volume = path.join(surroundings.root, "..", "small");
    await fs.mkdir(volume);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", volume], { stdio: "ignore" });
    } catch {
      skip("needs the privilege to mount a small volume");
    }
    try {
      const storage = await opened(clamd.settings, "worker_acme", volume);
      async function* large(end: string): AsyncGenerator<Buffer> {
        for (let index = 0; index < 40; index += 1) yield Buffer.alloc(MIB, "v");
        yield Buffer.from(end);
      }
      const clean = await storage.createJob();
      expect(await clean.writeStream("source.mp4", large("end"))).toMatchObject({ location: "object" });
      expect(await verdictsOf(clean)).toEqual(["source.mp4 clean - by worker_acme"]);
      await clean.fail("enough");
      const infected = await storage.createJob();
      await expect(infected.writeStream("source.mp4", large(OWN_PATTERN))).rejects.toThrow(InfectedFileError);
      expect(await objectsOf(infected)).toBe(0);
      const uploads = await s3.send(new ListMultipartUploadsCommand({ Bucket: objectStorage.bucket }));
      expect(uploads.Uploads ?? []).toEqual([]);
      expect(await recordOf(infected)).toMatchObject({ state: "quarantined" });
    } finally {
      await Promise.all(open.splice(0).map((storage) => storage.close()));
      execFileSync("umount", [volume]);
    }
  }, 60_000);
});

describe("uploading", () => {
  it("scans by the uploader's own login, once for one content, and quarantines in the catalogue", async () => {
    const worker = await opened(null);
    const uploader = await opened(clamd.settings, "uploader");
    const clean = await completed(worker, "a video");
    for (let times = 0; times < 2; times += 1) (await uploader.openForUpload(clean.identity.jobId)).close();
    expect(await verdictsOf(clean)).toEqual(["source.mp4 clean - by uploader"]);

    const infected = await completed(worker, EICAR);
    // A tenant's word for its own files counts for nothing.
    const { sha256 } = (await recordOf(infected)).files["source.mp4"]!;
    const forged = { file: "source.mp4", sha256, verdict: "clean", detail: null } as const;
    await recordScan(catalogue.as("worker_acme"), infected.identity, forged);
    await expect(uploader.openForUpload(infected.identity.jobId)).rejects.toThrow(InfectedFileError);
    expect(await stateOf(infected)).toBe("quarantined");
    expect(await verdictsOf(infected)).toEqual([
      "source.mp4 clean - by worker_acme",
      "source.mp4 infected Test.Eicar.UNOFFICIAL by uploader",
    ]);
    await expect(uploader.markUploaded(infected.identity.jobId)).rejects.toThrow(JobStateError);
    await expect(uploader.openForUpload(infected.identity.jobId)).rejects.toThrow(/is quarantined/);
  });
});

describe("a file that can't be decided about", () => {
  const small = (whenUndecided: "refuse" | "allow"): ScanSettings => ({
    ...clamd.settings,
    maxBytes: 100,
    whenUndecided,
  });

  it("that is larger than the limit stays, or goes, as the stack says, and both are recorded", async () => {
    const refused = await completed(await opened(small("refuse")), Buffer.alloc(101));
    await expect(refused.stage()).rejects.toThrow(ScanUndecidedError);
    expect(await recordOf(refused)).toMatchObject({
      state: "completed",
      scans: { "source.mp4": { verdict: "undecided" } },
    });
    expect(await objectsOf(refused)).toBe(0);
    const allowed = await completed(await opened(small("allow")), Buffer.alloc(101));
    await allowed.stage();
    expect(await objectsOf(allowed)).toBe(2);
    for (const job of [refused, allowed]) {
      expect(await verdictsOf(job)).toEqual([
        "source.mp4 undecided it has 101 bytes, and 100 are scanned at most by worker_acme",
      ]);
    }
  });

  it("because clamd takes too long is undecided, and one that clamd's own limit ends, too", async () => {
    clamd.pause();
    try {
      const slow = await completed(await opened({ ...clamd.settings, timeoutSeconds: 1 }), "a video");
      await expect(slow.stage()).rejects.toThrow(/no verdict within 1 s/);
      expect(await objectsOf(slow)).toBe(0);
    } finally {
      clamd.resume();
    }
    const beyond = await completed(
      await opened({ ...clamd.settings, maxBytes: 200 * MIB }),
      Buffer.alloc(65 * MIB),
    );
    await expect(beyond.stage()).rejects.toThrow(ScanUndecidedError);
    expect(await objectsOf(beyond)).toBe(0);
  }, 60_000);

  it("doesn't become harmless by being allowed: what is found infected never goes", async () => {
    const job = await completed(await opened({ ...clamd.settings, whenUndecided: "allow" }), EICAR);
    await expect(job.stage()).rejects.toThrow(InfectedFileError);
  });
});

describe("clamd away", () => {
  it.each(["refuse", "allow"] as const)(
    "keeps everything where it is, also with whenUndecided %s, until it is back",
    async (whenUndecided) => {
      const away = { ...clamd.settings, port: 1, whenUndecided };
      const job = await completed(await opened(away), "a video");
      await expect(job.stage()).rejects.toThrow(ScannerUnavailableError);
      await expect((await opened(away, "uploader")).openForUpload(job.identity.jobId)).rejects.toThrow(
        ScannerUnavailableError,
      );
      expect(await recordOf(job)).toMatchObject({ state: "completed" });
      expect(await verdictsOf(job)).toEqual([]);
      expect(await objectsOf(job)).toBe(0);
      const back = await (await opened()).openJob(job.identity.jobId);
      await back.stage();
      expect(await objectsOf(job)).toBe(2);
    },
  );

  it("in the middle of a file counts as away", async () => {
    const hangingUp = net.createServer(
      (socket) => void socket.once("data", () => socket.destroy()).on("error", () => undefined),
    );
    await new Promise<void>((resolve) => hangingUp.listen(0, "127.0.0.1", resolve));
    const { port } = hangingUp.address() as net.AddressInfo;
    try {
      const settings = { ...clamd.settings, port, whenUndecided: "allow" as const };
      const job = await completed(await opened(settings), Buffer.alloc(4 * MIB));
      await expect(job.stage()).rejects.toThrow(ScannerUnavailableError);
      expect(await objectsOf(job)).toBe(0);
    } finally {
      hangingUp.close();
    }
  });
});

it.each([
  ["stream: OK", { verdict: "clean" }],
  ["stream: Win.Test.EICAR_HDB-1 FOUND", { verdict: "infected", detail: "Win.Test.EICAR_HDB-1" }],
  [
    "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
    { verdict: "undecided", detail: "Heuristics.Limits.Exceeded.MaxFileSize" },
  ],
  [
    "INSTREAM size limit exceeded. ERROR",
    { verdict: "undecided", detail: "INSTREAM size limit exceeded. ERROR" },
  ],
  ["", undefined],
  ["stream: OK and more", undefined],
])("clamd's %j means %j", (text, verdict) => {
  expect(readReply(text)).toEqual(verdict);
});
