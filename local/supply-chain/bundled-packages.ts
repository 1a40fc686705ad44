import { globSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

import { INPUTS_FILE, imageBundle } from "../images/bundles.js";
import { PROJECT } from "../paths.js";

/** A package of which something is in a bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** Where it was taken from, from the root of the project: its key in the lockfile. */
  readonly path: string;
  /** SPDX expression as the package states it; null where it states none. */
  readonly licence: string | null;
  /** Of the archive that it was installed from, as the lockfile has it; null where it has none. */
  readonly integrity: string | null;
  /** Names of the packages that it asks for. */
  readonly dependencies: readonly string[];
}

/** Whether a package is of this project, and so under the project's own licence. */
export function isOfProject({ path }: Pick<BundledPackage, "path">): boolean {
  return !/(?:^|\/)node_modules\//.test(path);
}

/** What is in an image of ours, beside its base. */
export interface ImageContents {
  readonly image: string;
  readonly packages: readonly BundledPackage[];
  /** Of the bundle, all files together. */
  readonly bytes: number;
}

/** The lockfile's part that is read here. */
export interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
}

/** The images whose programs are bundles of this project: the workspaces with a container file. */
export function imagesOfOurs(): string[] {
  return globSync("*/Containerfile", { cwd: PROJECT })
    .map((file) => dirname(file))
    .sort();
}

/**
 * What is really in an image's bundle: the packages of the files that the bundler took, and those that are copied
 * beside it. `npm sbom --workspace NAME --omit dev` lists what could be, and leaves out what the root needs for its
 * tests too, such as the AWS SDK.
 */
export async function imageContents(image: string): Promise<ImageContents> {
  const bundle = await imageBundle(image);
  const inputs = JSON.parse(await readFile(join(bundle, INPUTS_FILE), "utf8")) as string[];
  const files = globSync("**/*", { cwd: bundle, withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name !== INPUTS_FILE,
  );
  const sizes = await Promise.all(
    files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  const copied = files
    .filter(({ name }) => name === "package.json")
    .map(({ parentPath }) => parentPath.slice(bundle.length + 1))
    .filter((path) => /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path));
  const lockfile = JSON.parse(await readFile(join(PROJECT, "package-lock.json"), "utf8")) as Lockfile;
  const paths = [...packagePaths(inputs), ...copied.map((path) => path.slice(path.indexOf("node_modules/")))];
  const packages = await Promise.all([...new Set(paths)].sort().map((path) => readPackage(path, lockfile)));
  return { image, packages, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** The directories of the packages that files are of: below `node_modules`, or a workspace of the project. */
export function packagePaths(files: readonly string[]): Set<string> {
  return new Set(
    files.map((file) => {
      const installed = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0];
      return installed ?? file.split("/")[0]!;
    }),
  );
}

async function readPackage(path: string, lockfile: Lockfile): Promise<BundledPackage> {
  interface PackageFile {
    readonly name: string;
    readonly version: string;
    readonly license?: string | { readonly type: string };
    readonly licenses?: readonly { readonly type: string }[];
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  }
  const text = await readFile(join(PROJECT, path, "package.json"), "utf8");
  const { name, version, license, licenses, ...asked } = JSON.parse(text) as PackageFile;
  const locked = lockfile.packages[path];
  if (locked?.version !== undefined && locked.version !== version) {
    throw new Error(
      `${path} is ${version} here and ${locked.version} in package-lock.json: run \`npm ci\`, and begin again`,
    );
  }
  const alternatives = licenses?.map(({ type }) => type).join(" OR ");
  return {
    ...{ name, version, path },
    licence: (typeof license === "object" ? license.type : license) ?? alternatives ?? null,
    integrity: locked?.integrity ?? null,
    dependencies: Object.keys({ ...asked.dependencies, ...asked.optionalDependencies }).sort(),
  };
}
