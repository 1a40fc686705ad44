import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import { inTurn } from "../exclusive.js";
import { removeUnfinished, unfinished } from "./unfinished.mjs";

export { keepNewest } from "./keep-newest.mjs";

/**
 * Makes a directory of the cache where there is none yet: beside its place, and put there by one rename, so that what is
 * there is whole. `make` creates the directory that it is given. Whoever else wants something of the same `turn` waits:
 * two builds at once would take twice the memory, and each twice the time. Returns whether this call made it.
 */
export async function madeOnce(
  directory: string,
  turn: string,
  make: (directory: string) => Promise<void>,
): Promise<boolean> {
  if (existsSync(directory)) return false;
  return inTurn(turn, async () => {
    if (existsSync(directory)) return false;
    await mkdir(dirname(directory), { recursive: true });
    await removeUnfinished(dirname(directory));
    const making = unfinished(directory);
    try {
      await make(making);
      await rename(making, directory);
      return true;
    } finally {
      await rm(making, { recursive: true, force: true });
    }
  });
}
