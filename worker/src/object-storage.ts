import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import path from "node:path";
import { Readable } from "node:stream";
import { GetObjectCommand, HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { HeadObjectCommandOutput } from "@aws-sdk/client-s3";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import type { FileRecord } from "@video-storage/contract/job-record";
import type { ObjectStorageSettingsInput } from "@video-storage/contract/schemas";
import { ContentMismatchError, ObjectStorageError } from "./errors.js";
import { putStream } from "./object-stream.js";
import { readPart } from "./job-files.js";
import { statusOf } from "./multipart-upload.js";
import type { KnownOfServer } from "./multipart-upload.js";
import { PartBuffers, checksumOf, partBytesOf, putParts, putWhole, requireContent } from "./object-upload.js";
import type { UploadSettings } from "./object-upload.js";
import { WHOLE_FILE_BYTES, putWholeFile } from "./whole-file-upload.js";

export { compositeChecksum } from "./object-upload.js";

/** A part is held in memory. */
const PART_BYTES = 16 * 1024 * 1024;
/** An answer of a few headers: a server that takes longer is taken to be away. */
const HEAD_MILLISECONDS = 20_000;
/** Somebody else writes that key, or has. */
const CONFLICTS = [409, 412];

const NEVER_ABORTED = new AbortController().signal;
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export interface ObjectStorageCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** One bucket. Every error is an {@link ObjectStorageError} or a {@link ContentMismatchError}. */
export interface ObjectStorage {
  readonly bucket: string;
  /**
   * Copies an open file, checked from end to end: the bytes read must be the expected ones, and the server must
   * have computed the same SHA-256. Never overwrites: an object of that key with the same content is the result
   * of an earlier attempt and is taken as it is, any other is an error. Durable when it returns.
   */
  putFile(
    objectKey: string,
    file: FileHandle,
    expected: FileRecord,
    /** Ends it, with an error, and nothing unfinished stays. */
    signal?: AbortSignal,
  ): Promise<StoredObject>;
  /** The same for content that is in memory. */
  putBytes(objectKey: string, content: Buffer, signal?: AbortSignal): Promise<StoredObject>;
  /**
   * As {@link putFile}, from bytes that are nowhere else and whose number isn't known: two parts are held in memory.
   * `beforeVisible` is asked when all bytes have arrived and the object doesn't exist yet: what it throws ends it.
   */
  putStream(
    objectKey: string,
    chunks: AsyncIterable<Uint8Array>,
    options?: {
      /** Where it is known: more than 10,000 times 16 MiB need larger parts. */
      readonly expectedBytes?: number;
      readonly beforeVisible?: (content: FileRecord) => Promise<void>;
    },
  ): Promise<StoredObject>;
  /** The object's bytes, or a range of them. They aren't compared with anything here. */
  open(objectKey: string, range?: { readonly offset: number; readonly bytes: number }): Promise<Readable>;
  close(): void;
}

/**
 * What the settings say to connect with: the access key in the directory where the Secret is mounted, or undefined
 * where the pod's own identity counts. Throws {@link ObjectStorageError} when a key is wanted and there is none: a
 * pod without its Secret must not go on under whatever identity the machine has.
 */
export async function objectStorageCredentialsFrom(
  directory: string,
  settings: Pick<ObjectStorageSettingsInput, "credentials">,
): Promise<ObjectStorageCredentials | undefined> {
  if (settings.credentials === "ambient") return undefined;
  const read = async (name: string): Promise<string> =>
    (await readFile(path.join(directory, name), "utf8")).trim();
  try {
    return { accessKeyId: await read("accessKeyId"), secretAccessKey: await read("secretAccessKey") };
  } catch (error) {
    const { message } = error as Error;
    throw new ObjectStorageError(
      `the object storage's access key can't be read (${message}): mount its Secret at ${directory}, or set ` +
        `objectStorage.credentials to ambient where the pod has a role of its own`,
      { cause: error },
    );
  }
}

/** The client that everything of ours reaches a bucket with. Throws {@link ObjectStorageError} when the CA file can't be read. */
export function objectStorageClient(
  settings: ObjectStorageSettingsInput,
  credentials?: ObjectStorageCredentials,
): S3Client {
  // The SDK looks for its own settings at home, and fails when a uid without a passwd entry has none.
  process.env["HOME"] ??= "/";
  return new S3Client({
    region: settings.region,
    forcePathStyle: settings.forcePathStyle,
    ...(settings.endpoint === null ? {} : { endpoint: settings.endpoint }),
    // A copy: the SDK writes notes of its own into what it is given.
    ...(credentials === undefined ? {} : { credentials: { ...credentials } }),
    // The checksums are ours, over the bytes that were recorded; the SDK's own would be over what it was handed.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 4,
    // The error is thrown; the SDK would print about it as well.
    logger: SILENT,
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: 120_000,
      // Instead of the public authorities, not besides them: nobody else vouches for this endpoint. An agent, not
      // its options: for bodies of over 2 MiB the SDK waits for "100 Continue" with an agent that it makes itself,
      // and that one knows nothing of the options (smithy-typescript, NodeHttpHandler).
      ...(settings.caFile ? { httpsAgent: privateAgent(settings.caFile) } : {}),
    },
    ...(settings.caFile ? { expectContinueHeader: false } : {}),
  });
}

function privateAgent(caFile: string): Agent {
  try {
    return new Agent({ ca: readFileSync(caFile), keepAlive: true, maxSockets: 50 });
  } catch (error) {
    const { message } = error as Error;
    throw new ObjectStorageError(
      `the certificates that the object storage is checked against can't be read (${message}): mount the Secret ` +
        `that has them, or set objectStorage.caFile to null where a public authority signed`,
      { cause: error },
    );
  }
}

/** Throws {@link ObjectStorageError} when the settings name a CA file that can't be read. */
export function connectObjectStorage(
  settings: ObjectStorageSettingsInput,
  credentials?: ObjectStorageCredentials,
  /**
   * By default files of up to 512 MiB go in one put, and larger ones in parts of 16 MiB, more for files of over
   * 156 GiB, of which four are on their way at once.
   */
  upload: Partial<UploadSettings> = {},
): ObjectStorage {
  const { bucket } = settings;
  const uploads: UploadSettings = {
    ...{ partBytes: PART_BYTES, concurrency: 4, wholeFileBytes: WHOLE_FILE_BYTES },
    ...upload,
  };
  const buffers = new PartBuffers();
  const known: KnownOfServer = {};
  const client = objectStorageClient(settings, credentials);

  const head = async (
    objectKey: string,
    signal: AbortSignal,
    PartNumber?: number,
  ): Promise<HeadObjectCommandOutput | undefined> => {
    const late = AbortSignal.timeout(HEAD_MILLISECONDS);
    try {
      return await client.send(
        new HeadObjectCommand({
          ...{ Bucket: bucket, Key: objectKey, ChecksumMode: "ENABLED" },
          ...(PartNumber !== undefined && { PartNumber }),
        }),
        { abortSignal: AbortSignal.any([signal, late]) },
      );
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      // The SDK says of every signal that it was asked to stop; a server that is silent is away.
      const cause: unknown = late.aborted && !signal.aborted ? late.reason : error;
      throw wrapped(cause, "read the attributes of", bucket, objectKey);
    }
  };

  /** For stores that keep no checksum of their own. */
  const readBack = async (objectKey: string, abortSignal: AbortSignal): Promise<string> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: objectKey }), {
      abortSignal,
    });
    const hash = createHash("sha256");
    for await (const chunk of Body as Readable) hash.update(chunk as Buffer);
    return hash.digest("hex");
  };

  /** Throws when the object is not what was expected. */
  const requireSame = async (
    objectKey: string,
    found: HeadObjectCommandOutput,
    expected: FileRecord,
    checksum: string,
    signal: AbortSignal,
  ): Promise<void> => {
    const bytes = found.ContentLength ?? 0;
    const same =
      found.ChecksumSHA256 === undefined
        ? (await readBack(objectKey, signal)) === expected.sha256
        : found.ChecksumSHA256 === checksum;
    if (bytes === expected.bytes && same) return;
    throw new ContentMismatchError(
      `object ${objectKey} in bucket ${bucket} is there with other content (${bytes} bytes, SHA-256 ` +
        `${found.ChecksumSHA256 ?? "unknown"}; expected ${expected.bytes} bytes, ${checksum}): it is left as it is`,
    );
  };

  /** Of parts as they are there, which another release or another writer may have made in another size. */
  const partBytesThere = async (
    objectKey: string,
    { ChecksumSHA256, ContentLength }: HeadObjectCommandOutput,
    signal: AbortSignal,
  ): Promise<number | "whole"> => {
    const parts = Number(/-(\d+)$/.exec(ChecksumSHA256 ?? "")?.[1] ?? 0);
    if (parts === 0) return "whole";
    const ours = partBytesOf(ContentLength ?? 0, uploads);
    if (Math.ceil((ContentLength ?? 0) / ours) === parts) return ours;
    return (await head(objectKey, signal, 1))?.ContentLength || ours;
  };

  const compare = async (
    objectKey: string,
    found: HeadObjectCommandOutput,
    file: FileHandle,
    expected: FileRecord,
    signal: AbortSignal,
  ): Promise<void> => {
    const partBytes = await partBytesThere(objectKey, found, signal);
    const checksum = await checksumOf(file, expected, partBytes, objectKey);
    await requireSame(objectKey, found, expected, checksum, signal);
  };

  /** The checksum that the object must show; undefined when someone else wrote the same key meanwhile. */
  const write = async (
    objectKey: string,
    put: () => Promise<string | undefined>,
  ): Promise<string | undefined> => {
    try {
      return await put();
    } catch (error) {
      if (CONFLICTS.includes(statusOf(error) ?? 0)) return undefined;
      throw wrapped(error, "write", bucket, objectKey);
    }
  };

  /** A put of more than a part; undefined when the object is there although its answer was lost. */
  const putLarge = async (
    objectKey: string,
    file: FileHandle,
    expected: FileRecord,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    const target = { Bucket: bucket, Key: objectKey };
    if (expected.bytes <= uploads.wholeFileBytes) {
      try {
        return await putWholeFile(client, known, target, file, expected, buffers, signal);
      } catch (error) {
        const settled = error instanceof ContentMismatchError || CONFLICTS.includes(statusOf(error) ?? 0);
        if (settled || signal.aborted) throw error;
        if (await head(objectKey, signal)) return undefined;
      }
    }
    // Each of which is sent again by itself.
    return putParts(client, known, target, file, expected, uploads, buffers, signal);
  };

  const written = async (objectKey: string, signal: AbortSignal): Promise<HeadObjectCommandOutput> => {
    const found = await head(objectKey, signal);
    if (found) return found;
    throw new ObjectStorageError(`object ${objectKey} in bucket ${bucket} is not there after it was written`);
  };

  return {
    bucket,
    async putFile(objectKey, file, expected, signal = NEVER_ABORTED) {
      const stored = { bucket, objectKey, bytes: expected.bytes, sha256: expected.sha256 };
      const before = await head(objectKey, signal);
      if (before) {
        await compare(objectKey, before, file, expected, signal);
        return stored;
      }
      const target = { Bucket: bucket, Key: objectKey };
      const checksum = await write(objectKey, async () => {
        if (expected.bytes > partBytesOf(expected.bytes, uploads)) {
          return putLarge(objectKey, file, expected, signal);
        }
        const buffer = await buffers.take(expected.bytes);
        try {
          const body = await readPart(file, 0, buffer.subarray(0, expected.bytes));
          const sha256 = createHash("sha256").update(body).digest("hex");
          requireContent(objectKey, sha256, expected);
          return await putWhole(client, known, target, body, sha256, signal);
        } finally {
          buffers.give(buffer);
        }
      });
      const after = await written(objectKey, signal);
      if (checksum === undefined) await compare(objectKey, after, file, expected, signal);
      else await requireSame(objectKey, after, expected, checksum, signal);
      return stored;
    },
    async putBytes(objectKey, content, signal = NEVER_ABORTED) {
      const sha256 = createHash("sha256").update(content).digest("hex");
      const expected = { bytes: content.byteLength, sha256 };
      const target = { Bucket: bucket, Key: objectKey };
      const checksum = Buffer.from(sha256, "hex").toString("base64");
      let found = await head(objectKey, signal);
      if (!found) {
        await write(objectKey, () => putWhole(client, known, target, content, sha256, signal));
        found = await written(objectKey, signal);
      }
      await requireSame(objectKey, found, expected, checksum, signal);
      return { bucket, objectKey, ...expected };
    },
    async putStream(objectKey, chunks, { expectedBytes = 0, beforeVisible } = {}) {
      const target = { Bucket: bucket, Key: objectKey };
      const written = await putStream(
        client,
        known,
        target,
        chunks,
        partBytesOf(expectedBytes, uploads),
        beforeVisible,
      ).catch((error: unknown) => {
        // What the source or the caller threw is theirs.
        throw isOfTheServer(error) ? wrapped(error, "write", bucket, objectKey) : error;
      });
      const found = await head(objectKey, NEVER_ABORTED);
      if (!found) {
        throw new ObjectStorageError(
          `object ${objectKey} in bucket ${bucket} is not there after it was written`,
        );
      }
      await requireSame(objectKey, found, written.content, written.checksum, NEVER_ABORTED);
      return { bucket, objectKey, ...written.content };
    },
    async open(objectKey, range) {
      const Range = range && `bytes=${range.offset}-${range.offset + range.bytes - 1}`;
      // No range names nothing.
      if (range?.bytes === 0) return Readable.from([]);
      try {
        const { Body } = await client.send(
          new GetObjectCommand({ Bucket: bucket, Key: objectKey, ...(Range !== undefined && { Range }) }),
        );
        return Body as Readable;
      } catch (error) {
        throw wrapped(error, "read", bucket, objectKey);
      }
    },
    close: () => client.destroy(),
  };
}

function isOfTheServer(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string };
  if (statusOf(error) !== undefined || name === "TimeoutError") return true;
  return /^E(CONN|PIPE|HOST|NET|TIMEDOUT|AI_)/.test(code ?? "");
}

function wrapped(error: unknown, what: string, bucket: string, objectKey: string): unknown {
  if (error instanceof ContentMismatchError || error instanceof ObjectStorageError) return error;
  const { name, message } = error as Error;
  return new ObjectStorageError(
    `couldn't ${what} object ${objectKey} in bucket ${bucket}: ${name}: ${message}`,
    {
      cause: error,
    },
  );
}
