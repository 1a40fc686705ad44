import { execFile } from "node:child_process";
import { mkdtempSync, chownSync, chmodSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { bundle } from "../../../local/images/bundle.mjs";

export const WORKER_UID = 10_000;

/** The tree program with its threads as files that any user may read, so that starting it takes no loader. */
export async function buildTreeProgram(): Promise<string> {
  const directory = mkdtempSync(`${tmpdir()}/tree-program-`);
  const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  await bundle({
    ...{ entry: here("tree-program.ts"), directory, name: "tree-program", locks: true },
    threads: { "deletion-thread": here("../../../cleanup-job/src/deletion/thread-main.ts") },
  });
  chmodSync(directory, 0o755);
  return `${directory}/tree-program.mjs`;
}

export interface As {
  readonly uid: number;
  readonly handles?: number;
  /** Shell commands run first in a mount namespace of their own. */
  readonly mounts?: string;
}

export interface Deleted {
  complete: boolean;
  bytes: number;
  files: number;
  directories: number;
  remaining: { name: string; reason: string }[];
  mostHandles: number;
  leaked: number;
  longestDelay: number;
  seconds: number;
  residentMiB: number;
  uid: number;
  effectiveCapabilities: string;
}

/** Runs the tree program as a user without any capability, or as root. */
export async function runTreeProgram<T>(program: string, as: As, ...args: string[]): Promise<T> {
  const command = [process.execPath, program, ...args];
  if (as.uid !== 0) {
    const id = String(as.uid);
    command.unshift("setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--bounding-set=-all", "--");
  }
  const script = `${as.mounts ? `${as.mounts} && ` : ""}ulimit -n ${as.handles ?? 1024} && exec "$@"`;
  const shell = ["sh", "-ec", script, "sh", ...command];
  if (as.mounts) shell.unshift("unshare", "--mount", "--propagation", "private", "--");
  const { stdout } = await promisify(execFile)(shell[0]!, shell.slice(1), { maxBuffer: 1 << 24 });
  return JSON.parse(stdout) as T;
}

/** A directory to work in, with victims outside of the job. Removed by the caller. */
export function newWorkspace(uid: number, base = tmpdir()): { root: string; victims: string } {
  const directory = mkdtempSync(`${base}/deletion-`);
  chmodSync(directory, 0o755);
  const root = `${directory}/volume`;
  const victims = `${directory}/victims`;
  mkdirSync(root);
  mkdirSync(victims);
  writeFileSync(`${victims}/file`, "precious");
  mkdirSync(`${victims}/inner`);
  writeFileSync(`${victims}/inner/file`, "precious too");
  for (const path of [root, victims, `${victims}/file`, `${victims}/inner`, `${victims}/inner/file`]) {
    chownSync(path, uid, uid);
  }
  return { root, victims };
}
