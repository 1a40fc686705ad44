import { opendir, statfs } from "node:fs/promises";
import { isJobId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { TRASH_DIRECTORY } from "@video-storage/contract/layout";
import { shownName } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";

/** What lies directly below a volume's root. */
export interface VolumeListing {
  readonly jobs: readonly JobId[];
  /** Names that are no job's, for people: never touched. `lost+found` and the trash are not among them. */
  readonly foreign: readonly string[];
}

const EXPECTED = new Set([TRASH_DIRECTORY, "lost+found"]);

export async function listVolume(root: Directory): Promise<VolumeListing> {
  const jobs: JobId[] = [];
  const foreign: string[] = [];
  const entries = await opendir(`/proc/self/fd/${root.fd}`, { encoding: "buffer" as BufferEncoding });
  for await (const entry of entries) {
    const bytes = entry.name as unknown as Buffer;
    const name = bytes.toString("latin1");
    if (isJobId(name)) jobs.push(name);
    else if (!EXPECTED.has(name)) foreign.push(shownName(bytes));
  }
  return { jobs: jobs.sort(), foreign: foreign.sort() };
}

/** Bytes in use and in all, as an unprivileged writer sees them. */
export async function usageOf(root: Directory): Promise<{ usageBytes: number; capacityBytes: number }> {
  const { blocks, bfree, bavail, bsize } = await statfs(`/proc/self/fd/${root.fd}`);
  const used = blocks - bfree;
  return { usageBytes: used * bsize, capacityBytes: (used + bavail) * bsize };
}
