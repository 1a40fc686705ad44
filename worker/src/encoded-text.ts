import { REDACTED } from "./secret-forms.js";

/**
 * Texts within texts: a URL as another's parameter, a header in base64, JSON as a string of JSON. What is decoded is
 * sanitised; where that changes nothing, the text stays as it was, character by character.
 */
type Sanitise = (text: string) => string;

/** Characters that URLs leave as they are, and at least one that they don't. */
const PERCENT_ENCODED =
  /(?:[A-Za-z0-9._~!*'()+-]|%[0-9A-Fa-f]{2})*%[0-9A-Fa-f]{2}(?:[A-Za-z0-9._~!*'()+-]|%[0-9A-Fa-f]{2})*/g;
const BASE64 = /[A-Za-z0-9+/_-]{16,}={0,2}/g;
const HEXADECIMAL = /\b(?:[0-9a-fA-F]{2}){16,}\b/g;
const JSON_ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/;
const JSON_ESCAPES = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/g;
const JSON_STRING = /(?<!\\)"((?:[^"\\]|\\.)*)"/g;
const ENTITY = /&(?:amp|quot|apos|lt|gt|#0*(?:34|38|39|60|61|62)|#x0*(?:22|26|27|3[cCdDeE]));/;
const ENTITIES = new RegExp(ENTITY, "g");
const ENTITY_CHARACTERS: Readonly<Record<string, string>> = {
  ...{
    amp: "&",
    quot: '"',
    apos: "'",
    lt: "<",
    gt: ">",
    "34": '"',
    "38": "&",
    "39": "'",
    "60": "<",
    "61": "=",
  },
  ...{ "62": ">", x22: '"', x26: "&", x27: "'", x3c: "<", x3d: "=", x3e: ">" },
};

/** The text with what is encoded in it sanitised. */
export function sanitiseEncoded(text: string, sanitise: Sanitise): string {
  let result = text;
  if (JSON_ESCAPE.test(result)) result = json(result, sanitise);
  if (ENTITY.test(result)) result = whole(result, decodeEntities, encodeEntities, sanitise);
  if (result.includes("%")) result = result.replace(PERCENT_ENCODED, (run) => percent(run, sanitise));
  result = result.replace(BASE64, (run) => base64(run, sanitise));
  return result.replace(HEXADECIMAL, (run) => {
    const inner = readable(Buffer.from(run, "hex"));
    return inner !== undefined && sanitise(inner) !== inner ? REDACTED : run;
  });
}

function whole(text: string, decode: Sanitise, encode: Sanitise, sanitise: Sanitise): string {
  const decoded = decode(text);
  const clean = sanitise(decoded);
  return clean === decoded ? text : encode(clean);
}

/** What stands between quotes; where that shows nothing, the text may itself have stood between some. */
function json(text: string, sanitise: Sanitise): string {
  const encode = (inner: string): string => JSON.stringify(inner).slice(1, -1);
  const result = text.replace(JSON_STRING, (literal, inner: string) =>
    JSON_ESCAPE.test(inner) ? `"${whole(inner, unescapeJson, encode, sanitise)}"` : literal,
  );
  return result === text ? whole(text, unescapeJson, encode, sanitise) : result;
}

function unescapeJson(text: string): string {
  return text.replace(JSON_ESCAPES, (escape) => JSON.parse(`"${escape}"`) as string);
}

function decodeEntities(text: string): string {
  return text.replace(ENTITIES, (entity) => {
    const name = entity
      .slice(1, -1)
      .replace(/^#(x?)0*/i, "$1")
      .toLowerCase();
    return ENTITY_CHARACTERS[name] ?? entity;
  });
}

function encodeEntities(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "amp",
    '"': "quot",
    "'": "#39",
    "<": "lt",
    ">": "gt",
  };
  return text.replace(/[&"'<>]/g, (character) => `&${names[character]};`);
}

function percent(run: string, sanitise: Sanitise): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(run);
  } catch {
    // Bytes that are no UTF-8 are no secret's, but may stand beside one.
    decoded = run.replace(/%[0-7][0-9A-Fa-f]/g, (escape) =>
      String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
    );
  }
  const clean = sanitise(decoded);
  return clean === decoded ? run : encodeURIComponent(clean);
}

function base64(run: string, sanitise: Sanitise): string {
  if (isSecretInBase64(run, sanitise)) return REDACTED;
  if (!run.includes("/")) return run;
  // A path, of which one part may be encoded.
  return run
    .split("/")
    .map((part) => (part.length >= 16 && isSecretInBase64(part, sanitise) ? REDACTED : part))
    .join("/");
}

function isSecretInBase64(run: string, sanitise: Sanitise): boolean {
  // Node takes both alphabets.
  const bytes = Buffer.from(run, "base64");
  const text = readable(bytes) ?? readableWide(bytes);
  return text !== undefined && sanitise(text) !== text;
}

/** As text, if it is some: other bytes (a picture, a hash) hold no text to look at. */
function readable(bytes: Buffer): string | undefined {
  // Most are decided by their first bytes, without the cost of decoding.
  for (let index = 0; index < Math.min(bytes.length, 16); index += 1)
    if (!isTextByte(bytes[index]!)) return undefined;
  const text = bytes.toString("utf8");
  return /[\x00-\x08\x0e-\x1f\x7f\ufffd]/.test(text.slice(0, -1)) ? undefined : text;
}

/** UTF-16, as PowerShell encodes its commands. */
function readableWide(bytes: Buffer): string | undefined {
  if (bytes.length < 16 || bytes[1] !== 0 || bytes[3] !== 0 || bytes[5] !== 0) return undefined;
  return readable(Buffer.from(bytes.toString("utf16le")));
}

function isTextByte(byte: number): boolean {
  return byte >= 32 ? byte !== 127 : byte >= 9 && byte <= 13;
}
