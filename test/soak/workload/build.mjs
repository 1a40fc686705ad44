// Bundles the workers of the system test: `node test/soak/workload/build.mjs --out DIR` leaves DIR/soak-worker.mjs.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../../../local/images/bundle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out } = parseArgs({ options: { out: { type: "string" } } }).values;

await bundle({ entry: join(here, "soak-worker.ts"), directory: out, name: "soak-worker", locks: true });
