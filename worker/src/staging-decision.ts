/** Why something of a job goes to object storage before it is cold. */
export type StagingReason = "no-room" | "long-running" | "drained";

export interface StagingFacts {
  readonly hasObjectStorage: boolean;
  /** The worker was told to end. */
  readonly draining: boolean;
  /** What is still to be written, as far as that is known; else 0. */
  readonly neededBytes: bigint;
  readonly availableBytes: bigint;
  /** Room that others on the volume rely on. */
  readonly reserveBytes: bigint;
  readonly secondsActive: number;
  /** Null: a job may run for any time on its volume alone. */
  readonly maxLocalSeconds: number | null;
}

/**
 * Local first: a job stays on its volume unless the volume has no room for what is still to come, the job has run for
 * longer than the stack lets a node be its only place, or its worker is drained. Without object storage it stays.
 */
export function decideStaging(facts: StagingFacts): StagingReason | "local" {
  if (!facts.hasObjectStorage) return "local";
  if (facts.draining) return "drained";
  if (facts.neededBytes + facts.reserveBytes > facts.availableBytes) return "no-room";
  if (facts.maxLocalSeconds !== null && facts.secondsActive > facts.maxLocalSeconds) return "long-running";
  return "local";
}
