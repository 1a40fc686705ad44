import type { Plugin } from "esbuild";

/** Leaves `directory/cleanup-job.mjs` and what it loads. */
export declare function bundleCleanupJob(directory: string, plugins?: Plugin[]): Promise<void>;
