// Writes the JSON Schemas of the contract beside this file: `npm run schema`. A change that would break who relies on
// them is refused; `--unreleased` writes it all the same, while no release has that version yet.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compareSchemas } from "./compatibility.js";
import type { JsonSchema } from "./compatibility.js";
import { CONTRACT_DOCUMENTS, jsonSchemaOf } from "./documents.js";

const { unreleased } = parseArgs({ options: { unreleased: { type: "boolean", default: false } } }).values;

for (const document of CONTRACT_DOCUMENTS) {
  const file = fileURLToPath(new URL(document.file, import.meta.url));
  const schema = jsonSchemaOf(document);
  const text = `${JSON.stringify(schema, undefined, 2)}\n`;
  const before = await readFile(file, "utf8").catch(() => undefined);
  if (before === text) {
    console.log(`${document.file}: unchanged`);
    continue;
  }
  const { breaking, additive } =
    before === undefined
      ? { breaking: [], additive: ["$: is new"] }
      : compareSchemas(JSON.parse(before) as JsonSchema, schema, document.promise);
  for (const change of additive) console.log(`${document.file}: ${change}`);
  for (const change of breaking) console.error(`${document.file}: BREAKING ${change}`);
  if (breaking.length > 0 && !unreleased) {
    console.error(
      `${document.file}: not written. Leave version 1 as it is and add a version 2, which a reader of 1 refuses clearly.`,
    );
    process.exitCode = 1;
    continue;
  }
  await writeFile(file, text);
  console.log(`${document.file}: written`);
}
