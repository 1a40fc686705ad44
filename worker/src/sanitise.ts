import type { JsonValue } from "@video-storage/contract/json-value";
import { detectSecrets } from "./detector.js";
import { sanitiseEncoded } from "./encoded-text.js";
import { InvalidAttributesError } from "./errors.js";
import { REDACTED, SECRET_FORMS, isUserAndPassword } from "./secret-forms.js";
import { isSecretName } from "./secret-names.js";

export { REDACTED } from "./secret-forms.js";
export { isSecretName } from "./secret-names.js";

const MAXIMUM_DEPTH = 32;
/** Encodings within encodings that are undone. */
const MAXIMUM_ENCODINGS = 4;

const NAME_AND_SEPARATOR = /(\\?["']?)([A-Za-z][A-Za-z0-9_.%-]{0,63})\1([ \t]*[=:][ \t]*)/g;
const VALUE = /(\\"|"|')(?:.*?(?<!\\)\1|[^\r\n]*(?=[\r\n]|$))|[^\s&"'<>]+/y;

/**
 * `name=value` and `"name": "value"`, parameters of signed URLs among them. Where the name is no secret's, what
 * follows is searched again: a URL's scheme looks like a name with the rest of the URL as its value.
 */
function redactNamedValues(text: string): string {
  let result = "";
  let done = 0;
  for (const match of text.matchAll(NAME_AND_SEPARATOR)) {
    if (match.index < done || !isSecretName(decoded(match[2]!))) continue;
    const start = match.index + match[0].length;
    VALUE.lastIndex = start;
    const [value, quote = ""] = VALUE.exec(text) ?? [""];
    if (!isWorthHiding(match[3]!, value)) continue;
    result += text.slice(done, start) + quote + REDACTED + quote;
    done = start + value.length;
  }
  return result + text.slice(done);
}

/**
 * The text without the secrets that can be told from others by their form or by what stands before them, also where
 * they are encoded (percent, base64, hexadecimal, JSON or HTML in a text), four times over at most.
 */
export function sanitiseText(text: string): string {
  return sanitiseToDepth(text, MAXIMUM_ENCODINGS);
}

// Every form needs one of these. Most titles, names and numbers have none, and cost next to nothing.
const SUSPICIOUS = /[:=@%<\\&]|--|[A-Za-z0-9+/_.~$-]{16}|\b(?:bearer|basic|login|sshpass|curl)\s/i;

function sanitiseToDepth(text: string, encodings: number): string {
  if (!SUSPICIOUS.test(text)) return text;
  const withoutForms = SECRET_FORMS.reduce(
    (result, [pattern, by]) => result.replace(pattern, (...groups) => by(...(groups as string[]))),
    text,
  );
  const plain = redactDetected(redactNamedValues(withoutForms));
  return encodings === 0 ? plain : sanitiseEncoded(plain, (inner) => sanitiseToDepth(inner, encodings - 1));
}

const TOKEN_REST = /[A-Za-z0-9+/=_-]*/y;

function redactDetected(text: string): string {
  let result = "";
  let done = 0;
  for (const [start, detected] of detectSecrets(text)) {
    // What is left of a secret that was found already.
    if (start < done || text.slice(start, detected).includes(REDACTED)) continue;
    // Some rules tell where a secret begins, and how long one usually is.
    TOKEN_REST.lastIndex = detected;
    const end = detected + (TOKEN_REST.exec(text)?.[0].length ?? 0);
    result += text.slice(done, start) + REDACTED;
    done = end;
  }
  return result + text.slice(done);
}

/**
 * The attributes as they may be written: every text sanitised, every field with a secret's name redacted, at any
 * depth. Throws {@link InvalidAttributesError} for what isn't JSON (functions, dates, NaN, cycles, depth over 32).
 */
export function sanitiseAttributes(attributes: Readonly<Record<string, unknown>>): Record<string, JsonValue> {
  return sanitiseObject(attributes, "attributes", 0);
}

function sanitiseObject(value: object, path: string, depth: number): Record<string, JsonValue> {
  const entries = Object.entries(value) as [string, unknown][];
  const hidden = hiddenByNeighbours(value as Record<string, unknown>);
  // fromEntries defines properties, so that a key "__proto__" stays a mere key.
  return Object.fromEntries(
    entries.map(([key, child]) => {
      const hide = (isSecretName(key) || hidden.has(key)) && child !== null && typeof child !== "boolean";
      return [
        sanitiseText(key),
        hide ? REDACTED : sanitiseValue(child, `${path}.${sanitiseText(key)}`, depth + 1),
      ];
    }),
  );
}

/** Fields that are secret by what stands beside them: a header's value, a login's "pass", Docker's "auth". */
function hiddenByNeighbours(value: Record<string, unknown>): ReadonlySet<string> {
  const hidden = new Set<string>();
  const keys = new Map(Object.keys(value).map((key) => [key.toLowerCase(), key]));
  const field = (name: string): unknown => value[keys.get(name) ?? ""];
  for (const name of ["name", "key", "header"]) {
    const named = field(name);
    if (typeof named === "string" && isSecretName(named) && keys.has("value")) hidden.add(keys.get("value")!);
  }
  if (["user", "username", "login"].some((name) => keys.has(name)) && keys.has("pass"))
    hidden.add(keys.get("pass")!);
  const auth = field("auth");
  if (typeof auth === "string" && isUserAndPassword(auth)) hidden.add(keys.get("auth")!);
  return hidden;
}

const HEADER_WITH_SECRET =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:token|key|secret)|api-key)$/i;

/** What of a list is secret by the item before it: arguments of a command, names and values of headers in turn. */
function isHiddenInList(before: unknown, item: string): boolean {
  if (typeof before !== "string") return false;
  // Of words in a list, "cookie" is one like others.
  if (HEADER_WITH_SECRET.test(before)) return /[=\s\d]/.test(item) || item.length >= 16;
  return /^--?[a-z]/i.test(before) && !before.includes("=") && isSecretName(before);
}

function sanitiseValue(value: unknown, path: string, depth: number): JsonValue {
  if (depth > MAXIMUM_DEPTH) {
    throw new InvalidAttributesError(
      `${path.slice(0, 200)} is nested more than ${MAXIMUM_DEPTH} deep, or in itself`,
    );
  }
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return sanitiseText(value);
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value))
    return value.map((item, index) =>
      typeof item === "string" && isHiddenInList(value[index - 1], item)
        ? REDACTED
        : sanitiseValue(item, `${path}[${index}]`, depth + 1),
    );
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value) as null)) {
    return sanitiseObject(value, path, depth);
  }
  throw new InvalidAttributesError(
    `${path} can't be kept: use strings, finite numbers, booleans, null, arrays and plain objects`,
  );
}

function isWorthHiding(separator: string, value: string): boolean {
  // "token: expired" in a sentence is no secret; "token=expired" may be one.
  if (value === "") return false;
  return separator.trim() === "=" || /^\\?["']/.test(value) || /[0-9]/.test(value) || value.length >= 16;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
