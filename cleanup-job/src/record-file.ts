import { open } from "node:fs/promises";
import type { JobId } from "@video-storage/contract/identity";
import { MAXIMUM_RECORD_BYTES, parseJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { METADATA_FILE } from "@video-storage/contract/layout";
import type { RecordFacts } from "@video-storage/contract/plan";
import { childPath, FILE_FLAGS } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";

/** A job's record, or why it can't be relied on. Its writer isn't trusted: no link, no FIFO, no giant. */
export type RecordRead =
  | { readonly record: JobRecord; readonly facts: RecordFacts & { readonly readable: true } }
  | { readonly record: undefined; readonly facts: RecordFacts & { readonly readable: false } };

export async function readRecord(directory: Directory, jobId: JobId): Promise<RecordRead> {
  try {
    const record = parseJobRecord(await readText(directory));
    if (record.jobId !== jobId) return unreadable("it is another job's");
    return { record, facts: { readable: true, tenantId: record.tenantId, state: record.state } };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return unreadable(code === "ENOENT" ? `there is no ${METADATA_FILE}` : (code ?? message));
  }
}

async function readText(directory: Directory): Promise<string> {
  const handle = await open(childPath(directory.fd, METADATA_FILE), FILE_FLAGS);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error(`${METADATA_FILE} is not a regular file`);
    const buffer = Buffer.alloc(Math.min(stat.size, MAXIMUM_RECORD_BYTES + 1));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

export function unreadable(problem: string): RecordRead {
  return { record: undefined, facts: { readable: false, problem } };
}
