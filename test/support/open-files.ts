import { readdirSync, readlinkSync } from "node:fs";

/** What this process has open, by name: files and directories by their path, pipes and the like as the kernel calls them. */
export function openFiles(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed in between, as the listing's own is
    }
  });
}
