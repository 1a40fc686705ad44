/** What the program's exit code says; part of its interface. */
export const EXIT_CODES = {
  ok: 0,
  /** Some device or slot was refused or failed; the others were prepared. */
  someRefused: 1,
  usage: 2,
  clusterUnavailable: 3,
  /** Another agent is at work on this node. */
  busy: 4,
} as const;
