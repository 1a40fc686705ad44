import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { ContentMismatchError, ObjectStorageError } from "@video-storage/worker/errors";
import type { Request } from "../support/s3-between.js";
import { newUser } from "../support/s3-user.js";
import { PART_BYTES, sha256, UNSIGNED, uploadsBetween } from "../support/uploads-between.js";
import type { Putting } from "../support/uploads-between.js";

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
/** More than sockets, their buffers in the kernel and the client's own hold. */
const content = randomBytes(32 * 1024 * 1024 + 7);
const SIGNED = sha256(content).toString("hex");
const SHOWN = sha256(content).toString("base64");

const uploads = uploadsBetween(endpoint);

function isWhole({ method, query }: Omit<Request, "body">): boolean {
  return method === "PUT" && query.get("x-id") === "PutObject";
}
/** What passed: what a put's signature is over, or that it is of parts. */
function passed(): string[] {
  const puts = uploads.between.passed.filter(({ method }) => method === "PUT");
  return puts.map((put) => (isWhole(put) ? put.headers["x-amz-content-sha256"]! : "part"));
}
const IN_PARTS: string[] = Array(Math.ceil(content.length / PART_BYTES)).fill("part");

function put({ bytes = content, ...putting }: Putting & { readonly bytes?: Buffer } = {}): Promise<void> {
  return uploads.put(bytes, { wholeFileBytes: content.length, ...putting });
}
async function shown(Key = "video-1"): Promise<string | undefined> {
  const head = new HeadObjectCommand({ Bucket: uploads.bucket, Key, ChecksumMode: "ENABLED" });
  return (await uploads.s3.send(head)).ChecksumSHA256;
}
const reasonOf = (work: Promise<void>): Promise<unknown> => work.catch((reason: unknown) => reason);

describe("a file whose SHA-256 is known", () => {
  it("goes in one put up to the limit, and in parts above it", async () => {
    await put();
    expect([passed(), await shown()]).toEqual([[SIGNED], SHOWN]);
    expect((await uploads.stored()).equals(content)).toBe(true);
    uploads.between.reset();
    await uploads.newBucket();
    await put({ wholeFileBytes: content.length - 1 });
    expect([passed(), await shown()]).toEqual([IN_PARTS, expect.stringMatching(/-7$/)]);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("is signed over its content until the server has shown that it checks the SHA-256", async () => {
    await put({ times: 3 });
    expect(passed()).toEqual([SIGNED, UNSIGNED, UNSIGNED]);
    expect((await uploads.stored("video-3")).equals(content)).toBe(true);
  });

  it("is signed each time where the server doesn't show that", async () => {
    uploads.between.response = (_, answer) => delete answer.headers["x-amz-checksum-sha256"];
    await put({ times: 2 });
    expect(passed()).toEqual([SIGNED, SIGNED]);
    expect((await uploads.stored("video-2")).equals(content)).toBe(true);
  });

  it("is signed where a policy wants that, which is found out once", async () => {
    const credentials = await newUser(endpoint, "must sign");
    await put({ credentials, times: 3 });
    const whole = passed().filter((over) => over !== "part");
    expect(whole).toEqual([SIGNED, UNSIGNED, SIGNED]);
    expect((await uploads.stored("video-2")).equals(content)).toBe(true);
    expect(await shown("video-2")).toMatch(/-7$/);
    expect((await uploads.stored("video-3")).equals(content)).toBe(true);
  });

  it("is what was read although the server takes it slowly", async () => {
    uploads.between.first = async (request) => {
      if (isWhole(request)) await sleep(300);
    };
    await put();
    expect(passed()).toEqual([SIGNED]);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("and is smaller than a piece, or of some pieces and no more, is whole", async () => {
    for (const bytes of [PART_BYTES + 1, 6 * 1024 * 1024]) {
      await uploads.newBucket();
      await put({ bytes: content.subarray(0, bytes) });
      expect((await uploads.stored()).equals(content.subarray(0, bytes))).toBe(true);
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
      expect((await uploads.stored()).equals(content)).toBe(true);
    },
  );
});

describe("a body that was changed on its way", () => {
  it("is refused by the server, and sent again in parts", async () => {
    uploads.between.request = (request) => {
      if (isWhole(request)) request.body[1000]! ^= 1;
    };
    await put();
    expect(passed()).toEqual([SIGNED, ...IN_PARTS]);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it.each([1, 2])("each time isn't stored, signed or not (put %i of a client)", async (time) => {
    uploads.between.request = (request) => {
      const puts = passed().filter((over) => over !== "part").length;
      if (request.body.length > 0 && puts >= time) request.body[1000]! ^= 1;
    };
    const error = await reasonOf(put({ times: 2 }));
    expect(error).toBeInstanceOf(ObjectStorageError);
    expect(String(error)).toMatch(/couldn't write object video-. .*(checksum|SHA256|digest)/i);
    expect(passed().filter((over) => over !== "part")).toEqual([SIGNED, UNSIGNED].slice(0, time));
    expect((await uploads.left()).objects).toEqual(["video-1"].slice(0, time - 1));
  });

  it("and its checksum with it isn't stored: the signature is over the checksum", async () => {
    const answers: unknown[] = [];
    uploads.between.request = (request) => {
      if (request.headers["x-amz-content-sha256"] !== UNSIGNED || !isWhole(request)) return;
      request.body[1000]! ^= 1;
      request.headers["x-amz-checksum-sha256"] = sha256(request.body).toString("base64");
    };
    uploads.between.response = (request, answer) => {
      if (isWhole(request)) answers.push(answer.statusCode);
    };
    await put({ times: 2 });
    expect([passed(), answers]).toEqual([
      [SIGNED, UNSIGNED, ...IN_PARTS],
      [200, 403],
    ]);
    expect((await uploads.stored("video-2")).equals(content)).toBe(true);
  });
});

describe("a file that changes while it is sent", () => {
  it.each([
    ["where it wasn't read yet, isn't stored", content.length - 1],
    ["where it was sent, is stored as recorded", 10],
  ])("%s", async (_, at) => {
    uploads.between.first = async (request) => {
      if (isWhole(request)) await uploads.changeFile(at, content[at]! ^ 1);
    };
    const error = await reasonOf(put());
    expect(passed()).toEqual(at === 10 ? [SIGNED] : []);
    if (at === 10) {
      expect(error).toBeUndefined();
      expect((await uploads.stored()).equals(content)).toBe(true);
    } else {
      expect(error).toBeInstanceOf(ContentMismatchError);
      expect(String(error)).toContain("not " + SIGNED + " as recorded: it is not copied");
      await uploads.expectNothing();
    }
  });

  it("and becomes shorter isn't stored", async () => {
    uploads.between.first = async (request) => {
      if (isWhole(request)) await fs.truncate(uploads.file, content.length - 1);
    };
    const error = await reasonOf(put());
    expect(error).toBeInstanceOf(ContentMismatchError);
    expect(String(error)).toContain("before its recorded end");
    expect(passed()).toEqual([]);
    await uploads.expectNothing();
  });
});

describe("a connection that ends", () => {
  it("with the first bytes has the file go in parts", async () => {
    uploads.between.first = (request) => !isWhole(request);
    await put();
    expect(passed()).toEqual(IN_PARTS);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("before the answer has the file go in parts", async () => {
    uploads.between.request = (request) => !isWhole(request);
    await put();
    expect(passed()).toEqual([SIGNED, ...IN_PARTS]);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("with the answer, which was that it is stored, has nothing sent again", async () => {
    uploads.between.response = (request) => !isWhole(request);
    await put();
    expect([passed(), await shown()]).toEqual([[SIGNED], SHOWN]);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("because it was asked to isn't tried again", async () => {
    const asked = new AbortController();
    uploads.between.first = () => asked.abort();
    expect(await reasonOf(put({ signal: asked.signal }))).toBeInstanceOf(ObjectStorageError);
    expect(passed()).toEqual([]);
    await uploads.expectNothing();
  });
});

describe("an object that somebody else wrote meanwhile", () => {
  it.each([
    ["with the same content is taken", content, undefined],
    ["with other content is left, and told", Buffer.from("another"), ContentMismatchError],
  ])("%s", async (_, Body, refusal) => {
    uploads.between.request = async (request) => {
      const put = new PutObjectCommand({ Bucket: uploads.bucket, Key: "video-1", Body });
      if (isWhole(request)) await uploads.s3.send(put);
    };
    const error = await reasonOf(put());
    expect(error instanceof Error ? error.constructor : error).toBe(refusal);
    expect(passed()).toEqual([SIGNED]);
    expect((await uploads.stored()).equals(Body)).toBe(true);
  });
});
