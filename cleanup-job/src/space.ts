import { statfs } from "node:fs/promises";
import type { Space } from "@video-storage/contract/pressure";
import type { Directory } from "./deletion/handles.js";

/** What the volume's filesystem says. */
export async function spaceOf(root: Directory): Promise<Space> {
  const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(`/proc/self/fd/${root.fd}`);
  const used = blocks - bfree;
  return {
    bytes: { used: used * bsize, capacity: (used + bavail) * bsize },
    inodes: { used: files - ffree, capacity: files },
  };
}
