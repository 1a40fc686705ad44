import { describe, expect, it } from "vitest";
import { ContentMismatchError, ObjectStorageError } from "@video-storage/worker/errors";
import type { Request } from "../support/s3-between.js";
import { newUser } from "../support/s3-user.js";
import { PART_BYTES, sha256, UNSIGNED, uploadsBetween } from "../support/uploads-between.js";

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const content = Buffer.alloc(3 * PART_BYTES + 7, "0123456789abcdefX");

const uploads = uploadsBetween(endpoint);

function isPart({ method, query }: Omit<Request, "body">): boolean {
  return method === "PUT" && query.has("partNumber");
}
/** Of parts, in the order in which they passed: what their signature is over. */
function signedOver(): string[] {
  return uploads.between.passed.filter(isPart).map(({ headers }) => headers["x-amz-content-sha256"]!);
}

describe("a part whose checksum the server checks", () => {
  it("is not signed as well", async () => {
    await uploads.put(content);
    expect(signedOver()).toEqual([UNSIGNED, UNSIGNED, UNSIGNED, UNSIGNED]);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("is not taken when its body was changed on its way", async () => {
    uploads.between.request = (request) => {
      if (isPart(request)) request.body[1000]! ^= 1;
    };
    const error: unknown = await uploads.put(content).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ObjectStorageError);
    expect(String(error)).toMatch(/couldn't write object video-1 .*(checksum|SHA256|digest)/i);
    await uploads.expectNothing();
  });

  it("is not taken when body and checksum were changed together: the signature is over the checksum", async () => {
    uploads.between.request = (request) => {
      if (!isPart(request)) return;
      request.body[1000]! ^= 1;
      request.headers["x-amz-checksum-sha256"] = sha256(request.body).toString("base64");
    };
    await expect(uploads.put(content)).rejects.toThrow(/SignatureDoesNotMatch/);
    await uploads.expectNothing();
  });
});

describe("a part is signed over its content", () => {
  it("where the server doesn't say that it will check the checksum", async () => {
    uploads.between.response = (_, answer) => delete answer.headers["x-amz-checksum-algorithm"];
    await uploads.put(content);
    const parts = [0, 1, 2, 3].map((part) => content.subarray(part * PART_BYTES, (part + 1) * PART_BYTES));
    expect(signedOver().toSorted()).toEqual(parts.map((part) => sha256(part).toString("hex")).toSorted());
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("where a policy wants that, which is found out once", async () => {
    const credentials = await newUser(endpoint, "must sign");
    await uploads.put(content, { credentials, times: 2 });
    const refused = signedOver().filter((over) => over === UNSIGNED).length;
    expect([refused >= 1, refused <= 2, signedOver().length - refused]).toEqual([true, true, 8]);
    expect((await uploads.stored("video-2")).equals(content)).toBe(true);
  });

  it("where the connection ends each time that it isn't", async () => {
    uploads.between.request = (request) =>
      !isPart(request) || request.headers["x-amz-content-sha256"] !== UNSIGNED;
    await uploads.put(content);
    // Two parts are on their way when that is found out, and the SDK tries each four times.
    expect(signedOver().filter((over) => over !== UNSIGNED)).toHaveLength(4);
    expect(signedOver()).toHaveLength(4 + 2 * 4);
    expect((await uploads.stored()).equals(content)).toBe(true);
  });

  it("and when that is refused too, it isn't stored", async () => {
    const credentials = await newUser(endpoint, "must not write");
    await expect(uploads.put(content, { credentials })).rejects.toThrow(/AccessDenied/);
    await uploads.expectNothing();
  });
});

it.each([
  ["its first part, which was sent", 10],
  ["its last part, which wasn't read", content.length - 1],
])("a file that changes while it is sent, in %s, becomes visible only as recorded", async (_, at) => {
  let changed = false;
  uploads.between.request = async (request) => {
    if (!isPart(request) || changed) return;
    changed = true;
    await uploads.changeFile(at, "!".charCodeAt(0));
  };
  const error: unknown = await uploads.put(content).catch((reason: unknown) => reason);
  if (at < PART_BYTES) {
    expect(error).toBeUndefined();
    expect((await uploads.stored()).equals(content)).toBe(true);
  } else {
    expect(error).toBeInstanceOf(ContentMismatchError);
    await uploads.expectNothing();
  }
});
