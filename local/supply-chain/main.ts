// Lists what is in the images: `npm run sbom`.
import { mkdir, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { builtSizes } from "../images/image.js";
import { PROJECT, cacheDirectory } from "../paths.js";
import { askForAudit } from "./audit.js";
import { imageContents, imagesOfOurs } from "./bundled-packages.js";
import { forbidden, reportLines } from "./report.js";
import { sbomOf } from "./sbom.js";

const images = imagesOfOurs();
const usage = `npm run sbom [-- [IMAGE ...] [--out DIRECTORY] [--json]]

Bundles each image's program, lists the packages that are really in it with their licences, and asks the registry what is
known of weaknesses. Images: ${images.join(", ")} (default: all).

  --out DIRECTORY   write IMAGE.cdx.json (CycloneDX 1.5) for each
  --json            print the bills as one JSON array and nothing else

Exit codes: 0 done, 1 a licence isn't on the list (local/supply-chain/licences.ts), 2 called wrongly.
An audit that the registry doesn't answer is said, and is no failure.`;

const { values, positionals } = (() => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        out: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
})();
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const unknown = positionals.filter((image) => !images.includes(image));
if (unknown.length > 0) fail(`there is no image ${unknown.join(", ")}; there are ${images.join(", ")}`);

const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as { version: string };
// Ctrl-C ends the program that bundles too, and what it wrote is removed on the way out.
let interrupted = false;
process.on("SIGINT", () => (interrupted = true));
const contents = [];
try {
  for (const image of positionals.length > 0 ? positionals : images)
    contents.push(await imageContents(image));
} catch (error) {
  if (!interrupted) throw error;
  console.error("\nInterrupted.");
  process.exit(130);
}
const bills = contents.map((one) => sbomOf(one, { version, baseImage: baseImageOf(one.image) }));
if (values.json) console.log(JSON.stringify(bills, undefined, 2));
else {
  const sizes = await builtSizes(join(cacheDirectory(), "images"));
  for (const line of reportLines(contents, sizes, await askForAudit())) console.log(line);
}
if (values.out !== undefined) {
  const directory = resolve(values.out);
  await mkdir(directory, { recursive: true });
  for (const bill of bills) {
    const file = join(directory, `${bill.metadata.component.name}.cdx.json`);
    await writeFile(file, `${JSON.stringify(bill, undefined, 2)}\n`);
    if (!values.json) console.log(`${file}: written`);
  }
}
process.exitCode = contents.some(({ packages }) => forbidden(packages).length > 0) ? 1 : 0;

function baseImageOf(image: string): string {
  const text = readFileSync(join(PROJECT, image, "Containerfile"), "utf8");
  return /^ARG BASE_IMAGE=(\S+)$/m.exec(text)![1]!;
}

function fail(problem: string): never {
  console.error(`✗ ${problem}\n\n${usage}`);
  process.exit(2);
}
