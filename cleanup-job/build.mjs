/*
 * Bundles the cleanup job: `node cleanup-job/build.mjs [--out DIR]` leaves DIR/cleanup-job.mjs and beside it
 * the one thing that can't be bundled, koffi with its native library. Nothing else is needed but Node 24.
 */
import { build } from "esbuild";
import { cp, mkdir, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { out: { type: "string", default: join(here, "dist") } } });

await mkdir(values.out, { recursive: true });
await build({
  entryPoints: [join(here, "src/main.ts")],
  outfile: join(values.out, "cleanup-job.mjs"),
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  // Opened by koffi itself at run time.
  external: ["koffi", "pg-native"],
  // Packages that are CommonJS call require() for Node's own modules.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  legalComments: "linked",
  logLevel: "warning",
});

const require = createRequire(import.meta.url);
const koffi = dirname(require.resolve("koffi"));
const modules = join(values.out, "node_modules");
const KOFFI_FILES = /(^|\/)(package\.json|LICENSE\.txt|[^/]+\.(js|cjs|node))$/;
await cp(koffi, join(modules, "koffi"), {
  recursive: true,
  filter: (path) => {
    const below = path.slice(koffi.length + 1);
    return !/^(doc|vendor|lib)(\/|$)/.test(below) && (!/\.[^/]+$/.test(below) || KOFFI_FILES.test(below));
  },
});
// The libraries of this machine's architecture, for glibc and musl; other architectures build their own.
const scope = join(dirname(koffi), "@koromix");
for (const name of await readdir(scope)) {
  if (name.startsWith("koffi-"))
    await cp(join(scope, name), join(modules, "@koromix", name), { recursive: true });
}
