/** What the program's exit code says; part of its interface. */
export const EXIT_CODES = {
  ok: 0,
  someJobFailed: 1,
  usage: 2,
  catalogueUnavailable: 3,
  auditBroken: 4,
} as const;
