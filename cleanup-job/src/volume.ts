import { lstat, opendir } from "node:fs/promises";
import { isJobId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { ADMISSION_DIRECTORY, TRASH_DIRECTORY } from "@video-storage/contract/layout";
import { childPath, shownName } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";

/** A name directly below a volume's root: a job's, or one that is no job's, as people may read it. */
export type VolumeEntry = { readonly jobId: JobId } | { readonly jobId: undefined; readonly foreign: string };

const EXPECTED = new Set([TRASH_DIRECTORY, ADMISSION_DIRECTORY, "lost+found"]);

/** Streams what lies on the volume, a few hundred names to a system call; the trash and `lost+found` are left out. */
export async function* entriesOf(root: Directory): AsyncGenerator<VolumeEntry, void, undefined> {
  const options = { encoding: "buffer" as BufferEncoding, bufferSize: 1024 };
  for await (const entry of await opendir(`/proc/self/fd/${root.fd}`, options)) {
    const bytes = entry.name as unknown as Buffer;
    const name = bytes.toString("latin1");
    if (isJobId(name)) yield { jobId: name };
    else if (!EXPECTED.has(name)) yield { jobId: undefined, foreign: shownName(bytes) };
  }
}

/** Whether the directory has an entry of that name. */
export async function hasEntry(directory: Directory, jobId: JobId): Promise<boolean> {
  return lstat(childPath(directory.fd, jobId)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}
