import { createHash, randomBytes, randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ContentMismatchError, ObjectStorageError } from "@video-storage/worker/errors";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import { startBetween } from "../support/s3-between.js";
import type { Between, Request } from "../support/s3-between.js";
import { newUser } from "../support/s3-user.js";

/** A real S3 server, and between it and the client someone who sees and changes what passes. */

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const administrator = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
const PART_BYTES = 5 * 1024 * 1024;
/** More than sockets, their buffers in the kernel and the client's own hold. */
const content = randomBytes(32 * 1024 * 1024 + 7);
const UNSIGNED = "UNSIGNED-PAYLOAD";
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest();
const SIGNED = sha256(content).toString("hex");
const SHOWN = sha256(content).toString("base64");

let directory: string;
let s3: S3Client;
let between: Between;
let bucket: string;

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(tmpdir(), "video-storage-whole-"));
  const settings = { endpoint, region: "us-east-1", forcePathStyle: true };
  s3 = new S3Client({ ...settings, credentials: { ...administrator } });
  between = await startBetween(endpoint);
});
afterAll(async () => {
  s3?.destroy();
  between?.stop();
  await fs.rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  between.reset();
  bucket = `whole-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
});

function isWhole({ method, query }: Omit<Request, "body">): boolean {
  return method === "PUT" && query.get("x-id") === "PutObject";
}
/** What passed: what a put's signature is over, or that it is of parts. */
function passed(): string[] {
  const puts = between.passed.filter(({ method }) => method === "PUT");
  return puts.map((put) => (isWhole(put) ? put.headers["x-amz-content-sha256"]! : "part"));
}
const IN_PARTS: string[] = Array(Math.ceil(content.length / PART_BYTES)).fill("part");

interface Putting {
  readonly credentials?: typeof administrator;
  readonly times?: number;
  readonly wholeFileBytes?: number;
  readonly signal?: AbortSignal;
  readonly bytes?: Buffer;
}

/** By the worker's library, through the one between, as `video-1` and so on. */
async function put({ bytes = content, ...putting }: Putting = {}): Promise<void> {
  const { credentials = administrator, times = 1, wholeFileBytes = content.length, signal } = putting;
  const file = path.join(directory, "source.mp4");
  await fs.writeFile(file, bytes);
  const settings = { endpoint: between.endpoint, region: "us-east-1", bucket, forcePathStyle: true };
  const upload = { partBytes: PART_BYTES, concurrency: 2, wholeFileBytes };
  const storage = connectObjectStorage(settings, credentials, upload);
  const expected = { bytes: bytes.length, sha256: sha256(bytes).toString("hex") };
  const handle = await fs.open(file);
  try {
    for (let time = 1; time <= times; time++) {
      await storage.putFile(`video-${time}`, handle, expected, signal);
    }
  } finally {
    await handle.close();
    storage.close();
  }
}
async function changeFile(at: number): Promise<void> {
  const handle = await fs.open(path.join(directory, "source.mp4"), "r+");
  const byte = Buffer.from([content[at]! ^ 1]);
  await handle.write(byte, 0, 1, at);
  await handle.close();
}
async function stored(Key = "video-1"): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return Buffer.from(await Body!.transformToByteArray());
}
async function shown(Key = "video-1"): Promise<string | undefined> {
  return (await s3.send(new HeadObjectCommand({ Bucket: bucket, Key, ChecksumMode: "ENABLED" })))
    .ChecksumSHA256;
}
async function expectNothing(): Promise<void> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  expect({ Contents, Uploads }).toEqual({ Contents: [], Uploads: [] });
}
const reasonOf = (work: Promise<void>): Promise<unknown> => work.catch((reason: unknown) => reason);

describe("a file whose SHA-256 is known", () => {
  it("goes in one put up to the limit, and in parts above it", async () => {
    await put();
    expect([passed(), await shown()]).toEqual([[SIGNED], SHOWN]);
    expect((await stored()).equals(content)).toBe(true);
    between.reset();
    await s3.send(new CreateBucketCommand({ Bucket: (bucket = `whole-${randomUUID()}`) }));
    await put({ wholeFileBytes: content.length - 1 });
    expect([passed(), await shown()]).toEqual([IN_PARTS, expect.stringMatching(/-7$/)]);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("is signed over its content until the server has shown that it checks the SHA-256", async () => {
    await put({ times: 3 });
    expect(passed()).toEqual([SIGNED, UNSIGNED, UNSIGNED]);
    expect((await stored("video-3")).equals(content)).toBe(true);
  });

  it("is signed each time where the server doesn't show that", async () => {
    between.response = (_, answer) => delete answer.headers["x-amz-checksum-sha256"];
    await put({ times: 2 });
    expect(passed()).toEqual([SIGNED, SIGNED]);
    expect((await stored("video-2")).equals(content)).toBe(true);
  });

  it("is signed where a policy wants that, which is found out once", async () => {
    const credentials = await newUser(endpoint, "must sign");
    await put({ credentials, times: 3 });
    const whole = passed().filter((over) => over !== "part");
    expect(whole).toEqual([SIGNED, UNSIGNED, SIGNED]);
    expect((await stored("video-2")).equals(content)).toBe(true);
    expect(await shown("video-2")).toMatch(/-7$/);
    expect((await stored("video-3")).equals(content)).toBe(true);
  });

  it("is what was read although the server takes it slowly", async () => {
    between.first = async (request) => {
      if (isWhole(request)) await sleep(300);
    };
    await put();
    expect(passed()).toEqual([SIGNED]);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("and is smaller than a piece, or of some pieces and no more, is whole", async () => {
    for (const bytes of [PART_BYTES + 1, 6 * 1024 * 1024]) {
      await s3.send(new CreateBucketCommand({ Bucket: (bucket = `whole-${randomUUID()}`) }));
      await put({ bytes: content.subarray(0, bytes) });
      expect((await stored()).equals(content.subarray(0, bytes))).toBe(true);
    }
    expect(passed()).toHaveLength(2);
  });
});

describe("an object of an earlier attempt", () => {
  it.each([
    ["in parts", "whole", 0, content.length],
    ["whole", "in parts", content.length, 0],
  ])("that was sent %s is taken as it is by who sends %s", async (_, __, earlier, now) => {
    await put({ wholeFileBytes: earlier });
    const before = [await shown(), passed().length];
    await put({ wholeFileBytes: now });
    expect([await shown(), passed().length]).toEqual(before);
  });

  it.each([0, content.length])(
    "of other content is refused and left, sent as files up to %i",
    async (limit) => {
      await put({ wholeFileBytes: limit });
      const other = Buffer.from(content);
      other[1000]! ^= 1;
      const error = await reasonOf(put({ bytes: other }));
      expect(error).toBeInstanceOf(ContentMismatchError);
      expect((await stored()).equals(content)).toBe(true);
    },
  );
});

describe("a body that was changed on its way", () => {
  it("is refused by the server, and sent again in parts", async () => {
    between.request = (request) => {
      if (isWhole(request)) request.body[1000]! ^= 1;
    };
    await put();
    expect(passed()).toEqual([SIGNED, ...IN_PARTS]);
    expect((await stored()).equals(content)).toBe(true);
  });

  it.each([1, 2])("each time isn't stored, signed or not (put %i of a client)", async (time) => {
    between.request = (request) => {
      const puts = passed().filter((over) => over !== "part").length;
      if (request.body.length > 0 && puts >= time) request.body[1000]! ^= 1;
    };
    const error = await reasonOf(put({ times: 2 }));
    expect(error).toBeInstanceOf(ObjectStorageError);
    expect(String(error)).toMatch(/couldn't write object video-. .*(checksum|SHA256|digest)/i);
    expect(passed().filter((over) => over !== "part")).toEqual([SIGNED, UNSIGNED].slice(0, time));
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(Contents.map(({ Key }) => Key)).toEqual(["video-1"].slice(0, time - 1));
  });

  it("and its checksum with it isn't stored: the signature is over the checksum", async () => {
    const answers: unknown[] = [];
    between.request = (request) => {
      if (request.headers["x-amz-content-sha256"] !== UNSIGNED || !isWhole(request)) return;
      request.body[1000]! ^= 1;
      request.headers["x-amz-checksum-sha256"] = sha256(request.body).toString("base64");
    };
    between.response = (request, answer) => {
      if (isWhole(request)) answers.push(answer.statusCode);
    };
    await put({ times: 2 });
    expect([passed(), answers]).toEqual([
      [SIGNED, UNSIGNED, ...IN_PARTS],
      [200, 403],
    ]);
    expect((await stored("video-2")).equals(content)).toBe(true);
  });
});

describe("a file that changes while it is sent", () => {
  it.each([
    ["where it wasn't read yet, isn't stored", content.length - 1],
    ["where it was sent, is stored as recorded", 10],
  ])("%s", async (_, at) => {
    between.first = async (request) => {
      if (isWhole(request)) await changeFile(at);
    };
    const error = await reasonOf(put());
    expect(passed()).toEqual(at === 10 ? [SIGNED] : []);
    if (at === 10) {
      expect(error).toBeUndefined();
      expect((await stored()).equals(content)).toBe(true);
    } else {
      expect(error).toBeInstanceOf(ContentMismatchError);
      expect(String(error)).toContain("not " + SIGNED + " as recorded: it is not copied");
      await expectNothing();
    }
  });

  it("and becomes shorter isn't stored", async () => {
    between.first = async (request) => {
      if (isWhole(request)) await fs.truncate(path.join(directory, "source.mp4"), content.length - 1);
    };
    const error = await reasonOf(put());
    expect(error).toBeInstanceOf(ContentMismatchError);
    expect(String(error)).toContain("before its recorded end");
    expect(passed()).toEqual([]);
    await expectNothing();
  });
});

describe("a connection that ends", () => {
  it("with the first bytes has the file go in parts", async () => {
    between.first = (request) => !isWhole(request);
    await put();
    expect(passed()).toEqual(IN_PARTS);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("before the answer has the file go in parts", async () => {
    between.request = (request) => !isWhole(request);
    await put();
    expect(passed()).toEqual([SIGNED, ...IN_PARTS]);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("with the answer, which was that it is stored, has nothing sent again", async () => {
    between.response = (request) => !isWhole(request);
    await put();
    expect([passed(), await shown()]).toEqual([[SIGNED], SHOWN]);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("because it was asked to isn't tried again", async () => {
    const asked = new AbortController();
    between.first = () => asked.abort();
    expect(await reasonOf(put({ signal: asked.signal }))).toBeInstanceOf(ObjectStorageError);
    expect(passed()).toEqual([]);
    await expectNothing();
  });
});

describe("an object that somebody else wrote meanwhile", () => {
  it.each([
    ["with the same content is taken", content, undefined],
    ["with other content is left, and told", Buffer.from("another"), ContentMismatchError],
  ])("%s", async (_, Body, refusal) => {
    between.request = async (request) => {
      if (isWhole(request)) await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "video-1", Body }));
    };
    const error = await reasonOf(put());
    expect(error instanceof Error ? error.constructor : error).toBe(refusal);
    expect(passed()).toEqual([SIGNED]);
    expect((await stored()).equals(Body)).toBe(true);
  });
});
