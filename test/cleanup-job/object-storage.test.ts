import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FileRecord } from "@video-storage/contract/job-record";
import { ContentMismatchError } from "@video-storage/worker/errors";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { startObjectServer } from "./object-server.js";
import type { ObjectServer } from "./object-server.js";

/** The sweep's view of the module that workers stage with; on a real server it is in test/worker/staging.test.ts. */

const KEY = "tenants/acme/jobs/1/source.mp4";
let directory: string;
let server: ObjectServer;
let store: ObjectStorage;

beforeEach(async () => {
  directory = await fs.mkdtemp(`${tmpdir()}/object-storage-`);
  server = await startObjectServer();
  store = connectObjectStorage(
    { endpoint: server.endpoint, region: "local", bucket: "videos", forcePathStyle: true },
    { accessKeyId: "test", secretAccessKey: "test-only" },
  );
});
afterEach(async () => {
  store.close();
  await server.stop();
  await fs.rm(directory, { recursive: true });
});

const described = (text: string): FileRecord => ({
  bytes: Buffer.byteLength(text),
  sha256: createHash("sha256").update(text).digest("hex"),
});

async function put(text: string, expected = described(text), signal?: AbortSignal): Promise<unknown> {
  await fs.writeFile(`${directory}/file`, text);
  const file = await fs.open(`${directory}/file`);
  try {
    return await store.putFile(KEY, file, expected, signal);
  } finally {
    await file.close();
  }
}

describe("putFile", () => {
  it.each(["a video", ""])("stores %j under its key", async (text) => {
    await put(text);
    expect([...server.objects]).toEqual([[`/videos/${KEY}`, Buffer.from(text)]]);
  });

  it("accepts what an earlier try stored", async () => {
    await put("a video");
    expect(await put("a video")).toEqual({ bucket: "videos", objectKey: KEY, ...described("a video") });
  });

  it("refuses to write over anything else", async () => {
    await put("the first");
    await expect(put("the other")).rejects.toThrow(ContentMismatchError);
    expect([...server.objects.values()]).toEqual([Buffer.from("the first")]);
  });

  it("notices what the store has spoilt", async () => {
    server.fault = "corrupts";
    await expect(put("a video")).rejects.toThrow(ContentMismatchError);
  });

  it("notices content that is not what was announced", async () => {
    await expect(put("b video", described("a video"))).rejects.toThrow(ContentMismatchError);
    expect(server.objects.size).toBe(0);
  });

  it("reads back where the store keeps no checksum", async () => {
    server.fault = "keeps-no-checksum";
    await put("a video");
    await put("a video");
    await expect(put("b video")).rejects.toThrow(ContentMismatchError);
  });

  it("fails when the store is away, and stops when asked to", async () => {
    server.fault = "unavailable";
    await expect(put("a video")).rejects.toThrow("couldn't read the attributes of object");
    server.fault = "hangs";
    await expect(put("a video", undefined, AbortSignal.timeout(50))).rejects.toThrow(/abort/i);
    expect(server.objects.size).toBe(0);
  });
});
