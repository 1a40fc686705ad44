import { createHash } from "node:crypto";

/** Ten hexadecimal digits that change whenever `content` does; keys may come in any order. */
export function contentHash(content: unknown): string {
  return createHash("sha256").update(canonicalJson(content)).digest("hex").slice(0, 10);
}

/** JSON with the keys of every object in order, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, entry: unknown) =>
    typeof entry === "object" && entry !== null && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
      : entry,
  );
}

/** `name` cut to `limit` characters; what is cut off is replaced by a hash, so that no two names become one. */
export function cappedName(name: string, limit: number): string {
  if (name.length <= limit) return name;
  const kept = name.slice(0, limit - 11).replace(/[^a-z0-9]+$/, "");
  return `${kept}-${contentHash(name)}`;
}

/** A CronJob's name, of at most 52 characters: its Jobs append eleven (kubernetes#52733). */
export function cronJobName(name: string): string {
  return cappedName(name.replaceAll(".", "-"), 52);
}
