import { readFileSync } from "node:fs";

/**
 * The most memory that this process has had resident, in bytes. `resourceUsage().maxRSS` won't do: Linux hands it on
 * from whoever started the process, so a child of a large parent seems as large (getrusage(2), exec_mmap).
 */
export function peakMemoryBytes(): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error("/proc/self/status has no VmHWM: this is no Linux");
  return Number(kibibytes) * 1024;
}
