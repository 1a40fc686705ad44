import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import {
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { ObjectStorageSettings } from "@video-storage/contract/schemas";

/** An object as it has to be: its checksum is known before a byte is sent. */
export interface ObjectContent {
  readonly key: string;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** The content from the beginning, anew at every call. */
  read(): Readable | Buffer;
}

/** Object storage behind S3's interface, and nothing else. */
export interface ObjectStore {
  readonly bucket: string;
  /** Resolves when the store holds exactly this content under the key, and has been asked whether it does. */
  putVerified(content: ObjectContent, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The store holds something else under the key, or not what was sent. It is left as it is. */
export class ObjectMismatchError extends Error {
  override readonly name = "ObjectMismatchError";
}

/** What one PutObject takes. Larger files need a multipart upload. */
export const MAXIMUM_OBJECT_BYTES = 5 * 1024 ** 3;

export interface ObjectStorageCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Without credentials the SDK's own chain is used: on AWS, the pod's role. */
export function openObjectStore(
  settings: ObjectStorageSettings,
  credentials: ObjectStorageCredentials | undefined,
): ObjectStore {
  // The SDK looks for its own settings at home, and fails when a uid without a passwd entry has none.
  process.env["HOME"] ??= "/";
  const client = new S3Client({
    region: settings.region,
    forcePathStyle: settings.forcePathStyle,
    ...(settings.endpoint !== null && { endpoint: settings.endpoint }),
    ...(credentials && { credentials }),
    // A stream can't be sent twice: the next sweep tries again.
    maxAttempts: 1,
    // The error is thrown and reported; the SDK would print about it as well.
    logger: SILENT,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
  });
  const { bucket } = settings;
  return {
    bucket,
    async putVerified(content, signal) {
      await put(client, bucket, content, signal);
      await verify(client, bucket, content, signal);
    },
    close: () => client.destroy(),
  };
}

async function put(
  client: S3Client,
  bucket: string,
  content: ObjectContent,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: content.key,
        Body: content.read(),
        ContentLength: content.bytes,
        // The store refuses anything that doesn't match: from the disk to the store it is one checksum.
        ChecksumSHA256: Buffer.from(content.sha256, "hex").toString("base64"),
        // A retry after a kill finds what the first try wrote and must not write over it.
        IfNoneMatch: "*",
      }),
      { abortSignal },
    );
  } catch (error) {
    if (!(error instanceof S3ServiceException) || error.$metadata.httpStatusCode !== 412) throw error;
  }
}

async function verify(
  client: S3Client,
  bucket: string,
  content: ObjectContent,
  abortSignal: AbortSignal,
): Promise<void> {
  const head = await client.send(
    new HeadObjectCommand({ Bucket: bucket, Key: content.key, ChecksumMode: "ENABLED" }),
    { abortSignal },
  );
  const found = head.ChecksumSHA256
    ? Buffer.from(head.ChecksumSHA256, "base64").toString("hex")
    : await readBack(client, bucket, content.key, abortSignal);
  if (head.ContentLength === content.bytes && found === content.sha256) return;
  throw new ObjectMismatchError(
    `${bucket}/${content.key} holds ${head.ContentLength} bytes with SHA-256 ${found}, and ${content.bytes} bytes with ${content.sha256} belong there: neither copy was changed`,
  );
}

/** For stores that keep no checksum of their own. */
async function readBack(
  client: S3Client,
  bucket: string,
  key: string,
  abortSignal: AbortSignal,
): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
  const hash = createHash("sha256");
  for await (const chunk of Body as Readable) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
