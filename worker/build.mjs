// Bundles what other people's programs use, for Node.js 20 and later:
//
//   node worker/build.mjs [--out DIR] [--with-node]
//
// leaves DIR/video-job (a shell script), DIR/video-job.mjs, and below DIR/node_modules the native library that takes
// locks; with --with-node the Node.js that runs this as DIR/node, for images that have none. The directory is all
// that a worker's image needs: copy it there and put it on PATH.
import { chmod, copyFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../local/images/bundle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out, "with-node": withNode } = parseArgs({
  options: { out: { type: "string", default: join(here, "dist") }, "with-node": { type: "boolean" } },
}).values;

const LAUNCHER = `#!/bin/sh
# Its own Node.js where it was given one, else that on PATH.
here=\${0%/*}
if [ -x "$here/node" ]; then exec "$here/node" "$here/video-job.mjs" "$@"; fi
exec node "$here/video-job.mjs" "$@"
`;

await bundle({
  entry: join(here, "src", "command", "main.ts"),
  directory: out,
  name: "video-job",
  locks: true,
  target: "node20",
  // One file, because other teams carry it into their images.
  splitting: false,
});
await writeFile(join(out, "video-job"), LAUNCHER);
await chmod(join(out, "video-job"), 0o755);
if (withNode) {
  await copyFile(process.execPath, join(out, "node"));
  await chmod(join(out, "node"), 0o755);
}
