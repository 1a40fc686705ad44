// Writes what of the documents is generated from the code: `npm run reference`. `--check` writes nothing and ends
// with 1 when something isn't what the code says.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

import { PROJECT } from "../paths.js";
import { generatedDocuments } from "./documents.js";

const usage = `npm run reference [-- --check]

Writes the reference (docs/reference) and what of other documents is generated: the parts between their marks.

  --check   write nothing; name what is out of date, and end with 1 if anything is
  --json    one object: {"written": [], "unchanged": []}, or with --check {"outdated": [], "unchanged": []}`;

const { values } = (() => {
  try {
    return parseArgs({
      options: {
        check: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    console.error(`✗ ${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
})();
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const changed: string[] = [];
const unchanged: string[] = [];
for (const [path, text] of await generatedDocuments()) {
  const file = join(PROJECT, path);
  if ((await readFile(file, "utf8").catch(() => undefined)) === text) {
    unchanged.push(path);
    continue;
  }
  changed.push(path);
  if (values.check) continue;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}
if (values.json) {
  console.log(JSON.stringify({ [values.check ? "outdated" : "written"]: changed, unchanged }));
} else {
  for (const path of changed) console.log(`${path}: ${values.check ? "out of date" : "written"}`);
  if (changed.length === 0) console.log(`all ${unchanged.length} are as the code says`);
  if (values.check && changed.length > 0)
    console.error("✗ Run `npm run reference` and commit what it writes.");
}
process.exitCode = values.check && changed.length > 0 ? 1 : 0;
