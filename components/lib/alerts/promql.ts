import { formatDuration } from "@video-storage/contract/durations";
import type { Metric } from "@video-storage/contract/metrics";

/** Label matchers, as they stand between the braces of a selector. */
export type Matchers = readonly string[];

/** Matches one value of a label. */
export function is(label: string, value: string): string {
  return `${label}=${quoted(value)}`;
}

/** Matches any of some values of a label; none where there are no values. */
export function isOneOf(label: string, values: readonly string[]): string {
  return `${label}=~${quoted(values.map(escapeRegex).join("|"))}`;
}

export function selector(name: string, matchers: Matchers): string {
  return `${name}{${matchers.join(",")}}`;
}

/** A metric of ours, of one environment. */
export function ours(metric: Metric, environment: string, ...more: readonly string[]): string {
  return selector(metric.name, [is("environment", environment), ...more]);
}

/** Seconds as PromQL and rule files write them. */
export function span(seconds: number): string {
  return formatDuration(seconds);
}

export function quoted(value: string): string {
  return JSON.stringify(value);
}

/** For a regular expression of Prometheus (RE2), which is anchored at both ends already. */
export function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
