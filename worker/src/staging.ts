import { createHash } from "node:crypto";
import fsSync from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import { isJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, jobPrefix } from "@video-storage/contract/layout";
import { ContentMismatchError } from "./errors.js";
import { openBelow, openJobFile } from "./job-files.js";
import type { ObjectStorage } from "./object-storage.js";

/**
 * Copies a finished job's files, logs and, last, its record to object storage, each verified. `directory` is the
 * job's, open. Safe to repeat after a failure: what is there already is compared and kept.
 */
export async function stageFiles(
  objectStorage: ObjectStorage,
  directory: number,
  record: JobRecord,
): Promise<StoredObject[]> {
  const prefix = jobPrefix(record.tenantId, record.jobId);
  const objects: StoredObject[] = [];
  const put = async (parent: number, name: string, key: string, expected?: FileRecord): Promise<void> => {
    const file = await openJobFile(parent, name);
    try {
      objects.push(await objectStorage.putFile(`${prefix}${key}`, file, expected ?? (await digest(file))));
    } finally {
      await file.close();
    }
  };
  for (const [name, expected] of Object.entries(record.files)) {
    // A record may be a stranger's: a name with a separator would lead out of the directory and of the prefix.
    if (!isJobFileName(name)) throw new ContentMismatchError(`${JSON.stringify(name)} is not a job's file`);
    await put(directory, name, name, expected);
  }
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

/** Size and checksum of an open file, in bounded memory. */
export async function digest(file: FileHandle): Promise<FileRecord> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(64 * 1024);
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, bytes);
    if (bytesRead === 0) return { bytes, sha256: hash.digest("hex") };
    hash.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
}
