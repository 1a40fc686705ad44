import { readFileSync } from "node:fs";

/** A process, told from a later one with the same number. */
export interface WatchedProcess {
  readonly pid: number;
  readonly startedAt: string;
}

/** Undefined when there is no such process, or it has ended and only its parent hasn't noticed. */
export function findProcess(pid: number): WatchedProcess | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the program's name, which may hold anything: what follows its last parenthesis is regular.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const startedAt = fields[19];
  return state === "Z" || state === "X" || startedAt === undefined ? undefined : { pid, startedAt };
}

export function stillRuns({ pid, startedAt }: WatchedProcess): boolean {
  return findProcess(pid)?.startedAt === startedAt;
}
