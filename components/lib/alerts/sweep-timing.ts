/** When sweeps come, in seconds. */
export interface SweepTiming {
  /** The longest time between two starts of the schedule. */
  readonly periodSeconds: number;
  /** How late one may start. */
  readonly startingDeadlineSeconds: number;
  /** How long one may take. */
  readonly activeDeadlineSeconds: number;
}

/**
 * The longest time between the ends of two sweeps when all is well: the next one is due a period after the start of the
 * last, may start late and may take all its time.
 */
export function longestBetweenEnds(timing: SweepTiming): number {
  return timing.periodSeconds + timing.startingDeadlineSeconds + timing.activeDeadlineSeconds;
}
