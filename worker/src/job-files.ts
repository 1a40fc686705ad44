import fsSync, { constants } from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ContentMismatchError, UnsafeFileError, errorCode } from "./errors.js";

/** No link is followed, and no FIFO waited for. */
const READING = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a file for reading below a directory that is already open, whoever writes there: another worker's
 * directory is not to be trusted, and what is read here leaves for a bucket. Nothing but a regular file with one
 * name, of the directory's own owner and device, is opened; links aren't followed and FIFOs don't block.
 * Throws {@link UnsafeFileError}; ENOENT as it is.
 */
export async function openJobFile(directory: number, name: string): Promise<FileHandle> {
  const path = `/proc/self/fd/${directory}/${name}`;
  const handle = await fs.open(path, READING).catch((error: unknown) => {
    if (["ELOOP", "ENXIO"].includes(errorCode(error) ?? "")) throw refusal(name, "it is a link or a socket");
    throw error;
  });
  try {
    const file = await handle.stat({ bigint: true });
    const parent = fsSync.fstatSync(directory, { bigint: true });
    if (!file.isFile()) throw refusal(name, "it is not a regular file");
    if (file.nlink !== 1n) throw refusal(name, `it has ${file.nlink} names`);
    if (file.uid !== parent.uid)
      throw refusal(name, `it belongs to user ${file.uid}, its job to ${parent.uid}`);
    if (file.dev !== parent.dev) throw refusal(name, "it is on another filesystem");
    await requireOnlyName(handle, path, file, name);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The text of a file of a job's own worker. Whatever lies in its place, nobody waits for it: a FIFO has no end. */
export function readJobFileSync(directory: number, name: string): string {
  const fd = fsSync.openSync(`/proc/self/fd/${directory}/${name}`, READING);
  try {
    if (!fsSync.fstatSync(fd).isFile()) throw refusal(name, "it is not a regular file");
    return fsSync.readFileSync(fd, "utf8");
  } finally {
    fsSync.closeSync(fd);
  }
}

/** Older kernels give all changes within one tick of at most 10 ms the same time. */
const TICK_MILLISECONDS = 20;

/**
 * That the file's one name is the one it was opened by. A second name of somebody's file could have been opened here
 * and removed before its names were counted. To bring it back changes the file's time of change, whatever else.
 */
async function requireOnlyName(
  handle: FileHandle,
  path: string,
  before: fsSync.BigIntStats,
  name: string,
): Promise<void> {
  if (Date.now() - Number(before.ctimeMs) < TICK_MILLISECONDS) await sleep(TICK_MILLISECONDS);
  const named = await fs.lstat(path, { bigint: true });
  const after = await handle.stat({ bigint: true });
  const same = named.ino === before.ino && named.dev === before.dev;
  if (same && after.nlink === 1n && after.ctimeNs === before.ctimeNs) return;
  throw refusal(name, "it was exchanged while it was opened");
}

/** Opens a directory below one that is already open, and no link to one. */
export function openBelow(directory: number, name: string): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  return fsSync.openSync(`/proc/self/fd/${directory}/${name}`, flags);
}

function refusal(name: string, why: string): UnsafeFileError {
  return new UnsafeFileError(`${name} is not read: ${why}; a worker writes only regular files of its own`);
}

/** Fills all of `into`. Throws ContentMismatchError when the file ends before. */
export async function readPart(file: FileHandle, start: number, into: Buffer): Promise<Buffer> {
  for (let offset = 0; offset < into.byteLength;) {
    const { bytesRead } = await file.read(into, offset, into.byteLength - offset, start + offset);
    if (bytesRead === 0)
      throw new ContentMismatchError(`a file ends at byte ${start + offset}, before its recorded end`);
    offset += bytesRead;
  }
  return into;
}
