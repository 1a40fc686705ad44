import { existsSync, readFileSync, readdirSync, unlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/**
 * Removes from a file backend the locks of engines that are no more: a killed one leaves its lock, and no later
 * one would ever begin. A lock says which process on which machine it belongs to; only this machine's are judged.
 */
export function removeAbandonedLocks(directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".json")) continue;
    const file = join(entry.parentPath, entry.name);
    const { pid, hostname: host } = JSON.parse(readFileSync(file, "utf8")) as {
      pid: number;
      hostname: string;
    };
    if (host === hostname() && !isAlive(pid)) unlinkSync(file);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** One that was killed, and whose parent has not looked yet: it answers to signals and does nothing more. */
function isZombie(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    // Gone in between, or a system without /proc.
    return false;
  }
}
