/** Arguments of Node.js before a TypeScript file of this project that it is to run. */
export const RUNS_TYPESCRIPT = ["--import", new URL("./typescript-files.mjs", import.meta.url).href] as const;
