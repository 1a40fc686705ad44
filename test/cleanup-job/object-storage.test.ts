import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ObjectMismatchError, openObjectStore } from "../../cleanup-job/src/object-storage.js";
import type { ObjectContent, ObjectStore } from "../../cleanup-job/src/object-storage.js";
import { startObjectServer } from "./object-server.js";
import type { ObjectServer } from "./object-server.js";

const SIGNAL = new AbortController().signal;
let server: ObjectServer;
let store: ObjectStore;

beforeEach(async () => {
  server = await startObjectServer();
  store = openObjectStore(
    { endpoint: server.endpoint, region: "local", bucket: "videos", forcePathStyle: true },
    { accessKeyId: "test", secretAccessKey: "test-only" },
  );
});
afterEach(async () => {
  store.close();
  await server.stop();
});

function content(text: string, key = "tenants/acme/jobs/1/source.mp4"): ObjectContent {
  const bytes = Buffer.from(text);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { key, bytes: bytes.length, sha256, read: () => (text === "" ? bytes : Readable.from([bytes])) };
}

describe("putVerified", () => {
  it.each(["a video", ""])("stores %j under its key", async (text) => {
    await store.putVerified(content(text), SIGNAL);
    expect([...server.objects]).toEqual([["/videos/tenants/acme/jobs/1/source.mp4", Buffer.from(text)]]);
  });

  it("accepts what an earlier try stored", async () => {
    await store.putVerified(content("a video"), SIGNAL);
    await expect(store.putVerified(content("a video"), SIGNAL)).resolves.toBeUndefined();
  });

  it("refuses to write over anything else", async () => {
    await store.putVerified(content("the first"), SIGNAL);
    await expect(store.putVerified(content("the other"), SIGNAL)).rejects.toThrow(ObjectMismatchError);
    expect([...server.objects.values()]).toEqual([Buffer.from("the first")]);
  });

  it("notices what the store has spoilt", async () => {
    server.fault = "corrupts";
    await expect(store.putVerified(content("a video"), SIGNAL)).rejects.toThrow(ObjectMismatchError);
  });

  it("notices content that is not what was announced", async () => {
    const lying = { ...content("a video"), read: () => Readable.from([Buffer.from("b video")]) };
    await expect(store.putVerified(lying, SIGNAL)).rejects.toThrow("BadDigest");
    expect(server.objects.size).toBe(0);
  });

  it("reads back where the store keeps no checksum", async () => {
    server.fault = "keeps-no-checksum";
    await store.putVerified(content("a video"), SIGNAL);
    await expect(store.putVerified(content("b video"), SIGNAL)).rejects.toThrow(ObjectMismatchError);
  });

  it("fails when the store is away, and stops when asked to", async () => {
    server.fault = "unavailable";
    await expect(store.putVerified(content("a video"), SIGNAL)).rejects.toThrow("SlowDown");
    server.fault = "hangs";
    await expect(store.putVerified(content("a video"), AbortSignal.timeout(50))).rejects.toThrow(/abort/i);
    expect(server.objects.size).toBe(0);
  });
});
