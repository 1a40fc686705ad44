import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { madeOnce } from "../../local/build/kept.js";

const DIRECTORY = "TEST_MADE_ONCE";

/** The setup of projects whose files need the same things and change none of them. */
export default function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), "video-storage-made-once-"));
  // Sweeps and databases are other users.
  chmodSync(directory, 0o755);
  process.env[DIRECTORY] = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}

/**
 * A directory that is made when it is first asked for, for all files of a run; for this process alone where no setup has
 * been.
 */
export async function madeOnceInRun(
  name: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  if (process.env[DIRECTORY] === undefined) process.once("exit", setup());
  const directory = join(process.env[DIRECTORY]!, name);
  await madeOnce(directory, directory, make);
  return directory;
}
