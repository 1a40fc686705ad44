import { chmodSync, cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { imageBundle } from "../../local/images/bundles.js";
import { madeOnceInRun } from "./made-once.js";

export interface BundledProgram {
  readonly file: string;
  /** For `NODE_COMPILE_CACHE`: what is started a hundred times is compiled once, for each user that starts it. */
  readonly compiled: string;
}

/** A program as it goes into its image, made once for all files of a run: bundling takes three seconds of a processor. */
export async function bundledProgram(
  name: "cleanup-job" | "monitor" | "node-agent",
): Promise<BundledProgram> {
  const directory = await madeOnceInRun(name, async (made) => {
    // Where other users reach it.
    cpSync(await imageBundle(name), made, { recursive: true });
    mkdirSync(`${made}/compiled`);
    chmodSync(`${made}/compiled`, 0o1777);
  });
  return { file: join(directory, `${name}.mjs`), compiled: join(directory, "compiled") };
}
