import { createHash, randomUUID } from "node:crypto";
import type { Hash } from "node:crypto";
import { constants } from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { FileRecord } from "@video-storage/contract/job-record";
import { PART_SUFFIX, TEMPORARY_SUFFIX } from "@video-storage/contract/layout";
import { lockShared } from "./directory-lock.js";
import {
  ContentMismatchError,
  DrainedError,
  ObjectStorageError,
  VolumeFullError,
  errorCode,
} from "./errors.js";

/** Read by the worker and the upload group, by nobody else, executed by no one. */
export const FILE_MODE = 0o640;

/** Strings are written as UTF-8. A chunk must not be changed after it was given: it may be written a moment later. */
export type Chunks = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

export interface WriteOptions {
  /** Fewer or more bytes than that are a {@link ContentMismatchError}. */
  readonly expectedBytes?: number;
  /** The name of a file in the same directory that this one begins with; it is gone once this one is there. */
  readonly continuing?: string;
  /** Given all bytes when they are on the disk: calls the function, which gives them their name, when it may. */
  readonly naming?: (rename: () => Promise<void>) => Promise<void>;
  /** Ends the write: what there is then is kept as `{name}.part`, and the write throws {@link DrainedError}. */
  readonly drained?: AbortSignal;
  /** Asked now and then, with what is still to come where that is known: whether the volume has no room for it. */
  readonly lacksRoom?: (neededBytes: number) => Promise<boolean>;
  /**
   * Where the file goes instead when the volume has no room for it, from its first byte; what it returns is the
   * file's record. Without it that is a {@link VolumeFullError}.
   */
  readonly elsewhere?: (chunks: AsyncIterable<Uint8Array>) => Promise<FileRecord>;
}

/** Small chunks are held until they are as many: each write is a way to another thread and back. */
const BYTES_AT_ONCE = 1024 * 1024;
/** How often the volume's room is looked at. */
const BYTES_BETWEEN_LOOKS = 16 * 1024 * 1024;

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
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const target = path.join(directory, name);
  const rename = async (to: string): Promise<void> => {
    const naming = async (): Promise<void> => {
      await fs.rename(temporary, to);
      await syncDirectory(directory);
    };
    await (options.naming ? options.naming(naming) : naming());
  };
  try {
    const handle = await fs.open(temporary, flags, FILE_MODE);
    let written: Written;
    try {
      // Whoever completes the job from another process sees by this that the file is being written. A scanner may
      // have been faster, and then it is the scanner that keeps the file from being taken for a dead worker's.
      tryLock(handle.fd);
      // The process's umask may be stricter than the upload group needs.
      await handle.chmod(FILE_MODE);
      written = await writeChunks(handle, directory, name, chunks, options);
      if (written.end !== "elsewhere") await handle.sync();
    } finally {
      await handle.close();
    }
    if (written.end === "drained") {
      await rename(`${target}${PART_SUFFIX}`);
      throw new DrainedError(
        `${name} wasn't finished, because its worker is being drained: its first ${written.file.bytes} bytes are in ` +
          `${name}${PART_SUFFIX}`,
      );
    }
    if (written.end === "elsewhere") await fs.unlink(temporary);
    else await rename(target);
    if (options.continuing !== undefined) await fs.unlink(path.join(directory, options.continuing));
    return written.file;
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined);
    if (isFull(error)) {
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

interface Written {
  readonly end: "whole" | "drained" | "elsewhere";
  readonly file: FileRecord;
}

async function writeChunks(
  handle: FileHandle,
  directory: string,
  name: string,
  chunks: Chunks,
  options: WriteOptions,
): Promise<Written> {
  const { expectedBytes, drained, lacksRoom, elsewhere } = options;
  const hash = createHash("sha256");
  let bytes = 0;
  const take = (chunk: Uint8Array | string): Uint8Array => {
    const buffer = typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk;
    if (!(buffer instanceof Uint8Array)) throw new TypeError("a chunk must be a string or a Uint8Array");
    bytes += buffer.byteLength;
    if (expectedBytes !== undefined && bytes > expectedBytes) throw mismatch(`more than`, expectedBytes);
    return buffer;
  };
  const isDrained = (): boolean => drained?.aborted === true;
  const iterator = iterate(
    options.continuing === undefined ? chunks : joined(path.join(directory, options.continuing), chunks),
  );
  // Not Promise.race: a promise that lasts would collect one reaction for every chunk.
  let wake: ((what: "drained") => void) | undefined;
  const onDrain = (): void => wake?.("drained");
  drained?.addEventListener("abort", onDrain);
  const next = (): Promise<IteratorResult<Uint8Array | string> | "drained"> =>
    new Promise((resolve, reject) => {
      if (isDrained()) return resolve("drained");
      wake = resolve;
      Promise.resolve(iterator.next()).then(resolve, reject);
    });
  const finish = (): FileRecord => {
    if (expectedBytes !== undefined && bytes < expectedBytes)
      throw mismatch(`only ${bytes} of`, expectedBytes);
    return { bytes, sha256: hash.digest("hex") };
  };
  let finished = false;
  let written = 0;
  let looked: number | undefined;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  /** Writes what is held; returns what the volume had no room for, when it may go elsewhere. */
  const flush = async (): Promise<Uint8Array | undefined> => {
    if (heldBytes === 0) return undefined;
    const buffers = held;
    const total = heldBytes;
    held = [];
    heldBytes = 0;
    let offset = 0;
    const writing = (async (): Promise<void> => {
      if (buffers.length > 1) offset = (await handle.writev(buffers)).bytesWritten;
      if (offset === total) return;
      const buffer = asOne(buffers);
      while (offset < total) offset += (await handle.write(buffer, offset, total - offset)).bytesWritten;
    })();
    // Hashed while the system writes: the one would otherwise add to the other.
    for (const buffer of buffers) hash.update(buffer);
    try {
      await writing;
    } catch (error) {
      if (!isFull(error) || !elsewhere) throw error;
      return asOne(buffers).subarray(offset);
    } finally {
      written += offset;
    }
    return undefined;
  };
  try {
    for (;;) {
      let rest: Uint8Array | undefined;
      if (lacksRoom && elsewhere && (looked === undefined || written - looked >= BYTES_BETWEEN_LOOKS)) {
        looked = written;
        if (await lacksRoom(Math.max(0, (expectedBytes ?? 0) - written))) {
          rest = Buffer.concat(held, heldBytes);
          held = [];
          heldBytes = 0;
        }
      }
      if (rest === undefined) {
        const result = await next();
        if (result !== "drained" && !result.done) {
          const buffer = take(result.value);
          held.push(buffer);
          heldBytes += buffer.byteLength;
          if (heldBytes < BYTES_AT_ONCE) continue;
        }
        rest = await flush();
        if (rest === undefined && result === "drained") {
          return { end: "drained", file: { bytes: written, sha256: hash.digest("hex") } };
        }
        if (rest === undefined && result !== "drained" && result.done) {
          finished = true;
          return { end: "whole", file: finish() };
        }
      }
      if (rest === undefined) continue;
      // No room for the rest: all of it goes elsewhere, what is on the volume first.
      const first = written;
      const remaining = rest;
      const all = async function* (): AsyncGenerator<Uint8Array> {
        yield* readBack(handle, first);
        if (remaining.byteLength > 0) yield remaining;
        for (;;) {
          const result = await next();
          if (result === "drained") {
            throw new DrainedError(`${name} wasn't finished, because its worker is being drained`);
          }
          if (result.done) break;
          yield take(result.value);
        }
        finished = true;
        if (expectedBytes !== undefined && bytes < expectedBytes) {
          throw mismatch(`only ${bytes} of`, expectedBytes);
        }
      };
      try {
        return { end: "elsewhere", file: await elsewhere!(all()) };
      } catch (error) {
        if (error instanceof ObjectStorageError) {
          throw new VolumeFullError(
            `the volume has no room for ${name}, and it couldn't go to object storage instead: ${error.message}`,
            { cause: error },
          );
        }
        // Its beginning is on the volume still.
        if (!(error instanceof DrainedError)) throw error;
        const whole = createHash("sha256");
        for await (const chunk of readBack(handle, first)) whole.update(chunk);
        return { end: "drained", file: { bytes: first, sha256: whole.digest("hex") } };
      }
    }
  } finally {
    drained?.removeEventListener("abort", onDrain);
    // A source that is in the middle of a wait ends when it can, and nobody waits for that.
    if (!finished) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function iterate(chunks: Chunks): AsyncIterator<Uint8Array | string> | Iterator<Uint8Array | string> {
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
}

async function* joined(beginning: string, rest: Chunks): AsyncGenerator<Uint8Array | string> {
  const handle = await fs.open(beginning, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    yield* readBack(handle, (await handle.stat()).size);
  } finally {
    await handle.close();
  }
  yield* rest;
}

async function* readBack(handle: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < bytes;) {
    const buffer = Buffer.allocUnsafe(Math.min(1024 * 1024, bytes - position));
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, position);
    if (bytesRead === 0) throw new ContentMismatchError(`a file ended at byte ${position}, before its end`);
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Size and checksum of an open file, in bounded memory. */
export async function digest(file: FileHandle): Promise<FileRecord> {
  const hash: Hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, bytes);
    if (bytesRead === 0) return { bytes, sha256: hash.digest("hex") };
    hash.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
}

function asOne(buffers: readonly Uint8Array[]): Uint8Array {
  return buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
}

function tryLock(descriptor: number): void {
  try {
    lockShared(descriptor);
  } catch {
    // Explained where it is called.
  }
}

function isFull(error: unknown): boolean {
  return errorCode(error) === "ENOSPC" || errorCode(error) === "EDQUOT";
}

function mismatch(found: string, expectedBytes: number): ContentMismatchError {
  return new ContentMismatchError(`there were ${found} ${expectedBytes} expected bytes: nothing was kept`);
}
