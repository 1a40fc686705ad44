import { readFileSync } from "node:fs";

/**
 * The most memory that a process, by default this one, has had resident, in bytes; throws when it has ended.
 * `resourceUsage().maxRSS` won't do: Linux hands it on from whoever started the process, so a child of a large parent
 * seems as large (getrusage(2), exec_mmap).
 */
export function peakMemoryBytes(pid: number | "self" = "self"): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibibytes === undefined)
    throw new Error(`/proc/${pid}/status has no VmHWM: the process has ended, or this is no Linux`);
  return Number(kibibytes) * 1024;
}
