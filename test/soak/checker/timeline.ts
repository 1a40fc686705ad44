import type { Outage, Run } from "./evidence.js";

/** The longest time in an interval, in milliseconds, in which nothing that the node needs was away. */
export function longestUndisturbed(
  outages: readonly Outage[],
  node: string | undefined,
  from: number,
  until: number,
): number {
  const away = outages
    .filter((outage) => outage.node === null || outage.node === node)
    .map((outage) => [Math.max(outage.from, from), Math.min(outage.until, until)] as const)
    .filter(([begin, end]) => begin <= end)
    .sort(([a], [b]) => a - b);
  let longest = 0;
  let reached = from;
  for (const [begin, end] of away) {
    longest = Math.max(longest, begin - reached);
    reached = Math.max(reached, end);
  }
  return Math.max(longest, until - reached);
}

/**
 * Whether what was due at a time had an undisturbed period and a sweep's own time to happen in, before another time.
 * Outages excuse this way, and not by their length: one of a second, at the second in which a sweep begins, costs a
 * whole period.
 */
export function hadItsTime(
  { outages, times }: Pick<Run, "outages" | "times">,
  node: string | undefined,
  dueAt: number,
  until: number,
  period = times.period,
): boolean {
  if (until <= dueAt) return false;
  return longestUndisturbed(outages, node, dueAt, until) > (period + times.sweep) * 1000;
}
