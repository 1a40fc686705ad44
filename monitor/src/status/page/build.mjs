// Bundles the status page. Its files refer to nothing outside themselves.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));

/**
 * The page's files by name, and the files that they were made of.
 * @returns {Promise<{ files: Map<string, Buffer>, inputs: string[] }>}
 */
export async function bundlePage() {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(here, "page.ts"), join(here, "page.css")],
    outdir: here,
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022"],
    legalComments: "inline",
    logLevel: "warning",
    metafile: true,
  });
  const files = new Map(
    outputFiles.map(({ path, contents }) => [path.slice(here.length + 1), Buffer.from(contents)]),
  );
  for (const name of ["index.html", "icon.svg"]) files.set(name, await readFile(join(here, name)));
  return { files, inputs: Object.keys(metafile.inputs) };
}

/**
 * The page's files by name.
 * @returns {Promise<Map<string, Buffer>>}
 */
export async function buildPage() {
  return (await bundlePage()).files;
}

/**
 * Leaves the page's files in a directory, for a program that has no bundler with it.
 * @param {string} directory
 * @param {ReadonlyMap<string, Buffer>} files
 */
export async function writePage(directory, files) {
  await mkdir(directory, { recursive: true });
  for (const [name, body] of files) await writeFile(join(directory, name), body);
}
