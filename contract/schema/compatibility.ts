export type JsonSchema = Readonly<Record<string, unknown>>;

export interface SchemaPromise {
  /** Whether a program built with the old schema may meet documents of the new one. */
  readonly readers: "any release" | "same release";
  /** Whether documents of the old schema are still there when programs have the new one. */
  readonly documents: "kept" | "rewritten";
}

export interface SchemaChanges {
  /** Each as `path: what`. */
  readonly breaking: readonly string[];
  readonly additive: readonly string[];
}

// Words for people.
const SAID_ONLY = new Set(["$schema", "$id", "title", "description", "default", "examples"]);
const SUBSCHEMAS = ["items", "propertyNames", "additionalProperties"];
const LISTS = ["anyOf", "oneOf", "allOf"];

/**
 * What a change of schema means to whoever relies on the old one. A new field is additive, a required one too unless
 * documents without it are kept; everything else that a validator would see is taken for breaking.
 */
export function compareSchemas(before: JsonSchema, after: JsonSchema, promise: SchemaPromise): SchemaChanges {
  const breaking: string[] = [];
  const additive: string[] = [];

  function compare(old: unknown, now: unknown, path: string): void {
    if (!isObject(old) || !isObject(now)) {
      if (JSON.stringify(old) !== JSON.stringify(now))
        breaking.push(`${path}: ${shown(old)} became ${shown(now)}`);
      return;
    }
    for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
      const [a, b] = [old[key], now[key]];
      if (key === "properties") compareProperties(old, now, path);
      else if (key === "required") compareRequired(old, now, path);
      else if (SAID_ONLY.has(key)) {
        if (JSON.stringify(a) !== JSON.stringify(b)) additive.push(`${path}: ${key} says something else`);
      } else if (SUBSCHEMAS.includes(key)) compare(a, b, `${path}.${key}`);
      else if (LISTS.includes(key) && Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
        a.forEach((each, index) => compare(each, b[index], `${path}.${key}[${index}]`));
      } else if (JSON.stringify(a) !== JSON.stringify(b)) {
        breaking.push(`${path}: ${key} ${shown(a)} became ${shown(b)}`);
      }
    }
  }

  function compareProperties(old: JsonSchema, now: JsonSchema, path: string): void {
    const [a, b] = [object(old["properties"]), object(now["properties"])];
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const field = `${path}.${name}`;
      if (!Object.hasOwn(b, name)) breaking.push(`${field}: was removed`);
      else if (Object.hasOwn(a, name)) compare(a[name], b[name], field);
      else if (old["additionalProperties"] === false && promise.readers === "any release")
        breaking.push(`${field}: is new, where readers refuse what they don't know`);
      else additive.push(`${field}: is new`);
    }
  }

  function compareRequired(old: JsonSchema, now: JsonSchema, path: string): void {
    const [a, b] = [strings(old["required"]), strings(now["required"])];
    const still = object(now["properties"]);
    for (const name of a) {
      if (!b.includes(name) && Object.hasOwn(still, name))
        breaking.push(`${path}.${name}: may be missing now`);
    }
    for (const name of b.filter((each) => !a.includes(each))) {
      const change = `${path}.${name}: is required now`;
      (promise.documents === "kept" ? breaking : additive).push(change);
    }
  }

  compare(before, after, "$");
  return { breaking, additive };
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(value: unknown): JsonSchema {
  return isObject(value) ? value : {};
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? (value as string[]) : [];
}

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
