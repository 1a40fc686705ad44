import { parseDuration } from "@video-storage/contract/durations";
import { parseSize } from "@video-storage/contract/sizes";

/** One thing that is wrong with the configuration, in the words the platform engineer needs. */
export interface Problem {
  /** Where, such as `nodes[0].slots`. */
  readonly key: string;
  /** What was found there; `undefined` where it is missing. */
  readonly value: unknown;
  /** What would be right. */
  readonly allowed: string;
}

/** Reads a value found under `key`, or reports what is wrong with it and returns undefined. */
export type Check<T> = (value: unknown, key: string, problems: Problem[]) => T | undefined;

function report(problems: Problem[], key: string, value: unknown, allowed: string): undefined {
  problems.push({ key, value, allowed });
}

/** A non-empty text; `allowed` describes what `pattern` wants. */
export function text(pattern: Pick<RegExp, "test">, allowed: string): Check<string> {
  return (value, key, problems) =>
    typeof value === "string" && pattern.test(value) ? value : report(problems, key, value, allowed);
}

/** A whole number. Pulumi hands top-level numbers over as text. */
export function integer(minimum: number, maximum: number): Check<number> {
  return (value, key, problems) => {
    const number = typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
    const valid =
      Number.isSafeInteger(number) && (number as number) >= minimum && (number as number) <= maximum;
    return valid
      ? (number as number)
      : report(problems, key, value, `a whole number from ${minimum} to ${maximum}`);
  };
}

export function boolean(): Check<boolean> {
  return (value, key, problems) => {
    if (value === true || value === "true") return true;
    if (value === false || value === "false") return false;
    return report(problems, key, value, "true or false");
  };
}

export function oneOf<const T extends string>(...values: readonly T[]): Check<T> {
  return (value, key, problems) =>
    values.includes(value as T) ? (value as T) : report(problems, key, value, `one of ${values.join(", ")}`);
}

/** Seconds from a duration such as `90s` or `7d`. */
export function duration(minimumSeconds: number): Check<number> {
  const allowed = `a duration of at least ${minimumSeconds} seconds, as a whole number and one unit of s, m, h, d or w`;
  return (value, key, problems) => {
    const seconds = attempt(() => parseDuration(value as string));
    return seconds !== undefined && seconds >= minimumSeconds
      ? seconds
      : report(problems, key, value, allowed);
  };
}

/** Bytes from a size such as `512Mi`. */
export function size(minimumBytes: bigint): Check<bigint> {
  const allowed = `a size of at least ${minimumBytes} bytes, as a whole number and one unit of Ki, Mi, Gi, Ti, k, M, G or T`;
  return (value, key, problems) => {
    const bytes = attempt(() => parseSize(value as string));
    return bytes !== undefined && bytes >= minimumBytes ? bytes : report(problems, key, value, allowed);
  };
}

export function list<T>(item: Check<T>, minimum = 0): Check<T[]> {
  return (value, key, problems) => {
    if (!Array.isArray(value) || value.length < minimum) {
      return report(problems, key, value, minimum > 0 ? `a list of at least ${minimum}` : "a list");
    }
    return value.map((entry, index) => item(entry, `${key}[${index}]`, problems)) as T[];
  };
}

/** May be left out. */
export function optional<T>(check: Check<T>): Check<T | null> {
  return (value, key, problems) =>
    value === undefined || value === null ? null : check(value, key, problems);
}

/** An object with any keys that `name` takes, each with a value of the same kind. */
export function mapOf<T>(
  name: (key: string) => boolean,
  allowedNames: string,
  item: Check<T>,
): Check<Readonly<Record<string, T>>> {
  return (value, key, problems) => {
    if (!isObject(value)) return report(problems, key, value, `an object with ${allowedNames} as keys`);
    const entries = Object.entries(value).map(([entry, given]) => {
      if (!name(entry)) report(problems, `${key}.${entry}`, entry, `${allowedNames} as key`);
      return [entry, item(given, `${key}.${entry}`, problems)];
    });
    return Object.fromEntries(entries) as Record<string, T>;
  };
}

/** One of several kinds of object, told apart by `field`, so that a mistake is told in the words of the kind that was meant. */
export function variants<F extends string, V extends Readonly<Record<string, Check<unknown>>>>(
  field: F,
  kinds: V,
): Check<{ [K in keyof V]: V[K] extends Check<infer T> ? T : never }[keyof V]> {
  return (value, key, problems) => {
    const kind = isObject(value) ? value[field] : undefined;
    if (typeof kind === "string" && Object.hasOwn(kinds, kind)) {
      return kinds[kind]!(value, key, problems) as never;
    }
    return report(problems, `${key}.${field}`, kind, `one of ${Object.keys(kinds).join(", ")}`);
  };
}

/** Null for an empty object, which is what Pulumi's own default for a key can be. */
export function unlessEmpty<T>(check: Check<T>): Check<T | null> {
  return (value, key, problems) =>
    value === undefined || (isObject(value) && Object.keys(value).length === 0)
      ? null
      : check(value, key, problems);
}

/** Takes `fallback` where nothing is given. */
export function withDefault<T>(check: Check<T>, fallback: T): Check<T> {
  return (value, key, problems) => (value === undefined ? fallback : check(value, key, problems));
}

type Checks = Readonly<Record<string, Check<unknown>>>;
export type Checked<C extends Checks> = {
  readonly [K in keyof C]: C[K] extends Check<infer T> ? T : never;
};

/** An object with exactly these fields; one that isn't known is more often a slip than a wish, so it is reported. */
export function record<C extends Checks>(fields: C): Check<Checked<C>> {
  return (value, key, problems) => {
    const names = Object.keys(fields);
    if (!isObject(value)) return report(problems, key, value, `an object with ${names.join(", ")}`);
    const given = value;
    const path = (name: string) => (key === "" ? name : `${key}.${name}`);
    for (const name of Object.keys(given).filter((known) => !Object.hasOwn(fields, known))) {
      const meant = closest(name, names);
      const hint = meant === undefined ? "" : `did you mean ${meant}? `;
      report(problems, path(name), given[name], `no such key here; ${hint}the keys are ${names.join(", ")}`);
    }
    const read = Object.entries(fields).map(([name, check]) => [
      name,
      check(given[name], path(name), problems),
    ]);
    return Object.fromEntries(read) as Checked<C>;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The name that was most likely meant: at most a third of its letters differ. */
function closest(wrong: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(wrong.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : undefined;
}

/** Letters to insert, remove or replace to make one of the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, above[j]! + 1, row[j - 1]! + 1));
    }
  }
  return row[b.length]!;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
