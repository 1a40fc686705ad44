import type { JsonValue } from "@video-storage/contract/json-value";
import { InvalidAttributesError } from "./errors.js";

/** Stands where a secret stood. */
export const REDACTED = "[redacted]";

const MAXIMUM_DEPTH = 32;

// Names are compared word by word, so that "accessToken", "access-token" and "ACCESS_TOKEN" are one name and
// "tokenizer" or "keyframe" none of them.
const SECRET_LAST_WORDS = new Set([
  ...[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "token",
    "authorization",
    "cookie",
    "cookies",
  ],
  ...[
    "credential",
    "credentials",
    "signature",
    "sig",
    "jwt",
    "bearer",
    "apikey",
    "authkey",
    "privatekey",
    "secretkey",
  ],
]);
const SECRET_WORD_GROUPS = new Set([
  ...["api key", "access key", "access key id", "private key", "secret key", "signing key", "encryption key"],
  ...["account key", "auth key", "shared key", "master key", "session id", "key pair id", "password hash"],
]);

/** Whether a field or parameter of that name holds a secret, by its name alone. */
export function isSecretName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
  const last = words.at(-1);
  if (last === undefined) return false;
  const group = (size: number): boolean => SECRET_WORD_GROUPS.has(words.slice(-size).join(" "));
  return SECRET_LAST_WORDS.has(last) || group(2) || group(3);
}

type Replacement = readonly [pattern: RegExp, by: (...groups: string[]) => string];

const REPLACEMENTS: readonly Replacement[] = [
  // Also without its end: a log line may have been cut.
  [/-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----[\s\S]*?(?:-----END \1-----|$)/g, () => REDACTED],
  // Credentials in URLs. The last "@" before the host ends them: a password may hold one.
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#"'<>]*@/gi, (_all, scheme) => `${scheme}${REDACTED}@`],
  // Headers: the rest of the line.
  [
    /\b((?:set-)?cookie|(?:proxy-)?authorization|x-[a-z-]*(?:token|key|secret))(["']?[ \t]*:[ \t]*)["']?[^\r\n"']+/gi,
    (_all, name, separator) => `${name}${separator}${REDACTED}`,
  ],
  [
    /\b(bearer\s+)(?=[^\s"',;]*(?:[0-9_~+/=]|\.[A-Za-z0-9]))[A-Za-z0-9._~+/=-]{6,}|\b(bearer\s+)[A-Za-z]{20,}/gi,
    (_all, a, b) => `${a ?? b}${REDACTED}`,
  ],
  [
    /\b(basic\s+)([A-Za-z0-9+/]{6,}={0,2})(?![A-Za-z0-9+/=])/gi,
    (all, scheme, encoded) => (isUserAndPassword(encoded!) ? `${scheme}${REDACTED}` : all!),
  ],
  // Tokens that show by their form what they are.
  [/\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g, () => REDACTED],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, () => REDACTED],
  [/\bAIza[A-Za-z0-9_-]{35}/g, () => REDACTED],
  [/\bya29\.[A-Za-z0-9_-]{20,}/g, () => REDACTED],
  [/\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,}|glpat-[A-Za-z0-9_-]{20,})/g, () => REDACTED],
  [/\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g, () => REDACTED],
  [/\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}/g, () => REDACTED],
  [/\bnpm_[A-Za-z0-9]{36}\b/g, () => REDACTED],
];

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

/** The text without the secrets that can be told from others by their form or by what stands before them. */
export function sanitiseText(text: string): string {
  const withoutForms = REPLACEMENTS.reduce(
    (result, [pattern, by]) => result.replace(pattern, (...groups) => by(...(groups as string[]))),
    text,
  );
  return redactNamedValues(withoutForms);
}

/**
 * The attributes as they may be written: every text sanitised, every field with a secret's name redacted, at any
 * depth. Throws {@link InvalidAttributesError} for what isn't JSON (functions, dates, NaN, cycles, depth over 32).
 */
export function sanitiseAttributes(attributes: Readonly<Record<string, unknown>>): Record<string, JsonValue> {
  return sanitiseObject(attributes, "attributes", 0);
}

function sanitiseObject(value: object, path: string, depth: number): Record<string, JsonValue> {
  // fromEntries defines properties, so that a key "__proto__" stays a mere key.
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      const hidden = isSecretName(key) && child !== null && typeof child !== "boolean";
      return [
        sanitiseText(key),
        hidden ? REDACTED : sanitiseValue(child, `${path}.${sanitiseText(key)}`, depth + 1),
      ];
    }),
  );
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
    return value.map((item, index) => sanitiseValue(item, `${path}[${index}]`, depth + 1));
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

function isUserAndPassword(encoded: string): boolean {
  return /^[\x20-\x7e]*:[\x20-\x7e]*$/.test(Buffer.from(encoded, "base64").toString("latin1"));
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
