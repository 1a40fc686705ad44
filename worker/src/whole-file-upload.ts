import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import type { FileRecord } from "@video-storage/contract/job-record";
import { readPart } from "./job-files.js";
import { UNSIGNED_BODY, learnFrom, signedAs } from "./multipart-upload.js";
import type { KnownOfServer, Target } from "./multipart-upload.js";
import { PIECE_BYTES, requireContent } from "./object-upload.js";
import type { PartBuffers } from "./object-upload.js";

/**
 * The largest file that goes in one put. When its connection breaks all of it is sent again, where of a file in parts
 * only those are that were on their way; S3 takes 5 GiB at most.
 */
export const WHOLE_FILE_BYTES = 512 * 1024 * 1024;
/**
 * One that the socket has, one that waits for it, one that is read, and one to spare. They are used again: new ones
 * would be collected too late. One overwritten too soon would be refused by the server, which checks the SHA-256.
 */
const PIECES = 4;

/**
 * Writes a file whose size and SHA-256 are known in one put, under a key that nobody has yet. It is read and hashed
 * once, as it is sent; the server must compute the same SHA-256 over what it received. Isn't repeated when it fails:
 * a stream comes once. Throws ContentMismatchError when the file isn't what was expected, which the server is never
 * sent all of. Returns the checksum as the server shows it.
 */
export async function putWholeFile(
  client: S3Client,
  known: KnownOfServer,
  target: Target,
  file: FileHandle,
  expected: FileRecord,
  buffers: PartBuffers,
  signal: AbortSignal,
): Promise<string> {
  const ChecksumSHA256 = Buffer.from(expected.sha256, "hex").toString("base64");
  const buffer = await buffers.take(PIECES * PIECE_BYTES);
  const failed = new AbortController();
  let verified = false;
  const pieces = piecesOf(file, expected, target.Key, buffer, () => (verified = true));
  const body = Readable.from(pieces, { objectMode: false, highWaterMark: 1 });
  const closed = new Promise<void>((resolve) => body.once("close", resolve));
  let reason: Error | undefined;
  body.once("error", (error) => {
    reason = error;
    failed.abort();
  });
  try {
    const command = new PutObjectCommand({
      ...{ ...target, Body: body, ContentLength: expected.bytes, IfNoneMatch: "*" },
      ...{ ChecksumSHA256, Metadata: { sha256: expected.sha256 } },
    });
    // As of parts: a server that checks the SHA-256 hashes it once. Of others the signature has them check it.
    const unsigned = known.checksSha256 === true && known.takesUnsignedBodies !== false;
    signedAs(command, unsigned ? UNSIGNED_BODY : expected.sha256);
    const answer = await client.send(command, { abortSignal: AbortSignal.any([signal, failed.signal]) });
    if (!verified) throw new Error("the server answered before it had the whole file");
    learnFrom(answer, ChecksumSHA256, known);
    if (unsigned) known.takesUnsignedBodies ??= true;
    return ChecksumSHA256;
  } catch (error) {
    failed.abort();
    throw reason ?? error;
  } finally {
    // The caller closes the file, and the buffer is the next file's.
    body.destroy();
    await closed;
    buffers.give(buffer);
  }
}

/** The last one comes only when all are what was expected: without it the server has no object. */
async function* piecesOf(
  file: FileHandle,
  expected: FileRecord,
  objectKey: string,
  buffer: Buffer,
  onVerified: () => void,
): AsyncGenerator<Buffer> {
  const whole = createHash("sha256");
  const read = (at: number): Promise<Buffer> => {
    const start = at % (PIECES * PIECE_BYTES);
    const bytes = Math.max(0, Math.min(PIECE_BYTES, expected.bytes - at));
    const piece = readPart(file, at, buffer.subarray(start, start + bytes));
    // Told when its turn comes.
    piece.catch(() => undefined);
    return piece;
  };
  let next = read(0);
  try {
    for (let at = 0; at < expected.bytes; at += PIECE_BYTES) {
      const piece = await next;
      next = read(at + PIECE_BYTES);
      whole.update(piece);
      if (at + PIECE_BYTES >= expected.bytes) {
        requireContent(objectKey, whole.digest("hex"), expected);
        onVerified();
      }
      yield piece;
    }
  } finally {
    await next.catch(() => undefined);
  }
}
