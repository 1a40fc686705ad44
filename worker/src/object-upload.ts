import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import type { FileRecord } from "@video-storage/contract/job-record";
import { ContentMismatchError } from "./errors.js";
import { readPart } from "./job-files.js";
import { MultipartUpload, learnFrom, signedAs } from "./multipart-upload.js";
import type { KnownOfServer, Target, UploadedPart } from "./multipart-upload.js";

/** S3 takes 10,000 parts of 5 MiB to 5 GiB. */
const MAXIMUM_PARTS = 10_000;
/** Of parts that are in memory at once; above it, fewer are on their way. */
const MAXIMUM_PART_MEMORY = 64 * 1024 * 1024;
/** Hashed at once: while it is, nothing else is sent. */
export const PIECE_BYTES = 1024 * 1024;

export interface UploadSettings {
  /** The least that a part has, in bytes; more for files of over 10,000 of them. */
  readonly partBytes: number;
  /** Parts on their way at once. */
  readonly concurrency: number;
  /** The largest file that goes in one put, in bytes; those of no more than a part do in any case. */
  readonly wholeFileBytes: number;
}

/** How large a file's parts are. */
export function partBytesOf(bytes: number, { partBytes }: UploadSettings): number {
  return Math.max(partBytes, Math.ceil(bytes / MAXIMUM_PARTS));
}

/**
 * The memory of parts on their way, of all files together: whoever wants more waits. Buffers are kept for the next
 * parts: freed ones would be collected too late to bound memory.
 */
export class PartBuffers {
  readonly #free: Buffer[] = [];
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** At least that many bytes; give it back. A part larger than all of the limit is alone. */
  async take(bytes: number): Promise<Buffer> {
    while (this.#taken > 0 && this.#taken + bytes > MAXIMUM_PART_MEMORY) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const fitting = this.#free.findIndex((buffer) => buffer.byteLength >= bytes);
    const buffer = fitting < 0 ? Buffer.allocUnsafeSlow(bytes) : this.#free.splice(fitting, 1)[0]!;
    // What is kept must not add to what is taken.
    if (fitting < 0) this.#free.pop();
    this.#taken += buffer.byteLength;
    return buffer;
  }

  give(buffer: Buffer): void {
    this.#taken -= buffer.byteLength;
    if (buffer.byteLength <= MAXIMUM_PART_MEMORY) this.#free.push(buffer);
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/**
 * Writes bytes under a key that nobody has yet; the server must compute the same SHA-256 over what it received.
 * Returns the checksum as the server shows it.
 */
export async function putWhole(
  client: S3Client,
  known: KnownOfServer,
  target: Target,
  body: Buffer,
  sha256: string,
  abortSignal: AbortSignal,
): Promise<string> {
  const checksum = Buffer.from(sha256, "hex").toString("base64");
  const command = new PutObjectCommand({
    ...target,
    ...{ Body: body, ContentLength: body.byteLength, IfNoneMatch: "*" },
    ...{ ChecksumSHA256: checksum, Metadata: { sha256 } },
  });
  signedAs(command, sha256);
  learnFrom(await client.send(command, { abortSignal }), checksum, known);
  return checksum;
}

/**
 * Writes a file in parts, each read once: hashed for the part, hashed for the whole, sent. When the whole isn't what
 * was expected nothing becomes visible. Returns the composite checksum that the server must show.
 */
export async function putParts(
  client: S3Client,
  known: KnownOfServer,
  target: Target,
  file: FileHandle,
  expected: FileRecord,
  settings: UploadSettings,
  buffers: PartBuffers,
  signal: AbortSignal,
): Promise<string> {
  const partBytes = partBytesOf(expected.bytes, settings);
  const upload = await MultipartUpload.begin(client, known, target, signal, { sha256: expected.sha256 });
  const failed = new AbortController();
  const abortSignal = AbortSignal.any([signal, failed.signal]);
  const onTheirWay = new Set<Promise<void>>();
  try {
    const limit = Math.max(1, Math.min(settings.concurrency, Math.floor(MAXIMUM_PART_MEMORY / partBytes)));
    const parts: UploadedPart[] = [];
    const whole = createHash("sha256");
    for (let start = 0; start < expected.bytes; start += partBytes) {
      while (onTheirWay.size >= limit) await Promise.race(onTheirWay);
      abortSignal.throwIfAborted();
      const buffer = await buffers.take(partBytes);
      const body = buffer.subarray(0, Math.min(partBytes, expected.bytes - start));
      const sha256 = await readHashed(file, start, body, whole).catch((error: unknown) => {
        buffers.give(buffer);
        throw error;
      });
      const sent: Promise<void> = upload
        .send(start / partBytes + 1, body, sha256, abortSignal)
        .then((part) => void parts.push(part))
        .finally(() => {
          buffers.give(buffer);
          onTheirWay.delete(sent);
        });
      // Told by the race above, or by the wait below.
      sent.catch(() => undefined);
      onTheirWay.add(sent);
    }
    await Promise.all(onTheirWay);
    requireContent(target.Key, whole.digest("hex"), expected);
    const inOrder = parts.sort((a, b) => a.PartNumber - b.PartNumber);
    await upload.complete(inOrder, signal);
    return compositeChecksum(inOrder.map((part) => part.ChecksumSHA256));
  } catch (error) {
    failed.abort();
    await Promise.allSettled(onTheirWay);
    await upload.abort();
    throw error;
  }
}

/** Fills all of `into`, and hashes a piece for the part and for the whole while the next one is read. */
async function readHashed(file: FileHandle, start: number, into: Buffer, whole: Hash): Promise<Buffer> {
  // The first part is all of the whole so far.
  const part = start === 0 ? undefined : createHash("sha256");
  const read = (at: number): Promise<Buffer> =>
    readPart(file, start + at, into.subarray(at, at + PIECE_BYTES));
  let next = read(0);
  for (let at = 0; at < into.byteLength; at += PIECE_BYTES) {
    const piece = await next;
    next = read(at + PIECE_BYTES);
    part?.update(piece);
    whole.update(piece);
  }
  return (part ?? whole.copy()).digest();
}

/** What S3 says of an object in parts: the hash of the parts' hashes, and their number. All in base 64. */
export function compositeChecksum(digests: readonly string[]): string {
  const hash = createHash("sha256");
  for (const digest of digests) hash.update(Buffer.from(digest, "base64"));
  return `${hash.digest("base64")}-${digests.length}`;
}

/**
 * The checksum that S3 would show for a file, uploaded whole or in parts of that size. Throws ContentMismatchError
 * when the file isn't what was expected.
 */
export async function checksumOf(
  file: FileHandle,
  expected: FileRecord,
  partBytes: number | "whole",
  objectKey: string,
): Promise<string> {
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  const whole = createHash("sha256");
  const size = partBytes === "whole" ? Math.max(expected.bytes, 1) : partBytes;
  const digests: string[] = [];
  for (let start = 0; start < expected.bytes; start += size) {
    const part = createHash("sha256");
    const end = Math.min(start + size, expected.bytes);
    for (let at = start; at < end;) {
      const piece = await readPart(file, at, buffer.subarray(0, Math.min(buffer.byteLength, end - at)));
      whole.update(piece);
      if (partBytes !== "whole") part.update(piece);
      at += piece.byteLength;
    }
    digests.push(part.digest("base64"));
  }
  const sha256 = whole.digest("hex");
  requireContent(objectKey, sha256, expected);
  return partBytes === "whole" ? Buffer.from(sha256, "hex").toString("base64") : compositeChecksum(digests);
}

/** Throws ContentMismatchError. */
export function requireContent(objectKey: string, sha256: string, expected: FileRecord): void {
  if (sha256 === expected.sha256) return;
  throw new ContentMismatchError(
    `the file for ${objectKey} has SHA-256 ${sha256}, not ${expected.sha256} as recorded: it is not copied`,
  );
}
