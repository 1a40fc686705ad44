/**
 * For a claim whose class waits for its first consumer: none is in this stack, so the engine would wait
 * until its time-out (pulumi-kubernetes#895, #1242, #4179).
 */
export const SKIP_AWAIT = { "pulumi.com/skipAwait": "true" } as const;

/** Annotations that only the engine reads; what is applied without it doesn't carry them. */
export const ENGINE_ANNOTATION_PREFIX = "pulumi.com/";
