import fsSync from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import { isJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { JobIdentity } from "@video-storage/contract/identity";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, jobPrefix } from "@video-storage/contract/layout";
import { digest } from "./durable-files.js";
import { ContentMismatchError } from "./errors.js";
import { openBelow, openJobFile } from "./job-files.js";
import type { ObjectStorage } from "./object-storage.js";

/** Asked with every file before it leaves the volume; what it throws keeps it there. */
export type LeavingGate = (name: string, file: FileHandle, expected: FileRecord) => Promise<void>;

/**
 * Copies a job's files, logs and, last, its record to object storage, each verified. `directory` is the
 * job's, open. Safe to repeat after a failure: what is there already is compared and kept.
 */
export async function stageFiles(
  objectStorage: ObjectStorage,
  directory: number,
  record: JobRecord,
  gate?: LeavingGate,
): Promise<StoredObject[]> {
  const prefix = jobPrefix(record.tenantId, record.jobId);
  const objects: StoredObject[] = [];
  for (const [name, expected] of Object.entries(record.files)) {
    objects.push(await stageFile(objectStorage, directory, record, name, expected, gate));
  }
  const put = async (parent: number, name: string, key: string): Promise<void> => {
    const file = await openJobFile(parent, name);
    try {
      objects.push(await objectStorage.putFile(`${prefix}${key}`, file, await digest(file)));
    } finally {
      await file.close();
    }
  };
  const logs = openBelow(directory, LOGS_DIRECTORY);
  try {
    for (const name of (await fs.readdir(`/proc/self/fd/${logs}`)).sort()) {
      await put(logs, parseLogName(name), `${LOGS_DIRECTORY}/${name}`);
    }
  } finally {
    fsSync.closeSync(logs);
  }
  await put(directory, METADATA_FILE, METADATA_FILE);
  return objects;
}

/** Copies one file of a job, verified; one that is only there already is taken as it is recorded. */
export async function stageFile(
  objectStorage: ObjectStorage,
  directory: number,
  { tenantId, jobId }: JobIdentity,
  name: string,
  expected: FileRecord,
  gate?: LeavingGate,
): Promise<StoredObject> {
  // A record may be a stranger's: a name with a separator would lead out of the directory and of the prefix.
  if (!isJobFileName(name)) throw new ContentMismatchError(`${JSON.stringify(name)} is not a job's file`);
  const objectKey = `${jobPrefix(tenantId, jobId)}${name}`;
  const { bytes, sha256 } = expected;
  if (expected.location === "object") return { bucket: objectStorage.bucket, objectKey, bytes, sha256 };
  const file = await openJobFile(directory, name);
  try {
    await gate?.(name, file, expected);
    return await objectStorage.putFile(objectKey, file, { bytes, sha256 });
  } finally {
    await file.close();
  }
}

export { digest } from "./durable-files.js";
