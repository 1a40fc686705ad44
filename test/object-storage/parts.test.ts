import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
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
const UNSIGNED = "UNSIGNED-PAYLOAD";
const sha256 = (content: Buffer) => createHash("sha256").update(content).digest();

let directory: string;
let s3: S3Client;
let between: Between;
let bucket: string;

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(tmpdir(), "video-storage-parts-"));
  s3 = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { ...administrator },
  });
  between = await startBetween(endpoint);
});
afterAll(async () => {
  s3?.destroy();
  between?.stop();
  await fs.rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  between.reset();
  bucket = `parts-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
});

function isPart({ method, query }: Omit<Request, "body">): boolean {
  return method === "PUT" && query.has("partNumber");
}
/** Of parts, in the order in which they passed: what their signature is over. */
function signedOver(): string[] {
  return between.passed.filter(isPart).map(({ headers }) => headers["x-amz-content-sha256"]!);
}

/** By the worker's library, through the one between. */
async function put(content: Buffer, { credentials = administrator, times = 1 } = {}): Promise<void> {
  const file = path.join(directory, "source.mp4");
  await fs.writeFile(file, content);
  const settings = { endpoint: between.endpoint, region: "us-east-1", bucket, forcePathStyle: true };
  const upload = { partBytes: PART_BYTES, concurrency: 2, wholeFileBytes: 0 };
  const storage = connectObjectStorage(settings, credentials, upload);
  const expected = { bytes: content.length, sha256: sha256(content).toString("hex") };
  const handle = await fs.open(file);
  try {
    for (let time = 1; time <= times; time++) await storage.putFile(`video-${time}`, handle, expected);
  } finally {
    await handle.close();
    storage.close();
  }
}
async function stored(Key = "video-1"): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return Buffer.from(await Body!.transformToByteArray());
}
async function expectNothing(): Promise<void> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  expect({ Contents, Uploads }).toEqual({ Contents: [], Uploads: [] });
}

const content = Buffer.alloc(3 * PART_BYTES + 7, "0123456789abcdefX");

describe("a part whose checksum the server checks", () => {
  it("is not signed as well", async () => {
    await put(content);
    expect(signedOver()).toEqual([UNSIGNED, UNSIGNED, UNSIGNED, UNSIGNED]);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("is not taken when its body was changed on its way", async () => {
    between.request = (request) => {
      if (isPart(request)) request.body[1000]! ^= 1;
    };
    const error: unknown = await put(content).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ObjectStorageError);
    expect(String(error)).toMatch(/couldn't write object video-1 .*(checksum|SHA256|digest)/i);
    await expectNothing();
  });

  it("is not taken when body and checksum were changed together: the signature is over the checksum", async () => {
    between.request = (request) => {
      if (!isPart(request)) return;
      request.body[1000]! ^= 1;
      request.headers["x-amz-checksum-sha256"] = sha256(request.body).toString("base64");
    };
    await expect(put(content)).rejects.toThrow(/SignatureDoesNotMatch/);
    await expectNothing();
  });
});

describe("a part is signed over its content", () => {
  it("where the server doesn't say that it will check the checksum", async () => {
    between.response = (_, answer) => delete answer.headers["x-amz-checksum-algorithm"];
    await put(content);
    const parts = [0, 1, 2, 3].map((part) => content.subarray(part * PART_BYTES, (part + 1) * PART_BYTES));
    expect(signedOver().toSorted()).toEqual(parts.map((part) => sha256(part).toString("hex")).toSorted());
    expect((await stored()).equals(content)).toBe(true);
  });

  it("where a policy wants that, which is found out once", async () => {
    const credentials = await newUser(endpoint, "must sign");
    await put(content, { credentials, times: 2 });
    const refused = signedOver().filter((over) => over === UNSIGNED).length;
    expect([refused >= 1, refused <= 2, signedOver().length - refused]).toEqual([true, true, 8]);
    expect((await stored("video-2")).equals(content)).toBe(true);
  });

  it("where the connection ends each time that it isn't", async () => {
    between.request = (request) => !isPart(request) || request.headers["x-amz-content-sha256"] !== UNSIGNED;
    await put(content);
    // Two parts are on their way when that is found out, and the SDK tries each four times.
    expect(signedOver().filter((over) => over !== UNSIGNED)).toHaveLength(4);
    expect(signedOver()).toHaveLength(4 + 2 * 4);
    expect((await stored()).equals(content)).toBe(true);
  });

  it("and when that is refused too, it isn't stored", async () => {
    const credentials = await newUser(endpoint, "must not write");
    await expect(put(content, { credentials })).rejects.toThrow(/AccessDenied/);
    await expectNothing();
  });
});

it.each([
  ["its first part, which was sent", 10],
  ["its last part, which wasn't read", content.length - 1],
])("a file that changes while it is sent, in %s, becomes visible only as recorded", async (_, at) => {
  let changed = false;
  between.request = async (request) => {
    if (!isPart(request) || changed) return;
    changed = true;
    const handle = await fs.open(path.join(directory, "source.mp4"), "r+");
    await handle.write(Buffer.from("!"), 0, 1, at);
    await handle.close();
  };
  const error: unknown = await put(content).catch((reason: unknown) => reason);
  if (at < PART_BYTES) {
    expect(error).toBeUndefined();
    expect((await stored()).equals(content)).toBe(true);
  } else {
    expect(error).toBeInstanceOf(ContentMismatchError);
    await expectNothing();
  }
});
