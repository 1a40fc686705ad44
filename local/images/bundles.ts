import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

import { keepNewest, madeOnce } from "../build/kept.js";
import { must } from "../command.js";
import { PROJECT, cacheDirectory } from "../paths.js";

/** Nothing of these is in a program that is bundled. */
const NOT_BUNDLED = new Set(["node_modules", "bench", "docs", "examples", "test"]);
/** Of each program. */
const KEPT = 4;
/** In a bundle's directory, and in no image: the names of the files that it was made from, below the project. */
export const INPUTS_FILE = ".inputs.json";

/**
 * Names the state of everything that bundles are made from: the checkout's sources, and the packages by the lockfile.
 * A bundle of the same name is the same, and needs not be made again, which for all takes ten seconds of a processor.
 */
export async function fingerprintOfSources(project = PROJECT): Promise<string> {
  const hash = createHash("sha256");
  const add = async (directory: string): Promise<void> => {
    const entries = await readdir(join(project, directory), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const { name } = entry;
      if (name.startsWith(".") || NOT_BUNDLED.has(name)) continue;
      const path = join(directory, name);
      if (entry.isDirectory()) await add(path);
      // Whatever its name: a list of endings would leave out what some bundle has.
      else if (entry.isFile())
        hash
          .update(`${path}\0`)
          .update(await readFile(join(project, path)))
          .update("\0");
    }
  };
  await add("");
  return hash.digest("hex").slice(0, 16);
}

/**
 * The bundle of a program among those of the images in a directory, made by the program's own build script, by default
 * that of the workspace of its name, if there is none of these sources yet, which `begun` is told.
 */
export function programBundle(
  images: string,
  program: { readonly name: string; readonly sources: string; readonly script?: string | undefined },
  begun: () => void = () => {},
): Promise<string> {
  const { name, sources, script = `${name}/build.mjs` } = program;
  return keptBundle(join(images, "bundles"), `${name}-${sources}`, async (output) => {
    begun();
    const env = { ...process.env, VIDEO_STORAGE_BUNDLE_INPUTS: join(output, INPUTS_FILE) };
    await must("node", [script, "--out", output], { cwd: PROJECT, env });
  });
}

/** The bundle in an image of ours: that of the workspace of its name, from the project's sources as they are now. */
export async function imageBundle(name: string): Promise<string> {
  return programBundle(join(cacheDirectory(), "images"), { name, sources: await fingerprintOfSources() });
}

/** The directory of that name, which is made if there is none yet and is whole if there is one. */
export async function keptBundle(
  bundles: string,
  name: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const directory = join(bundles, name);
  const made = await madeOnce(directory, "bundles", make);
  if (made) await keepNewest(bundles, new RegExp(`^${name.replace(/-[0-9a-f]+$/, "")}-[0-9a-f]+$`), KEPT);
  return directory;
}
