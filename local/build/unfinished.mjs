// Plain JavaScript, because the bootstrap keeps packages before anything else is there.
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Where something is made that is then put in its place by one rename; named by the process that makes it.
 * @param {string} place
 */
export function unfinished(place) {
  return `${place}.making-${process.pid}`;
}

/**
 * Removes what processes that were killed left unfinished in a directory.
 * @param {string} parent
 */
export async function removeUnfinished(parent) {
  for (const name of await readdir(parent)) {
    const maker = /\.making-(\d+)$/.exec(name)?.[1];
    if (maker && !existsSync(`/proc/${maker}`))
      await rm(join(parent, name), { recursive: true, force: true });
  }
}
