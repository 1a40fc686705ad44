/**
 * For a claim whose class waits for its first consumer: none is in this stack, so the engine would wait
 * until its time-out (pulumi-kubernetes#895, #1242, #4179).
 */
export const SKIP_AWAIT = { "pulumi.com/skipAwait": "true" } as const;

/**
 * For a Job that runs once: one that failed is run anew by the next deployment. Without it the engine would find the
 * failed one as it is declared, and fail for ever.
 */
export const REPLACE_UNREADY = { "pulumi.com/replaceUnready": "true" } as const;

/** Annotations that only the engine reads; what is applied without it doesn't carry them. */
export const ENGINE_ANNOTATION_PREFIX = "pulumi.com/";
