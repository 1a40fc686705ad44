import { createHash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import type { FileRecord } from "@video-storage/contract/job-record";
import { MultipartUpload } from "./multipart-upload.js";
import type { KnownOfServer, Target, UploadedPart } from "./multipart-upload.js";
import { compositeChecksum, putWhole } from "./object-upload.js";

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
  known: KnownOfServer,
  target: Target,
  chunks: AsyncIterable<Uint8Array>,
  partBytes: number,
  beforeVisible: ((content: FileRecord) => Promise<void>) | undefined,
): Promise<WrittenStream> {
  const whole = createHash("sha256");
  const parts: UploadedPart[] = [];
  let bytes = 0;
  let upload: MultipartUpload | undefined;
  const send = async (body: Buffer): Promise<void> => {
    upload ??= await MultipartUpload.begin(client, known, target, NEVER_ABORTED);
    const sha256 = createHash("sha256").update(body).digest();
    parts.push(await upload.send(parts.length + 1, body, sha256, NEVER_ABORTED));
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
    if (upload !== undefined) await send(last);
    const content = { bytes, sha256: whole.digest("hex") };
    await beforeVisible?.(content);
    if (upload === undefined) {
      return {
        content,
        checksum: await putWhole(client, known, target, last, content.sha256, NEVER_ABORTED),
      };
    }
    await (upload as MultipartUpload).complete(parts, NEVER_ABORTED);
    return { content, checksum: compositeChecksum(parts.map((part) => part.ChecksumSHA256)) };
  } catch (error) {
    await upload?.abort();
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
