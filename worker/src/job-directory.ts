import fsSync from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isJobFileName } from "@video-storage/contract/file-names";
import { InvalidRecordError, MAXIMUM_RECORD_BYTES, parseJobRecord } from "@video-storage/contract/job-record";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, TEMPORARY_SUFFIX } from "@video-storage/contract/layout";
import { tryLockExclusive } from "./directory-lock.js";
import { FILE_MODE, digest } from "./durable-files.js";
import { ContentMismatchError, WritesInProgressError, errorCode } from "./errors.js";
import { openBelow, openJobFile } from "./job-files.js";

/** How long a scanner may hold what was left of a file before that counts as somebody's writing. */
const SCANNER_PATIENCE_MILLISECONDS = 10_000;

/** The record of a job whose directory is open, whoever wrote it. */
export async function readRecord(directory: number): Promise<JobRecord> {
  const file = await openJobFile(directory, METADATA_FILE);
  try {
    const { size } = await file.stat();
    if (size > MAXIMUM_RECORD_BYTES) throw new InvalidRecordError(`the job record has ${size} bytes`);
    return parseJobRecord(await file.readFile("utf8"));
  } finally {
    await file.close();
  }
}

/** Changes whenever the record does: it is always replaced, never written to. */
export function recordStamp(directory: number): string {
  const { ino, mtimeNs } = fsSync.statSync(`/proc/self/fd/${directory}/${METADATA_FILE}`, { bigint: true });
  return `${ino} ${mtimeNs}`;
}

/**
 * One process at a time changes a job's record and its names: the lock of the directory with its logs. Waits; it is
 * held for milliseconds, by the tenant's own processes.
 */
export async function exclusively<T>(directory: number, work: () => Promise<T>): Promise<T> {
  const logs = openBelow(directory, LOGS_DIRECTORY);
  try {
    for (let wait = 1; !tryLockExclusive(logs); wait = Math.min(wait * 2, 32)) await sleep(wait);
    return await work();
  } finally {
    fsSync.closeSync(logs);
  }
}

/**
 * The files of a job that is to be completed: those that were recorded must be as they were, and those that were
 * written past the client, by a program of the worker's, are made durable and recorded now. What a process that died
 * left half-written is removed. Throws {@link WritesInProgressError}, {@link ContentMismatchError}, UnsafeFileError.
 */
export async function settleFiles(
  directory: number,
  recorded: Readonly<Record<string, FileRecord>>,
  /** Of other processes: a job that is handed over can't wait for them, and they find that it has ended. */
  writes: "awaited" | "left" = "awaited",
): Promise<Record<string, FileRecord>> {
  const settled: Record<string, FileRecord> = {};
  for (const name of (await fs.readdir(`/proc/self/fd/${directory}`)).sort()) {
    if (name === METADATA_FILE || name === LOGS_DIRECTORY) continue;
    if (name.endsWith(TEMPORARY_SUFFIX)) {
      if (writes === "awaited") await removeUnlessWritten(directory, name);
      continue;
    }
    if (!isJobFileName(name)) {
      throw new ContentMismatchError(
        `${JSON.stringify(name)} in the job's directory has no name that a job's file has: remove it before complete()`,
      );
    }
    settled[name] = await settleFile(directory, name, recorded[name]);
  }
  for (const [name, file] of Object.entries(recorded)) {
    if (settled[name] !== undefined) continue;
    if (file.location !== "object") {
      throw new ContentMismatchError(`file ${name} was written and is not there any more`);
    }
    settled[name] = file;
  }
  return sortedByName(settled);
}

export function sortedByName<T>(entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function settleFile(
  directory: number,
  name: string,
  recorded: FileRecord | undefined,
): Promise<FileRecord> {
  const file = await openJobFile(directory, name);
  try {
    const { size } = await file.stat();
    if (recorded?.location === undefined && recorded?.bytes === size) return recorded;
    if (recorded !== undefined) {
      throw new ContentMismatchError(
        `file ${name} has ${size} bytes, and ${recorded.bytes} were written: what changes files of a job must do so ` +
          `before they are written through the client, or under names of its own`,
      );
    }
    await file.chmod(FILE_MODE);
    await file.sync();
    return await digest(file);
  } finally {
    await file.close();
  }
}

async function removeUnlessWritten(directory: number, name: string): Promise<void> {
  const deadline = Date.now() + SCANNER_PATIENCE_MILLISECONDS;
  for (;;) {
    let descriptor: number;
    try {
      descriptor = fsSync.openSync(`/proc/self/fd/${directory}/${name}`, "r");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return;
      throw error;
    }
    try {
      if (tryLockExclusive(descriptor)) {
        fsSync.rmSync(path.join(`/proc/self/fd/${directory}`, name), { force: true });
        return;
      }
    } finally {
      fsSync.closeSync(descriptor);
    }
    if (Date.now() > deadline) {
      throw new WritesInProgressError(
        `${name} is still being written by another process: await that before complete()`,
      );
    }
    await sleep(50);
  }
}
