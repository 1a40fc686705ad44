import { randomBytes, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { objectsOf } from "@video-storage/catalogue/jobs";
import { parseTenantId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { jobPrefix } from "@video-storage/contract/layout";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { openUploadView } from "@video-storage/worker/upload";
import { RETENTION, startWorld } from "../cleanup-job/world.js";
import type { Volume, World } from "../cleanup-job/world.js";

/** The sweep's program, Postgres and an S3 server, all real. */

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const credentials = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
const tenantId = parseTenantId("acme");

let world: World;
let s3: S3Client;
let bucket: string;
let volume: Volume;
let store: ObjectStorage;

beforeAll(async () => {
  world = await startWorld();
  s3 = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { ...credentials } });
});
afterAll(async () => {
  s3?.destroy();
  await world?.stop();
});
beforeEach(async () => {
  bucket = `tier-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  volume = await world.newVolume();
  const secrets = path.join(path.dirname(volume.root), "object-storage");
  for (const [name, value] of Object.entries(credentials)) fs.writeFileSync(`${secrets}/${name}`, value);
  configure({});
  store = connectObjectStorage(settings(), { ...credentials });
  return () => store.close();
});

function settings() {
  return { endpoint, region: "us-east-1", bucket, forcePathStyle: true };
}
function configure(changes: Record<string, unknown>): void {
  volume.configure({ objectStorage: settings(), tiering: { packBelowBytes: 131_072 }, ...changes });
}
async function keys(): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  return Contents.map(({ Key }) => Key!).sort();
}
async function get(Key: string): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return Buffer.from(await Body!.transformToByteArray());
}
/** As the upload process reads it, which isn't told where anything lies. */
async function readAll(jobId: JobId): Promise<Record<string, string>> {
  const source = { root: volume.root, catalogue: volume.catalogue.as("uploader") };
  const view = await openUploadView(
    { ...source, objectStorage: async () => store } as Parameters<typeof openUploadView>[0],
    { tenantId, jobId },
  );
  expect(view.location).toBe("object");
  const read: Record<string, string> = {};
  for (const name of Object.keys(view.files)) {
    const chunks: Buffer[] = [];
    for await (const chunk of await view.open(name)) chunks.push(chunk as Buffer);
    read[name] = Buffer.concat(chunks).toString("utf8");
  }
  view.close();
  return read;
}

const FILES = {
  "source.mp4": randomBytes(3 * 1024 * 1024).toString("base64"),
  "thumbnail.jpg": "a picture",
  "empty.txt": "",
  [`${"n".repeat(120)}.json`]: "{}",
  "logs/extraction.log": "done\n",
};
const due = { state: "completed", age: 1000, files: FILES } as const;

describe("a completed job that is due", () => {
  it("goes to object storage with its small files in one archive, and is read as before", async () => {
    const job = await volume.addJob(due);
    const metadata = fs.readFileSync(`${volume.root}/${job}/metadata.json`, "utf8");
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    expect(events).toContainEqual(expect.objectContaining({ event: "tiered", job }));
    const prefix = jobPrefix(tenantId, job);
    const names = (await keys()).map((key) => key.slice(prefix.length));
    expect(names).toEqual([
      expect.stringMatching(/^\.pack-[0-9a-f]{32}\.tar$/),
      "metadata.json",
      "source.mp4",
    ]);
    expect(await readAll(job)).toEqual({ ...FILES, "metadata.json": metadata });
    expect(volume.jobs()).toEqual([]);
  });

  it("goes there file by file where packing is off", async () => {
    configure({ tiering: { packBelowBytes: 0 } });
    const job = await volume.addJob(due);
    await volume.run("sweep");
    expect(await keys()).toHaveLength(Object.keys(FILES).length + 1);
    expect(await readAll(job)).toMatchObject(FILES);
  });

  it("with thousands of small files goes in archives of some megabytes each", async () => {
    const frames = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`frame-${i}.jpg`, randomBytes(48 * 1024).toString("base64")]),
    );
    const job = await volume.addJob({ ...due, files: { ...frames, "logs/run.log": "done\n" } });
    const { code } = await volume.run("sweep");
    expect(code).toBe(0);
    const prefix = jobPrefix(tenantId, job);
    const names = (await keys()).map((key) => key.slice(prefix.length));
    expect(names.filter((name) => name.startsWith(".pack-"))).toHaveLength(3);
    expect(names).toHaveLength(4);
    expect(await readAll(job)).toMatchObject(frames);
  });

  it("is not overwritten by a retry, nor lost when what is there is another's", async () => {
    const job = await volume.addJob(due);
    const Key = `${jobPrefix(tenantId, job)}source.mp4`;
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "somebody else's" }));
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(1);
    expect(events).toContainEqual(
      expect.objectContaining({
        event: "failed",
        job,
        reason: expect.stringContaining("is there with other content") as string,
      }),
    );
    expect((await get(Key)).toString()).toBe("somebody else's");
    expect(volume.jobs()).toEqual([job]);
    expect(await volume.audit()).toEqual([]);
    // Once it is gone the next sweep goes on from what the first one wrote.
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    expect((await volume.run("sweep")).code).toBe(0);
    expect(await readAll(job)).toMatchObject(FILES);
  });

  it("that was changed after its completion stays, and nothing of the change becomes visible", async () => {
    const large = randomBytes(15 * 1024 * 1024).toString("base64");
    const job = await volume.addJob({ ...due, files: { "source.mp4": large, "logs/run.log": "done\n" } });
    const file = fs.openSync(`${volume.root}/${job}/source.mp4`, "r+");
    fs.writeSync(file, "tampered", 17 * 1024 * 1024);
    fs.closeSync(file);
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(1);
    expect(events).toContainEqual(
      expect.objectContaining({
        event: "failed",
        reason: "source.mp4 is not what its record says: it was changed after completion",
      }),
    );
    expect(volume.jobs()).toEqual([job]);
    expect((await keys()).filter((key) => key.endsWith("source.mp4"))).toEqual([]);
    const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads).toEqual([]);
  });

  it("is copied whole although its worker staged a part of it, in parts of another size", async () => {
    const large = randomBytes(18 * 1024 * 1024).toString("base64");
    const job = await volume.addJob({
      ...due,
      files: { "source.mp4": large, "a.txt": "a", "logs/run.log": "done\n" },
    });
    const before = connectObjectStorage(settings(), { ...credentials }, { partBytes: 5 * 1024 * 1024 });
    const handle = await fs.promises.open(`${volume.root}/${job}/source.mp4`);
    const { files } = JSON.parse(fs.readFileSync(`${volume.root}/${job}/metadata.json`, "utf8")) as {
      files: Record<string, { bytes: number; sha256: string }>;
    };
    await before.putFile(`${jobPrefix(tenantId, job)}source.mp4`, handle, files["source.mp4"]!);
    await handle.close();
    before.close();
    const { code } = await volume.run("sweep");
    expect(code).toBe(0);
    const read = await readAll(job);
    expect(read["a.txt"]).toBe("a");
    expect(Object.keys(read).sort()).toEqual(["a.txt", "logs/run.log", "metadata.json", "source.mp4"]);
  });

  describe("with a file that went to object storage at once, and whose row its worker could not write", () => {
    const video = randomBytes(100_000).toString("base64");
    const spilled = async (content: string | undefined): Promise<JobId> => {
      const job = await volume.addJob({ ...due, files: { "source.mp4": video, "logs/run.log": "done\n" } });
      const file = `${volume.root}/${job}/metadata.json`;
      const record = JSON.parse(fs.readFileSync(file, "utf8")) as { files: Record<string, object> };
      record.files["source.mp4"] = { ...record.files["source.mp4"], location: "object" };
      fs.writeFileSync(file, JSON.stringify(record));
      fs.unlinkSync(`${volume.root}/${job}/source.mp4`);
      const Key = `${jobPrefix(tenantId, job)}source.mp4`;
      if (content !== undefined) await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: content }));
      return job;
    };

    it("has the row from the sweep, and is read whole", async () => {
      const job = await spilled(video);
      expect((await volume.run("sweep")).code).toBe(0);
      expect(await readAll(job)).toMatchObject({ "source.mp4": video, "logs/run.log": "done\n" });
      // What has a row is no orphan.
      configure({ janitor: { periodSeconds: 0 }, retention: { ...RETENTION, orphanedSeconds: 0 } });
      expect((await volume.run("janitor", "--now")).code).toBe(0);
      expect(await readAll(job)).toMatchObject({ "source.mp4": video });
    });

    it("stays, and is told, when that is not there or is another's", async () => {
      const other = await spilled("somebody else's");
      const missing = await spilled(undefined);
      const { code, events } = await volume.run("sweep");
      const reasons = events
        .filter(({ event }) => event === "failed")
        .map(({ job, reason }) => [job, reason]);
      expect([code, reasons.toSorted()]).toEqual([
        1,
        [
          [other, "source.mp4 in object storage is not what its record says"],
          [missing, expect.stringContaining("couldn't read object")],
        ].toSorted(),
      ]);
      expect(volume.jobs()).toEqual([other, missing].sort());
      expect(await volume.audit()).toEqual([]);
    });
  });

  it("has rows that say where everything is", async () => {
    const job = await volume.addJob(due);
    await volume.run("sweep");
    const rows = await objectsOf(volume.catalogue.as("cleanup"), { tenantId, jobId: job });
    const pack = rows.find(({ objectKey }) => objectKey.endsWith(".tar"))!;
    const archive = await get(pack.objectKey);
    const packed = rows.filter((row) => row.pack);
    expect(packed).toHaveLength(4);
    for (const row of packed) {
      expect(row.pack!.objectKey).toBe(pack.objectKey);
      const content = archive.subarray(row.pack!.offset, row.pack!.offset + row.bytes).toString("utf8");
      expect(content).toBe(FILES[row.objectKey.slice(jobPrefix(tenantId, job).length) as keyof typeof FILES]);
    }
  });
});
