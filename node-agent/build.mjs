// Bundles the node agent: `node node-agent/build.mjs [--out DIR]` leaves DIR/node-agent.mjs and beside it
// koffi with its native library. Besides Node.js 24 it needs the programs that the Containerfile installs.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../local/images/bundle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out } = parseArgs({ options: { out: { type: "string", default: join(here, "dist") } } }).values;

await bundle({ entry: join(here, "src", "main.ts"), directory: out, name: "node-agent", locks: true });
