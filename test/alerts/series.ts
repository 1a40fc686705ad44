import type { Metric } from "@video-storage/contract/metrics";

/** A series as promtool takes it: a sample every interval of the case, from 0 on. */
export interface Series {
  readonly series: string;
  readonly values: string;
}

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;

/** The value of a series at each second; null where it has none. */
export type Course = (second: number) => number | null;

/** One value all the time. */
export const always =
  (value: number): Course =>
  () =>
    value;

/** The first course until a second, then the second one; each by the time since it began. */
export function followed(first: Course, until: number, next: Course): Course {
  return (second) => (second < until ? first(second) : next(second - until));
}

/** Changes by so much a second. */
export const ramp =
  (from: number, perSecond: number): Course =>
  (second) =>
    from + perSecond * second;

/** Rises from one value to another in a period, falls back at once, and so on: what workers write and sweeps free. */
export const saw =
  (from: number, to: number, period: number): Course =>
  (second) =>
    from + ((to - from) * (second % period)) / period;

/** Samples from 0 to `end`, in seconds. */
export function samples(course: Course, interval: number, end: number): string {
  const values: string[] = [];
  for (let second = 0; second <= end; second += interval) {
    const value = course(second);
    values.push(value === null ? "_" : String(value));
  }
  return values.join(" ");
}

export type Labels = Readonly<Record<string, string>>;

export function named(name: string, labels: Labels): string {
  return `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}="${value}"`)
    .join(",")}}`;
}

/** A series of ours, with labels that it must have and those that a scrape adds. */
export function ofMetric(metric: Metric, labels: Labels): string {
  const known = new Set(["environment", "instance", "job", ...metric.labels]);
  const strange = Object.keys(labels).filter((label) => !known.has(label));
  if (strange.length > 0) throw new Error(`${metric.name} has no label ${strange.join(", ")}`);
  const missing = metric.labels.filter((label) => labels[label] === undefined);
  if (missing.length > 0) throw new Error(`${metric.name} has the labels ${missing.join(", ")} besides`);
  return named(metric.name, labels);
}
