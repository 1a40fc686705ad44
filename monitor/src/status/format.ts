/** How figures are said to people: one way, in the terminal and on the page. */

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/** Three digits and a binary unit: `0 B`, `980 KiB`, `1.50 GiB`. */
export function formatBytes(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  // 1023.5 would be shown as 1024.
  while (unit < BYTE_UNITS.length - 1 && (unit === 0 ? value >= 1024 : value >= 1023.5)) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 ? 0 : value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

/** With a space between each three digits: `1 234 567`. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, "\u00a0");
}

/** Whole percents, but never 0 for something or 100 for less than all: `<1 %`, `42 %`, `>99 %`. */
export function formatPercent(percent: number): string {
  if (percent > 0 && percent < 1) return "<1\u00a0%";
  if (percent > 99 && percent < 100) return ">99\u00a0%";
  return `${Math.round(percent)}\u00a0%`;
}

const SPANS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
] as const;

/** The two largest units of a span: `45 s`, `3 min 20 s`, `2 h 5 min`, `12 d`. */
export function formatSpan(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const first = SPANS.findIndex(([size]) => rest >= size);
  if (first === -1) return "0\u00a0s";
  const parts: string[] = [];
  for (const [size, unit] of SPANS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}\u00a0${unit}`);
    // Beyond ten of a unit the next one says nothing more.
    if (count >= 10) break;
  }
  return parts.join(" ");
}

/** `3 min ago`, `now`, `in 5 s`. */
export function formatAgo(time: string, now: string): string {
  const seconds = (Date.parse(now) - Date.parse(time)) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${formatSpan(seconds)} ago` : `in ${formatSpan(-seconds)}`;
}

/** Of a time that is known to the second: `2026-01-31 23:59:58 UTC`. */
export function formatTime(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}

/** `1 job`, `2 jobs`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
