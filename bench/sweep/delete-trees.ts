// Deletes what its arguments name, each with a handle on the directory that it lies in, as the sweep does; and says how
// much that was. It is bundled as the cleanup job is.
import path from "node:path";
import { openRoot } from "../../cleanup-job/src/deletion/handles.js";
import { deleteTree } from "../../cleanup-job/src/deletion/tree.js";
import { peakMemoryBytes } from "../lib/memory.js";

const JOBS_IN_HAND = 4;
const total = { files: 0, bytes: 0 };
const left = process.argv.slice(2);
const parent = await openRoot(path.dirname(left[0]!));

async function work(): Promise<void> {
  for (let tree = left.shift(); tree !== undefined; tree = left.shift()) {
    const { complete, files, bytes, remaining } = await deleteTree(parent, path.basename(tree));
    if (!complete) throw new Error(`${tree} is left: ${JSON.stringify(remaining)}`);
    total.files += files;
    total.bytes += bytes;
  }
}

await Promise.all(Array.from({ length: JOBS_IN_HAND }, work));
const memoryMiB = peakMemoryBytes() / 2 ** 20;
console.log(JSON.stringify({ ...total, memoryMiB }));
