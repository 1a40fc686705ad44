// Bundles the worker that `npm start` runs: `node local/demo/build.mjs --out DIR` leaves DIR/demo-worker.mjs.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../images/bundle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out } = parseArgs({ options: { out: { type: "string" } } }).values;

await bundle({ entry: join(here, "demo-worker.ts"), directory: out, name: "demo-worker", locks: true });
