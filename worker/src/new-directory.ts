import { randomUUID } from "node:crypto";
import fsSync, { constants } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { serializeJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, jobDirectory } from "@video-storage/contract/layout";
import { DirectoryLockedError, lockShared, tryLockExclusive } from "./directory-lock.js";
import { syncDirectory, writeDurably } from "./durable-files.js";
import { JobExistsError, errorCode } from "./errors.js";

/** Begins the name under which a job's directory is made, until it is complete. */
const NEW_PREFIX = ".new-";
const DIRECTORY_MODE = 0o750;
const SET_GROUP_ID = 0o2000;

/**
 * A job's directory with its record and `logs/`, complete and durable from the moment that it has its name, and
 * locked before that. Returns the descriptor that holds the lock.
 */
export async function createJobDirectory(root: string, record: JobRecord): Promise<number> {
  const text = serializeJobRecord(record);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryCreate(root, record, text);
    } catch (error) {
      // Another worker on the volume took the directory for a dead worker's, before it was locked.
      const lost = error instanceof DirectoryLockedError || errorCode(error) === "ENOENT";
      if (!lost || attempt === 3) throw error;
    }
  }
}

async function tryCreate(root: string, record: JobRecord, text: string): Promise<number> {
  const temporary = path.join(root, `${NEW_PREFIX}${randomUUID()}`);
  await makeDirectory(temporary);
  const lease = openDirectory(temporary);
  try {
    lockShared(lease);
    await makeDirectory(path.join(temporary, LOGS_DIRECTORY));
    await writeDurably(temporary, METADATA_FILE, [text]);
    await fs.rename(temporary, jobDirectory(root, record.jobId));
    await syncDirectory(root);
    return lease;
  } catch (error) {
    await removeUnfinished(temporary);
    fsSync.closeSync(lease);
    if (errorCode(error) === "ENOTEMPTY" || errorCode(error) === "EEXIST") {
      throw new JobExistsError(`job ${record.jobId} exists on this volume already: job ids are used once`);
    }
    throw error;
  }
}

/** Removes what workers left that died while they made a directory. */
export async function removeUnfinishedDirectories(root: string): Promise<void> {
  for (const name of await fs.readdir(root)) {
    if (!name.startsWith(NEW_PREFIX)) continue;
    const directory = path.join(root, name);
    const descriptor = tryOpenDirectory(directory);
    if (descriptor === undefined) continue;
    try {
      if (tryLockExclusive(descriptor)) await removeUnfinished(directory);
    } finally {
      fsSync.closeSync(descriptor);
    }
  }
}

/** Only what {@link createJobDirectory} makes, by name: whatever else lies there is left, and with it the directory. */
export async function removeUnfinished(directory: string): Promise<void> {
  const names = await fs.readdir(directory).catch(() => []);
  for (const name of names.filter((n) => n.startsWith(METADATA_FILE))) {
    await fs.unlink(path.join(directory, name)).catch(() => undefined);
  }
  await fs.rmdir(path.join(directory, LOGS_DIRECTORY)).catch(() => undefined);
  await fs.rmdir(directory).catch(() => undefined);
}

/** The process's umask takes from a new directory what the upload group needs, and the worker can't give it back. */
export class StrictUmaskError extends Error {
  override readonly name = "StrictUmaskError";
  constructor() {
    super(
      "the process's umask keeps the upload group from reading new directories; set it to 0027 or 0022 " +
        "before jobs are created (process.umask(0o027))",
    );
  }
}

async function makeDirectory(directory: string): Promise<void> {
  await fs.mkdir(directory, DIRECTORY_MODE);
  // The process's umask may be stricter. Where it isn't, nothing is changed: a worker isn't in the upload group,
  // and chmod(2) takes the set-group bit from a directory whose group is not the caller's.
  const { mode } = await fs.stat(directory);
  const wanted = (mode & SET_GROUP_ID) | DIRECTORY_MODE;
  if ((mode & 0o7777) === wanted) return;
  await fs.chmod(directory, wanted);
  if (((await fs.stat(directory)).mode & 0o7777) === wanted) return;
  await fs.rmdir(directory);
  throw new StrictUmaskError();
}

/** A number and not a FileHandle: nothing closes it, and thus drops the lock, because it isn't referred to. */
export function openDirectory(directory: string): number {
  return fsSync.openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function tryOpenDirectory(directory: string): number | undefined {
  try {
    return openDirectory(directory);
  } catch {
    return undefined;
  }
}
