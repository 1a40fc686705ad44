import fsSync, { constants } from "node:fs";
import fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isJobId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { ADMISSION_DIRECTORY, LOGS_DIRECTORY, jobDirectory } from "@video-storage/contract/layout";
import { DirectoryLockedError, lockShared, tryLockExclusive } from "./directory-lock.js";
import { ADMISSION_WAIT_SECONDS, AdmissionRefusedError, JobExistsError, errorCode } from "./errors.js";

/**
 * Who may begin a job on a volume. Each active job has a file in the volume's admission directory that says what room
 * it was promised, locked (flock, shared) by every process that holds the job's lease: places are counted by locks
 * and not by what somebody remembers, so the place of a process that crashed is free at once.
 */

export interface AdmissionRequest {
  /** 0 where it isn't known. */
  readonly expectedBytes: number;
  /** Kept free beyond that. */
  readonly reserveBytes: number;
  /** Active jobs on the volume, this one included; null for any number. */
  readonly maximumJobs: number | null;
}

/** What an admission is decided from. */
export interface VolumeLoad {
  readonly availableBytes: bigint;
  /** What active jobs were promised and have not yet written. */
  readonly promisedBytes: bigint;
  readonly activeJobs: number;
}

/** Throws {@link AdmissionRefusedError} with what to do. */
export function requireAdmission(request: AdmissionRequest, load: VolumeLoad): void {
  const { maximumJobs } = request;
  if (maximumJobs !== null && load.activeJobs >= maximumJobs) {
    throw new AdmissionRefusedError(
      "concurrency",
      `${load.activeJobs} jobs are active on the volume, and the stack allows ${maximumJobs} (jobsPerSlot): give the ` +
        `job to another worker, or try again when one of them has ended`,
    );
  }
  const needed = BigInt(request.expectedBytes);
  const reserve = BigInt(request.reserveBytes);
  if (needed + reserve > load.availableBytes - load.promisedBytes) {
    const promised =
      load.promisedBytes > 0n ? `, of which active jobs were promised ${load.promisedBytes}` : "";
    throw new AdmissionRefusedError(
      "space",
      `the job needs ${needed} bytes and ${reserve} must stay free, but the volume has ${load.availableBytes}` +
        `${promised}: give the job to a worker with more room, or try again after the next sweep`,
    );
  }
}

/** A job's place on its volume, held by a descriptor's lock until it is given up or the process ends. */
export interface Place {
  readonly descriptor: number;
}

/**
 * Takes a place for a new job. Throws {@link AdmissionRefusedError}; JobExistsError when there is one for the job.
 */
export async function takePlace(root: string, jobId: JobId, request: AdmissionRequest): Promise<Place> {
  return alone(root, async (directory) => {
    requireAdmission(request, await loadOf(root, directory));
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    let descriptor: number;
    try {
      descriptor = fsSync.openSync(placeFile(directory, jobId), flags, 0o600);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
      throw new JobExistsError(`job ${jobId} is active on this volume already: job ids are used once`);
    }
    try {
      await lockPatiently(descriptor);
      fsSync.writeSync(descriptor, JSON.stringify({ expectedBytes: request.expectedBytes }));
      return { descriptor };
    } catch (error) {
      fsSync.closeSync(descriptor);
      throw error;
    }
  });
}

/** For another process that takes up an active job: shares its place, or makes it again when its holder died. */
export async function sharePlace(root: string, jobId: JobId, expectedBytes: number): Promise<Place> {
  return alone(root, async (directory) => {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const descriptor = fsSync.openSync(placeFile(directory, jobId), flags, 0o600);
    try {
      await lockPatiently(descriptor);
      if (fsSync.fstatSync(descriptor).size === 0) {
        fsSync.writeSync(descriptor, JSON.stringify({ expectedBytes }));
      }
      return { descriptor };
    } catch (error) {
      fsSync.closeSync(descriptor);
      throw error;
    }
  });
}

/** Leaves the place to the others that share it, if there are any. */
export function leavePlace({ descriptor }: Place): void {
  fsSync.closeSync(descriptor);
}

/** Frees the place for another job at once, whoever else still shares it: the job has ended. */
export function endPlace(root: string, jobId: JobId, { descriptor }: Place): void {
  fsSync.rmSync(`${root}/${ADMISSION_DIRECTORY}/${jobId}`, { force: true });
  fsSync.closeSync(descriptor);
}

/** What the volume has and has promised. Removes the files of those that died. */
async function loadOf(root: string, directory: number): Promise<VolumeLoad> {
  const { bavail, bsize } = await fs.statfs(root, { bigint: true });
  let promisedBytes = 0n;
  let activeJobs = 0;
  for (const name of await fs.readdir(`/proc/self/fd/${directory}`)) {
    const expectedBytes = isJobId(name) ? livingPlace(directory, name) : undefined;
    if (expectedBytes === undefined) continue;
    activeJobs += 1;
    if (expectedBytes === 0) continue;
    const missing = BigInt(expectedBytes) - (await writtenBytes(jobDirectory(root, name as JobId)));
    if (missing > 0n) promisedBytes += missing;
  }
  return { availableBytes: bavail * bsize, promisedBytes, activeJobs };
}

/** What a job was promised, in bytes; undefined when nobody holds its place any more. */
function livingPlace(directory: number, jobId: JobId): number | undefined {
  const file = placeFile(directory, jobId);
  let descriptor: number;
  try {
    descriptor = fsSync.openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    if (tryLockExclusive(descriptor)) {
      fsSync.rmSync(file, { force: true });
      return undefined;
    }
    const buffer = Buffer.alloc(256);
    const bytes = fsSync.readSync(descriptor, buffer, 0, buffer.length, 0);
    const value = JSON.parse(buffer.toString("utf8", 0, bytes)) as { expectedBytes?: unknown };
    return Number.isSafeInteger(value.expectedBytes) ? (value.expectedBytes as number) : 0;
  } catch {
    // Somebody else's file: it is locked, and so it counts; what it says doesn't.
    return 0;
  } finally {
    fsSync.closeSync(descriptor);
  }
}

/** Blocks that the files of a job have, in bytes. */
async function writtenBytes(directory: string): Promise<bigint> {
  let bytes = 0n;
  for (const parent of [directory, `${directory}/${LOGS_DIRECTORY}`]) {
    for (const name of await fs.readdir(parent).catch(() => [])) {
      const stat = await fs.lstat(`${parent}/${name}`, { bigint: true }).catch(() => undefined);
      if (stat?.isFile()) bytes += stat.blocks * 512n;
    }
  }
  return bytes;
}

function placeFile(directory: number, jobId: JobId): string {
  return `/proc/self/fd/${directory}/${jobId}`;
}

/** One after another, in this process by turns and among processes by the directory's lock. */
const turns = new Map<string, Promise<unknown>>();

function alone<T>(root: string, work: (directory: number) => Promise<T>): Promise<T> {
  const locked = async (): Promise<T> => {
    const directory = openAdmissionDirectory(root);
    try {
      await waitForLock(directory);
      return await work(directory);
    } finally {
      fsSync.closeSync(directory);
    }
  };
  const before = turns.get(root) ?? Promise.resolve();
  const result = before.then(locked, locked);
  const settled = result.catch(() => undefined);
  turns.set(root, settled);
  void settled.then(() => turns.get(root) === settled && turns.delete(root));
  return result;
}

function openAdmissionDirectory(root: string): number {
  const directory = `${root}/${ADMISSION_DIRECTORY}`;
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return fsSync.openSync(directory, flags);
    } catch (error) {
      const code = errorCode(error) ?? "";
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(code) || attempt === 3) throw error;
      // What a tenant before left in its place must not keep the next one out.
      if (code !== "ENOENT") fsSync.rmSync(directory, { force: true });
      try {
        fsSync.mkdirSync(directory, 0o700);
      } catch (made) {
        if (errorCode(made) !== "EEXIST") throw made;
      }
    }
  }
}

async function waitForLock(directory: number): Promise<void> {
  const deadline = Date.now() + ADMISSION_WAIT_SECONDS * 1000;
  for (let wait = 1; !tryLockExclusive(directory); wait = Math.min(wait * 2, 16)) {
    if (Date.now() > deadline) {
      throw new AdmissionRefusedError(
        "busy",
        `other jobs were being admitted to the volume for ${ADMISSION_WAIT_SECONDS} s: try again`,
      );
    }
    await sleep(Math.random() * wait + 0.5);
  }
}

/** A scanner may hold the lock of a new file for a while: that delays, and fails nothing. */
export async function lockPatiently(descriptor: number): Promise<void> {
  const deadline = Date.now() + ADMISSION_WAIT_SECONDS * 1000;
  for (;;) {
    try {
      return lockShared(descriptor);
    } catch (error) {
      if (!(error instanceof DirectoryLockedError) || Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
