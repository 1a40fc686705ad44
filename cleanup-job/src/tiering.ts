import { open, readdir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { recordObject } from "@video-storage/catalogue/jobs";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import type { Queryable } from "@video-storage/catalogue/connection";
import { isJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix, LOGS_DIRECTORY, METADATA_FILE, TEMPORARY_SUFFIX } from "@video-storage/contract/layout";
import { ContentMismatchError } from "@video-storage/worker/errors";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { digest } from "@video-storage/worker/staging";
import { childPath, FILE_FLAGS, openChildAsItIs, shownName } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";

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
  store: ObjectStorage,
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
    const local = Object.entries(record.files).filter(([, file]) => file.location !== "object");
    const missing = local.map(([name]) => name).filter((name) => !files.includes(name));
    if (missing.length > 0) {
      throw new NotTierableError(
        `${missing.length} recorded files are missing: ${missing.slice(0, 5).join(", ")}`,
      );
    }
    if (hasLogs) {
      if (typeof logs === "string") throw new NotTierableError(`${LOGS_DIRECTORY} can't be opened: ${logs}`);
      for (const name of await logsOf(logs)) {
        await copy(logs, name, `${prefix}${LOGS_DIRECTORY}/${name}`);
      }
    }
    for (const name of files) await copy(directory, name, `${prefix}${name}`);
    await copy(directory, METADATA_FILE, `${prefix}${METADATA_FILE}`).catch((error: unknown) => {
      // What its worker staged is the record as it was before it said that it is staged.
      if (!(error instanceof ContentMismatchError) || record.staged?.bucket !== store.bucket) throw error;
    });
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
  store: ObjectStorage,
  signal: AbortSignal,
): Promise<StoredObject> {
  const handle = await open(childPath(directory.fd, name), FILE_FLAGS);
  try {
    await requireRegular(handle, name, directory);
    const { bytes, sha256 } = await digest(handle);
    const recorded = directoryIsTop(key, record) ? record.files[name] : undefined;
    if (recorded && (recorded.sha256 !== sha256 || recorded.bytes !== bytes)) {
      throw new NotTierableError(`${name} is not what its record says: it was changed after completion`);
    }
    return await store.putFile(key, handle, { bytes, sha256 }, signal);
  } finally {
    await handle.close();
  }
}

function directoryIsTop(key: string, { tenantId, jobId }: JobRecord): boolean {
  return !key.slice(jobPrefix(tenantId, jobId).length).includes("/");
}

/** A link or another name of somebody else's file must not be carried into this tenant's prefix. */
async function requireRegular(handle: FileHandle, name: string, { dev }: Directory): Promise<void> {
  const stat = await handle.stat({ bigint: true });
  if (!stat.isFile()) throw new NotTierableError(`${shownName(name)} is not a regular file`);
  if (stat.nlink !== 1n) throw new NotTierableError(`${shownName(name)} has ${stat.nlink} names, not one`);
  if (stat.dev !== dev) throw new NotTierableError(`${shownName(name)} lies on another filesystem`);
}
