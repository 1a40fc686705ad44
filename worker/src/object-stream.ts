import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import type { FileRecord } from "@video-storage/contract/job-record";
import { compositeChecksum, putWhole } from "./object-upload.js";
import type { Target } from "./object-upload.js";

/** For ending an upload that failed: the server may be the reason. */
const ABORT_MILLISECONDS = 10_000;
const NEVER_ABORTED = new AbortController().signal;

/** What was written, and the checksum that the server must show for it. */
export interface WrittenStream {
  readonly content: FileRecord;
  readonly checksum: string;
}

/**
 * Writes bytes that come once and whose number isn't known, in parts of one size, of which two are in memory; the
 * server checks each. `beforeVisible` is asked when all have arrived and there is no object yet: what it throws
 * ends it. At most 10,000 parts.
 */
export async function putStream(
  client: S3Client,
  target: Target,
  chunks: AsyncIterable<Uint8Array>,
  partBytes: number,
  beforeVisible: ((content: FileRecord) => Promise<void>) | undefined,
): Promise<WrittenStream> {
  const whole = createHash("sha256");
  const parts: { PartNumber: number; ETag: string | undefined; ChecksumSHA256: string }[] = [];
  let bytes = 0;
  let UploadId: string | undefined;
  const begin = async (): Promise<string | undefined> => {
    const create = { ...target, ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE" } as const;
    return (await client.send(new CreateMultipartUploadCommand(create))).UploadId;
  };
  const send = async (body: Buffer): Promise<void> => {
    UploadId ??= await begin();
    const ChecksumSHA256 = createHash("sha256").update(body).digest("base64");
    const PartNumber = parts.length + 1;
    const part = { ...target, UploadId, PartNumber, ChecksumSHA256 };
    const { ETag } = await client.send(
      new UploadPartCommand({ ...part, Body: body, ContentLength: body.byteLength }),
    );
    parts.push({ PartNumber, ETag, ChecksumSHA256 });
  };
  try {
    let last: Buffer | undefined;
    for await (const body of inParts(chunks, partBytes)) {
      whole.update(body);
      bytes += body.byteLength;
      if (last) await send(last);
      last = body;
    }
    last ??= Buffer.alloc(0);
    if (UploadId !== undefined) await send(last);
    const content = { bytes, sha256: whole.digest("hex") };
    await beforeVisible?.(content);
    if (UploadId === undefined) {
      return { content, checksum: await putWhole(client, target, last, content.sha256, NEVER_ABORTED) };
    }
    const complete = { ...target, UploadId, IfNoneMatch: "*", MultipartUpload: { Parts: parts } };
    await client.send(new CompleteMultipartUploadCommand(complete));
    return { content, checksum: compositeChecksum(parts.map((part) => part.ChecksumSHA256)) };
  } catch (error) {
    if (UploadId !== undefined) {
      // What can't be ended now is ended by the janitor.
      await client
        .send(new AbortMultipartUploadCommand({ ...target, UploadId }), {
          abortSignal: AbortSignal.timeout(ABORT_MILLISECONDS),
        })
        .catch(() => undefined);
    }
    throw error;
  }
}

async function* inParts(chunks: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Buffer> {
  let part = Buffer.allocUnsafe(partBytes);
  let bytes = 0;
  for await (const chunk of chunks) {
    for (let offset = 0; offset < chunk.byteLength;) {
      const piece = chunk.subarray(offset, offset + partBytes - bytes);
      part.set(piece, bytes);
      bytes += piece.byteLength;
      offset += piece.byteLength;
      if (bytes < partBytes) continue;
      yield part;
      part = Buffer.allocUnsafe(partBytes);
      bytes = 0;
    }
  }
  if (bytes > 0) yield part.subarray(0, bytes);
}
