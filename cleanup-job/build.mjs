// Bundles the cleanup job: `node cleanup-job/build.mjs [--out DIR]` leaves DIR/cleanup-job.mjs, the
// files that it loads, and koffi with its native library. Nothing else is needed but Node.js 24.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../local/images/bundle.mjs";
import { kubeConfigAlone } from "../local/images/kube-config-alone.mjs";

const here = dirname(fileURLToPath(import.meta.url));

/**
 * @param {string} directory
 * @param {import("esbuild").Plugin[]} plugins
 */
export async function bundleCleanupJob(directory, plugins = []) {
  await bundle({
    ...{ entry: join(here, "src", "main.ts"), directory, name: "cleanup-job", locks: true },
    plugins: [...plugins, kubeConfigAlone],
    threads: { "deletion-thread": join(here, "src", "deletion", "thread-main.ts") },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { out } = parseArgs({ options: { out: { type: "string", default: join(here, "dist") } } }).values;
  await bundleCleanupJob(out);
}
