// Bundles the catalogue's command: `node catalogue/build.mjs --out DIR` leaves DIR/program/catalogue.mjs
// and DIR/migrations, which the command looks for beside its own folder.
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../local/images/bundle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out } = parseArgs({ options: { out: { type: "string", default: join(here, "dist") } } }).values;

await bundle({ entry: join(here, "src", "main.ts"), directory: join(out, "program"), name: "catalogue" });
await cp(join(here, "migrations"), join(out, "migrations"), { recursive: true });
