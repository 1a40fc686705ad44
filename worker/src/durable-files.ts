import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { FileRecord } from "@video-storage/contract/job-record";
import { TEMPORARY_SUFFIX } from "@video-storage/contract/layout";
import { ContentMismatchError, VolumeFullError, errorCode } from "./errors.js";

/** Read by the worker and the upload group, by nobody else, executed by no one. */
export const FILE_MODE = 0o640;

/** Strings are written as UTF-8. */
export type Chunks = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

export interface WriteOptions {
  /** Fewer or more bytes than that are a {@link ContentMismatchError}. */
  readonly expectedBytes?: number;
  /** Asked when all bytes are on the disk, before they get their name; what it throws ends the write. */
  readonly beforeNaming?: () => void;
}

/**
 * Writes a file so that its name means all of its bytes, whatever is killed when: temporary name, fsync, rename,
 * fsync of the directory. An existing file of that name is replaced. After an error nothing of it is left.
 */
export async function writeDurably(
  directory: string,
  name: string,
  chunks: Chunks,
  options: WriteOptions = {},
): Promise<FileRecord> {
  const temporary = path.join(directory, `${name}.${randomUUID()}${TEMPORARY_SUFFIX}`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    const handle = await fs.open(temporary, flags, FILE_MODE);
    let written: FileRecord;
    try {
      // The process's umask may be stricter than the upload group needs.
      await handle.chmod(FILE_MODE);
      written = await writeChunks(handle, chunks, options.expectedBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    options.beforeNaming?.();
    await fs.rename(temporary, path.join(directory, name));
    await syncDirectory(directory);
    return written;
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined);
    if (errorCode(error) === "ENOSPC" || errorCode(error) === "EDQUOT") {
      throw new VolumeFullError(
        `the volume is full: ${name} couldn't be written; say expectedBytes at createJob, so that such a job isn't begun`,
        { cause: error },
      );
    }
    throw error;
  }
}

/** Makes the directory's entries durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeChunks(
  handle: FileHandle,
  chunks: Chunks,
  expectedBytes: number | undefined,
): Promise<FileRecord> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunks) {
    const buffer = typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk;
    if (!(buffer instanceof Uint8Array)) throw new TypeError("a chunk must be a string or a Uint8Array");
    bytes += buffer.byteLength;
    if (expectedBytes !== undefined && bytes > expectedBytes) throw mismatch(`more than`, expectedBytes);
    hash.update(buffer);
    for (let offset = 0; offset < buffer.byteLength;) {
      offset += (await handle.write(buffer, offset, buffer.byteLength - offset)).bytesWritten;
    }
  }
  if (expectedBytes !== undefined && bytes < expectedBytes) throw mismatch(`only ${bytes} of`, expectedBytes);
  return { bytes, sha256: hash.digest("hex") };
}

function mismatch(found: string, expectedBytes: number): ContentMismatchError {
  return new ContentMismatchError(`there were ${found} ${expectedBytes} expected bytes: nothing was kept`);
}
