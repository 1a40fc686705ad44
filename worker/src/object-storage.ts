import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import type { FileRecord } from "@video-storage/contract/job-record";
import type { ObjectStorageSettingsInput } from "@video-storage/contract/schemas";
import { ContentMismatchError, ObjectStorageError } from "./errors.js";

/** S3 takes 10,000 parts of 5 MiB to 5 GiB; a part is held in memory. */
const SMALLEST_PART_BYTES = 16 * 1024 * 1024;
const MAXIMUM_PARTS = 10_000;

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
  /** The object's bytes. They aren't compared with anything here. */
  open(objectKey: string): Promise<Readable>;
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
    ...(credentials === undefined ? {} : { credentials }),
    // The checksums are ours, over the bytes that were recorded; the SDK's own would be over what it was handed.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 4,
    // The error is thrown; the SDK would print about it as well.
    logger: SILENT,
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: 120_000,
      // Instead of the public authorities, not besides them: nobody else vouches for this endpoint.
      ...(settings.caFile ? { httpsAgent: { ca: authorities(settings.caFile), keepAlive: true } } : {}),
    },
  });
}

function authorities(caFile: string): Buffer {
  try {
    return readFileSync(caFile);
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
  /** For tests; by default 16 MiB, more for files of over 156 GiB. */
  smallestPartBytes: number = SMALLEST_PART_BYTES,
): ObjectStorage {
  const { bucket } = settings;
  const client = objectStorageClient(settings, credentials);

  const existing = async (
    objectKey: string,
    abortSignal: AbortSignal,
  ): Promise<{ bytes: number; checksum: string | undefined } | undefined> => {
    try {
      const head = await client.send(
        new HeadObjectCommand({ Bucket: bucket, Key: objectKey, ChecksumMode: "ENABLED" }),
        { abortSignal },
      );
      return { bytes: head.ContentLength ?? 0, checksum: head.ChecksumSHA256 };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw wrapped(error, "read the attributes of", bucket, objectKey);
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

  /** Whether the object is there as expected; throws when it is there and differs. */
  const isThere = async (
    objectKey: string,
    expected: FileRecord,
    checksum: string,
    abortSignal: AbortSignal,
  ): Promise<boolean> => {
    const found = await existing(objectKey, abortSignal);
    if (found === undefined) return false;
    const same =
      found.checksum === undefined
        ? (await readBack(objectKey, abortSignal)) === expected.sha256
        : found.checksum === checksum;
    if (found.bytes === expected.bytes && same) return true;
    throw new ContentMismatchError(
      `object ${objectKey} in bucket ${bucket} is there with other content (${found.bytes} bytes, SHA-256 ` +
        `${found.checksum ?? "unknown"}; expected ${expected.bytes} bytes, ${checksum}): it is left as it is`,
    );
  };

  const putWhole = async (
    objectKey: string,
    body: Buffer,
    expected: FileRecord,
    checksum: string,
    abortSignal: AbortSignal,
  ): Promise<void> => {
    await client.send(
      new PutObjectCommand({
        ...{ Bucket: bucket, Key: objectKey, Body: body, ContentLength: body.byteLength, IfNoneMatch: "*" },
        ...{ ChecksumSHA256: checksum, Metadata: { sha256: expected.sha256 } },
      }),
      { abortSignal },
    );
  };

  const putParts = async (
    objectKey: string,
    file: FileHandle,
    expected: FileRecord,
    digests: readonly string[],
    partBytes: number,
    abortSignal: AbortSignal,
  ): Promise<void> => {
    const target = { Bucket: bucket, Key: objectKey };
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({
        ...target,
        ...{ ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE", Metadata: { sha256: expected.sha256 } },
      }),
      { abortSignal },
    );
    try {
      const parts = [];
      for (const [index, ChecksumSHA256] of digests.entries()) {
        const PartNumber = index + 1;
        const Body = await readPart(
          file,
          index * partBytes,
          Math.min(partBytes, expected.bytes - index * partBytes),
        );
        const { ETag } = await client.send(
          new UploadPartCommand({
            ...target,
            UploadId,
            PartNumber,
            Body,
            ContentLength: Body.byteLength,
            ChecksumSHA256,
          }),
          { abortSignal },
        );
        parts.push({ PartNumber, ETag, ChecksumSHA256 });
      }
      await client.send(
        new CompleteMultipartUploadCommand({
          ...target,
          UploadId,
          IfNoneMatch: "*",
          MultipartUpload: { Parts: parts },
        }),
        { abortSignal },
      );
    } catch (error) {
      // What isn't aborted here is removed by the bucket's rule for unfinished uploads.
      await client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => undefined);
      throw error;
    }
  };

  return {
    bucket,
    async putFile(objectKey, file, expected, signal = NEVER_ABORTED) {
      const partBytes = Math.max(smallestPartBytes, Math.ceil(expected.bytes / MAXIMUM_PARTS));
      const digests = await digestParts(file, expected, partBytes, objectKey);
      const checksum = digests.length === 1 ? digests[0]! : compositeChecksum(digests);
      if (!(await isThere(objectKey, expected, checksum, signal))) {
        try {
          if (digests.length === 1) {
            await putWhole(objectKey, await readPart(file, 0, expected.bytes), expected, checksum, signal);
          } else {
            await putParts(objectKey, file, expected, digests, partBytes, signal);
          }
        } catch (error) {
          // 412, 409: someone else wrote the same key meanwhile; what is there decides.
          if (![409, 412].includes(statusOf(error) ?? 0)) throw wrapped(error, "write", bucket, objectKey);
        }
        if (!(await isThere(objectKey, expected, checksum, signal))) {
          throw new ObjectStorageError(
            `object ${objectKey} in bucket ${bucket} is not there after it was written`,
          );
        }
      }
      return { bucket, objectKey, ...expected };
    },
    async open(objectKey) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: objectKey }));
        return Body as Readable;
      } catch (error) {
        throw wrapped(error, "read", bucket, objectKey);
      }
    },
    close: () => client.destroy(),
  };
}

/** What S3 says of an object in parts: the hash of the parts' hashes, and their number. All in base 64. */
export function compositeChecksum(digests: readonly string[]): string {
  const hash = createHash("sha256");
  for (const digest of digests) hash.update(Buffer.from(digest, "base64"));
  return `${hash.digest("base64")}-${digests.length}`;
}

async function digestParts(
  file: FileHandle,
  expected: FileRecord,
  partBytes: number,
  objectKey: string,
): Promise<string[]> {
  const whole = createHash("sha256");
  const digests: string[] = [];
  for (let start = 0; start === 0 || start < expected.bytes; start += partBytes) {
    const part = await readPart(file, start, Math.min(partBytes, expected.bytes - start));
    whole.update(part);
    digests.push(createHash("sha256").update(part).digest("base64"));
  }
  const sha256 = whole.digest("hex");
  if (sha256 !== expected.sha256) {
    throw new ContentMismatchError(
      `the file for ${objectKey} has SHA-256 ${sha256}, not ${expected.sha256} as recorded: it is not copied`,
    );
  }
  return digests;
}

async function readPart(file: FileHandle, start: number, bytes: number): Promise<Buffer> {
  const part = Buffer.allocUnsafe(bytes);
  for (let offset = 0; offset < bytes;) {
    const { bytesRead } = await file.read(part, offset, bytes - offset, start + offset);
    if (bytesRead === 0)
      throw new ContentMismatchError(`a file ends at byte ${start + offset}, before its recorded end`);
    offset += bytesRead;
  }
  return part;
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
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
