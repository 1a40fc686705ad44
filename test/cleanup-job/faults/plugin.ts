import { fileURLToPath } from "node:url";
import type { Plugin } from "esbuild";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const REPLACED: readonly { readonly filter: RegExp; readonly by: string }[] = [
  { filter: /\/system-calls\.js$/, by: here("faulty-system-calls.ts") },
  { filter: /^node:fs\/promises$/, by: here("faulty-files.ts") },
  { filter: /^@video-storage\/catalogue\/connection$/, by: here("faulty-connection.ts") },
];

/** Puts a point before everything that the cleanup job changes. The program shipped has none of this. */
export const faultPoints: Plugin = {
  name: "fault-points",
  setup(build) {
    for (const { filter, by } of REPLACED) {
      build.onResolve({ filter }, ({ importer }) =>
        importer.includes("/cleanup-job/src/") && importer !== by ? { path: by } : undefined,
      );
    }
  },
};
