// Bundles the monitor: `node monitor/build.mjs [--out DIR]` leaves DIR/monitor.mjs, the files that it loads, and the
// status page's. Nothing else is needed but Node.js 24.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../local/images/bundle.mjs";
import { bundlePage, writePage } from "./src/status/page/build.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out } = parseArgs({ options: { out: { type: "string", default: join(here, "dist") } } }).values;

const page = await bundlePage();
await bundle({ entry: join(here, "src", "main.ts"), directory: out, name: "monitor", beside: page.inputs });
await writePage(join(out, "page"), page.files);
