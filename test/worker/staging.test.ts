import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { objectsOf } from "@video-storage/catalogue/jobs";
import { findJob, recordIntent, recordOutcome } from "@video-storage/catalogue/sweeping";
import { parseJobRecord } from "@video-storage/contract/job-record";
import type { FileRecord } from "@video-storage/contract/job-record";
import { jobPrefix } from "@video-storage/contract/layout";
import {
  ContentMismatchError,
  ObjectStorageError,
  UnsafeFileError,
  openStorage,
} from "@video-storage/worker";
import type { Job, Storage } from "@video-storage/worker";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { sha256 } from "../support/sha256.js";
import { workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";

// A real S3 server on loopback, with these credentials; without one only the last test here runs.
const endpoint = process.env["TEST_S3_ENDPOINT"];
const credentials = {
  accessKeyId: process.env["TEST_S3_ACCESS_KEY_ID"] ?? "minioadmin",
  secretAccessKey: process.env["TEST_S3_SECRET_ACCESS_KEY"] ?? "minioadmin",
};
const PART_BYTES = 5 * 1024 * 1024;

describe.skipIf(endpoint === undefined)("on a real S3 server", () => {
  const settings = {
    endpoint: endpoint ?? null,
    region: "us-east-1",
    bucket: `test-${randomUUID()}`,
    forcePathStyle: true,
    credentials: "secret" as const,
    caFile: null,
  };
  let s3: S3Client;
  let objectStorage: ObjectStorage;
  let postgres: TestPostgres;
  let catalogue: TestCatalogue;
  let surroundings: WorkerSurroundings;
  let storage: Storage;

  beforeAll(async () => {
    s3 = new S3Client({ endpoint: endpoint!, region: settings.region, forcePathStyle: true, credentials });
    await s3.send(new CreateBucketCommand({ Bucket: settings.bucket }));
    objectStorage = connectObjectStorage(settings, credentials, { partBytes: PART_BYTES, wholeFileBytes: 0 });
    postgres = await startPostgres();
    catalogue = await postgres.createCatalogue(["acme"]);
  });
  afterAll(async () => {
    objectStorage?.close();
    s3?.destroy();
    await catalogue?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    surroundings = await workerSurroundings(catalogue, { objectStorage: settings });
    const options = await surroundings.options();
    await fs.mkdir(options.objectStorageCredentials!);
    for (const [name, value] of Object.entries(credentials)) {
      await fs.writeFile(path.join(options.objectStorageCredentials!, name), `${value}\n`);
    }
    storage = await openStorage(options);
  });
  afterEach(async () => {
    await storage.close();
    await surroundings.remove();
  });

  async function put(
    key: string,
    content: Buffer,
    expected?: FileRecord,
  ): ReturnType<ObjectStorage["putFile"]> {
    const file = path.join(surroundings.root, randomUUID());
    await fs.writeFile(file, content);
    const handle = await fs.open(file);
    try {
      return await objectStorage.putFile(
        key,
        handle,
        expected ?? { bytes: content.length, sha256: sha256(content) },
      );
    } finally {
      await handle.close();
    }
  }
  const get = async (key: string): Promise<Buffer> => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: settings.bucket, Key: key }));
    return Buffer.from(await Body!.transformToByteArray());
  };

  it("is told of once with what it stores, however often a file is staged", async () => {
    const told: number[] = [];
    storage.observe({ staged: (bytes) => told.push(bytes) });
    const job = await storage.createJob();
    await job.writeFile("source.mp4", Buffer.alloc(1000));
    await job.checkpoint();
    expect(told).toEqual([1000]);
    await job.checkpoint();
    await job.complete();
    await job.stage();
    // The record and nothing of the file again.
    const { size } = await fs.stat(path.join(job.directory, "metadata.json"));
    expect(told).toHaveLength(2);
    expect(Math.abs(told[1]! - size)).toBeLessThan(300);
    await job.stage();
    expect(told).toHaveLength(2);
  });

  it.each([
    ["nothing", 0],
    ["a little", 5],
    ["exactly one part", PART_BYTES],
    ["one byte more", PART_BYTES + 1],
    ["three parts", 3 * PART_BYTES],
  ])("a file of %s arrives as it was, with its checksum, and may come again", async (what, bytes) => {
    const key = `files/${what}`;
    const content = Buffer.alloc(bytes, "0123456789abcdefX");
    const stored = { bucket: settings.bucket, objectKey: key, bytes, sha256: sha256(content) };
    expect(await put(key, content)).toEqual(stored);
    expect(await put(key, content)).toEqual(stored);
    expect((await get(key)).equals(content)).toBe(true);
    const head = await s3.send(
      new HeadObjectCommand({ Bucket: settings.bucket, Key: key, ChecksumMode: "ENABLED" }),
    );
    expect(head.Metadata).toEqual({ sha256: sha256(content) });
    expect(head.ChecksumSHA256).toMatch(bytes > PART_BYTES ? /=-\d+$/ : /=$/);
  });

  it.each([
    ["small", 10],
    ["large", 2 * PART_BYTES],
  ])("what is there with other content is left: a %s file", async (what, bytes) => {
    const key = `others/${what}`;
    await put(key, Buffer.alloc(bytes, "a"));
    await expect(put(key, Buffer.alloc(bytes, "b"))).rejects.toThrow(ContentMismatchError);
    expect((await get(key)).equals(Buffer.alloc(bytes, "a"))).toBe(true);
    await s3.send(
      new PutObjectCommand({
        Bucket: settings.bucket,
        Key: `${key}-unchecked`,
        Body: Buffer.alloc(bytes, "a"),
      }),
    );
    await expect(put(`${key}-unchecked`, Buffer.alloc(bytes, "b"))).rejects.toThrow(
      /is there with other content/,
    );
  });

  it("a file that isn't what was recorded doesn't leave, and nothing unfinished stays", async () => {
    const content = Buffer.alloc(2 * PART_BYTES, "a");
    await expect(put("wrong/sum", content, { bytes: content.length, sha256: sha256("b") })).rejects.toThrow(
      ContentMismatchError,
    );
    await expect(
      put("wrong/size", content, { bytes: content.length + 1, sha256: sha256(content) }),
    ).rejects.toThrow(ContentMismatchError);
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: settings.bucket, Prefix: "wrong/" }));
    expect(listed.KeyCount).toBe(0);
    const uploads = await s3.send(new ListMultipartUploadsCommand({ Bucket: settings.bucket }));
    expect(uploads.Uploads ?? []).toEqual([]);
  });

  async function completedJob(): Promise<Job> {
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "a video");
    await job.appendLog("run.log", "done");
    await job.complete();
    return job;
  }

  it("a job goes below its prefix, with logs and record, and both record and catalogue know", async () => {
    const job = await completedJob();
    const prefix = jobPrefix(job.identity.tenantId, job.identity.jobId);
    await job.stage();
    await job.stage();
    expect((await get(`${prefix}source.mp4`)).toString()).toBe("a video");
    expect((await get(`${prefix}logs/run.log`)).toString()).toBe("done\n");
    expect(parseJobRecord((await get(`${prefix}metadata.json`)).toString())).toMatchObject({
      state: "completed",
      revision: 2,
    });
    const record = parseJobRecord(await fs.readFile(path.join(job.directory, "metadata.json"), "utf8"));
    expect(record).toMatchObject({
      state: "completed",
      revision: 3,
      staged: { bucket: settings.bucket, prefix },
    });
    expect(
      (await objectsOf(catalogue.as("cleanup"), job.identity)).map((object) => object.objectKey),
    ).toEqual([...[`${prefix}logs/run.log`, `${prefix}metadata.json`, `${prefix}source.mp4`]]);
    expect(await findJob(catalogue.as("cleanup"), job.identity.jobId)).toMatchObject({
      revision: 3,
      location: "local",
    });
  });

  it("the upload reads it from there when the volume has it no more, and can't tell", async () => {
    const job = await completedJob();
    await job.stage();
    await fs.rm(job.directory, { recursive: true });
    const { tenantId, jobId } = job.identity;
    const tier = {
      volume: "node-0-slot-0",
      tenantId,
      jobId,
      action: "tier",
      reason: "cold",
      actor: "test",
    } as const;
    await recordIntent(catalogue.as("cleanup"), tier);
    await recordOutcome(catalogue.as("cleanup"), { ...tier, bytes: 7, files: 3 });
    const view = await storage.openForUpload(jobId);
    expect(view.location).toBe("object");
    expect(view.files["source.mp4"]).toEqual({ bytes: 7, sha256: sha256("a video") });
    const content = await (await view.open("source.mp4")).toArray();
    expect(Buffer.concat(content as Buffer[]).toString()).toBe("a video");
    // Someone with the bucket's keys changed it.
    const Key = `${jobPrefix(tenantId, jobId)}source.mp4`;
    await s3.send(new PutObjectCommand({ Bucket: settings.bucket, Key, Body: "A VIDEO" }));
    await expect((await view.open("source.mp4")).toArray()).rejects.toThrow(ContentMismatchError);
    view.close();
  });

  it("a link in a file's place isn't followed into the bucket", async () => {
    const job = await completedJob();
    await fs.unlink(path.join(job.directory, "source.mp4"));
    await fs.symlink("/etc/hostname", path.join(job.directory, "source.mp4"));
    await expect(job.stage()).rejects.toThrow(UnsafeFileError);
    expect(
      parseJobRecord(await fs.readFile(path.join(job.directory, "metadata.json"), "utf8")).staged,
    ).toBeUndefined();
  });

  it("after an attempt that was interrupted the rest follows", async () => {
    const job = await completedJob();
    const Key = `${jobPrefix(job.identity.tenantId, job.identity.jobId)}source.mp4`;
    await put(Key, Buffer.from("a video"));
    await job.stage();
    expect(await objectsOf(catalogue.as("worker_acme"), job.identity)).toHaveLength(3);
  });
});

it("a server that is away is an error that names the object and no credential", async () => {
  const settings = {
    endpoint: "http://127.0.0.1:1",
    region: "us-east-1",
    bucket: "video",
    forcePathStyle: true,
  };
  const objectStorage = connectObjectStorage(settings, {
    accessKeyId: "AKIDEXAMPLE",
    secretAccessKey: "hush-hush",
  });
  const error = await objectStorage.open("a/key").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ObjectStorageError);
  expect(String(error)).toMatch(/couldn't read object a\/key in bucket video: .*ECONNREFUSED/);
  expect(String(error)).not.toMatch(/hush|AKID/);
  objectStorage.close();
});
