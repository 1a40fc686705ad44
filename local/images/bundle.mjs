// Bundles a program of this project into one file for Node.js 24, with what cannot be bundled beside it.
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { build } from "esbuild";

import { LICENCES_FILE, licenceTexts } from "./licence-texts.mjs";

/** Where Node's own modules are, for the bundler. */
const BUILTIN = "builtin";

/**
 * Imports Node's own module for HTTP without what its getters give. Node reads all exports of a module of its own that is
 * imported, and this one's WebSocket loads a whole client of HTTP: 50 ms of a processor at each start of a program.
 * @type {import("esbuild").Plugin}
 */
const httpAlone = {
  name: "http-alone",
  setup(build) {
    const values = Object.entries(Object.getOwnPropertyDescriptors(http)).filter(([, { get }]) => !get);
    build.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      // What is required is only read when it is used.
      kind === "require-call" ? undefined : { path: "node:http", namespace: BUILTIN },
    );
    // By require, since the first releases of Node.js 20 have no process.getBuiltinModule.
    build.onLoad({ filter: /.*/, namespace: BUILTIN }, ({ path }) => ({
      contents: `const builtin = require("${path}");
        export default builtin;
        export const { ${values.map(([name]) => name).join(", ")} } = builtin;`,
    }));
  },
};

const KOFFI = "koffi-native";

/**
 * Takes koffi's native library without koffi's own way to it, which is 17 of 23 ms of a processor at each start of a
 * program and of each of its threads, and adds to the library only names that koffi calls outdated. The platform's package
 * decides which library it is, glibc's or musl's.
 * @type {import("esbuild").Plugin}
 */
const koffiAlone = {
  name: "koffi-alone",
  setup(build) {
    build.onResolve({ filter: /^koffi$/ }, ({ path }) => ({ path, namespace: KOFFI }));
    build.onLoad({ filter: /.*/, namespace: KOFFI }, () => ({
      contents: "export default require(`@koromix/koffi-${process.platform}-${process.arch}`);",
    }));
  },
};

/**
 * Leaves `directory/name.mjs`, the licences of what is in it, and below `directory/node_modules` the native library for
 * system calls where the program makes some. Extra directories are copied beside the file under their own name.
 * `threads` are the entries of the program's own threads, by name: each becomes a file too, and what they share with
 * the program a further one. `beside` are files of what is put beside the bundle, for its licences to go along.
 * @param {{ entry: string, directory: string, name: string, locks?: boolean, copy?: readonly string[],
 *   target?: string, splitting?: boolean,
 *   threads?: Readonly<Record<string, string>>, plugins?: import("esbuild").Plugin[], beside?: readonly string[] }} options
 */
export async function bundle({
  entry,
  directory,
  name,
  locks = false,
  copy = [],
  target = "node24",
  splitting = true,
  threads = {},
  plugins = [],
  beside = [],
}) {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const { metafile } = await build({
    entryPoints: { [name]: entry, ...threads },
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    chunkNames: `${name}-[hash]`,
    bundle: true,
    splitting,
    plugins: [...plugins, httpAlone, koffiAlone],
    platform: "node",
    // Of a package in both forms the one of which what nobody calls can be left out: S3's client is two thirds smaller.
    mainFields: ["module", "main"],
    format: "esm",
    target,
    external: ["pg-native"],
    // Packages that are CommonJS call require() for Node's own modules.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
    legalComments: "linked",
    logLevel: "warning",
    metafile: true,
  });
  // What a plugin has made is of a namespace, and no file.
  const inputs = Object.keys(metafile.inputs).filter((input) => !/^[a-z-]+:/.test(input));
  const files = [...inputs, ...beside];
  await writeFile(join(directory, LICENCES_FILE), await licenceTexts(files));
  // For who lists what is in the bundle: see local/supply-chain.
  const list = process.env["VIDEO_STORAGE_BUNDLE_INPUTS"];
  if (list) await writeFile(list, JSON.stringify(files));
  for (const path of copy) await cp(path, join(directory, path.split("/").at(-1)), { recursive: true });
  if (locks) await copyKoffi(createRequire(entry), join(directory, "node_modules"));
}

/** The native libraries of this machine's architecture, for glibc and musl, and koffi's licence, which is theirs too. */
async function copyKoffi(require, modules) {
  const koffi = dirname(require.resolve("koffi"));
  for (const file of ["package.json", "LICENSE.txt"])
    await cp(join(koffi, file), join(modules, "koffi", file));
  const scope = join(dirname(koffi), "@koromix");
  for (const name of await readdir(scope)) {
    if (name.startsWith("koffi-"))
      await cp(join(scope, name), join(modules, "@koromix", name), { recursive: true });
  }
}
