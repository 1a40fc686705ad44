import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { inTurn } from "../../local/exclusive.js";
import { imageBundle } from "../../local/images/bundles.js";

const DIRECTORY = "TEST_BUNDLES";

/** The setup of projects whose files run programs of ours. */
export default function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), "video-storage-bundles-"));
  // Sweeps are other users.
  chmodSync(directory, 0o755);
  process.env[DIRECTORY] = directory;
  return () => rmSync(directory, { recursive: true });
}

export interface BundledProgram {
  readonly file: string;
  /** For `NODE_COMPILE_CACHE`: what is started a hundred times is compiled once, for each user that starts it. */
  readonly compiled: string;
}

/** A program as it goes into its image, made once for all files of a run: bundling takes three seconds of a processor. */
export async function bundledProgram(
  name: "cleanup-job" | "monitor" | "node-agent",
): Promise<BundledProgram> {
  const directory = join(process.env[DIRECTORY]!, name);
  const compiled = `${directory}-compiled`;
  await inTurn(directory, async () => {
    if (existsSync(directory)) return;
    // Where other users reach it.
    cpSync(await imageBundle(name), `${directory}.partial`, { recursive: true });
    mkdirSync(compiled);
    chmodSync(compiled, 0o1777);
    renameSync(`${directory}.partial`, directory);
  });
  return { file: join(directory, `${name}.mjs`), compiled };
}
