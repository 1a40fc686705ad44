import { rename, writeFile } from "node:fs/promises";

/**
 * Writes a small file that a later command relies on: it is there whole or as it was before, whenever this one is killed
 * or the disk is full. By default readable by its owner alone.
 */
export async function writeWholeFile(file: string, content: string, mode = 0o600): Promise<void> {
  const unfinished = `${file}.${process.pid}.partial`;
  await writeFile(unfinished, content, { mode });
  await rename(unfinished, file);
}
