import { createHash } from "node:crypto";
import { open, readdir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { recordObject } from "@video-storage/catalogue/jobs";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import type { Queryable } from "@video-storage/catalogue/connection";
import { isJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix, LOGS_DIRECTORY, METADATA_FILE, TEMPORARY_SUFFIX } from "@video-storage/contract/layout";
import { childPath, FILE_FLAGS, openChildAsItIs, shownName } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { MAXIMUM_OBJECT_BYTES } from "./object-storage.js";
import type { ObjectStore } from "./object-storage.js";

/** A job that can't be copied as it is. Nothing of it was removed. */
export class NotTierableError extends Error {
  override readonly name = "NotTierableError";
}

/**
 * Copies every file of a job to object storage, verifies each, and records each. The record itself goes
 * last, so that a prefix with a record is whole.
 */
export async function tier(
  directory: Directory,
  record: JobRecord,
  store: ObjectStore,
  catalogue: Queryable,
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const logs = await openChildAsItIs(directory, LOGS_DIRECTORY);
  try {
    const prefix = jobPrefix(record.tenantId, record.jobId);
    const stored: StoredObject[] = [];
    const copy = async (from: Directory, name: string, key: string): Promise<void> => {
      const object = await copyFile(from, name, key, record, store, signal);
      await recordObject(catalogue, record, object);
      stored.push(object);
    };
    const { files, hasLogs } = await filesOf(directory);
    if (hasLogs) {
      if (typeof logs === "string") throw new NotTierableError(`${LOGS_DIRECTORY} can't be opened: ${logs}`);
      for (const name of await logsOf(logs)) {
        await copy(logs, name, `${prefix}${LOGS_DIRECTORY}/${name}`);
      }
    }
    for (const name of files) await copy(directory, name, `${prefix}${name}`);
    await copy(directory, METADATA_FILE, `${prefix}${METADATA_FILE}`);
    return stored;
  } finally {
    if (typeof logs !== "string") await logs.close();
  }
}

async function filesOf(directory: Directory): Promise<{ files: string[]; hasLogs: boolean }> {
  const names = await namesIn(directory);
  const files = names.filter((name) => name !== METADATA_FILE && name !== LOGS_DIRECTORY);
  for (const name of files) {
    if (!isJobFileName(name)) throw new NotTierableError(`${shownName(name)} is no name of a job's file`);
  }
  return { files, hasLogs: names.includes(LOGS_DIRECTORY) };
}

async function logsOf(logs: Directory): Promise<string[]> {
  return (await namesIn(logs)).map(parseLogName);
}

/** Half-written files are not the job's; everything else has to be copied or nothing is. */
async function namesIn({ fd }: Directory): Promise<string[]> {
  const names = await readdir(`/proc/self/fd/${fd}`);
  return names.filter((name) => !name.endsWith(TEMPORARY_SUFFIX)).sort();
}

async function copyFile(
  directory: Directory,
  name: string,
  key: string,
  record: JobRecord,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<StoredObject> {
  const handle = await open(childPath(directory.fd, name), FILE_FLAGS);
  try {
    const bytes = await regularSize(handle, name, directory);
    const sha256 = await hashOf(handle, bytes);
    const recorded = directoryIsTop(key, record) ? record.files[name] : undefined;
    if (recorded && (recorded.sha256 !== sha256 || recorded.bytes !== bytes)) {
      throw new NotTierableError(`${name} is not what its record says: it was changed after completion`);
    }
    const read = () =>
      bytes === 0
        ? Buffer.alloc(0)
        : handle.createReadStream({ autoClose: false, start: 0, end: bytes - 1, highWaterMark: 1 << 20 });
    await store.putVerified({ key, bytes, sha256, read }, signal);
    return { bucket: store.bucket, objectKey: key, bytes, sha256 };
  } finally {
    await handle.close();
  }
}

function directoryIsTop(key: string, { tenantId, jobId }: JobRecord): boolean {
  return !key.slice(jobPrefix(tenantId, jobId).length).includes("/");
}

/** A link or another name of somebody else's file must not be carried into this tenant's prefix. */
async function regularSize(handle: FileHandle, name: string, { dev }: Directory): Promise<number> {
  const stat = await handle.stat({ bigint: true });
  if (!stat.isFile()) throw new NotTierableError(`${shownName(name)} is not a regular file`);
  if (stat.nlink !== 1n) throw new NotTierableError(`${shownName(name)} has ${stat.nlink} names, not one`);
  if (stat.dev !== dev) throw new NotTierableError(`${shownName(name)} lies on another filesystem`);
  if (stat.size > BigInt(MAXIMUM_OBJECT_BYTES)) {
    throw new NotTierableError(
      `${shownName(name)} has ${stat.size} bytes, and at most ${MAXIMUM_OBJECT_BYTES} are copied`,
    );
  }
  return Number(stat.size);
}

async function hashOf(handle: FileHandle, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(1 << 20);
  for (let position = 0; position < bytes;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - position), position);
    if (bytesRead === 0) throw new NotTierableError("it was shortened while it was read");
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return hash.digest("hex");
}
