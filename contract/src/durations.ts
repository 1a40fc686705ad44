const UNITS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;
const PATTERN = /^(\d{1,9})(s|m|h|d|w)$/;

/** A duration that cannot be read. */
export class InvalidDurationError extends Error {
  override readonly name = "InvalidDurationError";
}

/** Seconds in a duration such as `90s`, `15m`, `24h`, `7d` or `2w`. Throws {@link InvalidDurationError}. */
export function parseDuration(text: string): number {
  const match = PATTERN.exec(text);
  if (!match) {
    throw new InvalidDurationError(
      `duration ${JSON.stringify(text)} is not valid: use a whole number and one unit of s, m, h, d or w, for example "90s" or "7d"`,
    );
  }
  return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

/** The shortest exact form, in the largest unit that divides it: 5400 is `90m`, 86400 is `1d`. */
export function formatDuration(seconds: number): string {
  if (!Number.isSafeInteger(seconds) || seconds < 0) {
    throw new InvalidDurationError(`${seconds} is not a duration: use a whole number of seconds, 0 or more`);
  }
  const unit =
    (["w", "d", "h", "m", "s"] as const).find((u) => seconds > 0 && seconds % UNITS[u] === 0) ?? "s";
  return `${seconds / UNITS[unit]}${unit}`;
}
