import { describe, expect, it } from "vitest";
import { sanitiseAttributes, sanitiseText } from "@video-storage/worker/sanitise";
import { INNOCENTS } from "./corpus/innocents.js";
import { SECRETS } from "./corpus/secrets.js";

const sanitised = (given: unknown): string =>
  typeof given === "string"
    ? sanitiseText(given)
    : JSON.stringify(sanitiseAttributes(given as Record<string, unknown>));

/** Half of a short secret, or sixteen characters of a long one, would be too much. */
function remains(output: string, secret: string): string | undefined {
  const length = Math.min(secret.length, Math.max(8, Math.min(16, Math.floor(secret.length / 2))));
  for (let start = 0; start + length <= secret.length; start += 1) {
    const part = secret.slice(start, start + length);
    if (output.includes(part)) return part;
  }
  return undefined;
}

/** All that can be read out of a text by undoing what it may be encoded in. */
function readings(text: string, depth = 4): string[] {
  const inner = new Set<string>();
  const attempt = (decode: () => string): void => {
    try {
      inner.add(decode());
    } catch {
      // Not encoded in this way.
    }
  };
  attempt(() => decodeURIComponent(text));
  attempt(() =>
    text.replace(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
  );
  attempt(() => text.replace(/\\(["\\/])/g, "$1"));
  attempt(() => text.replaceAll("&quot;", '"').replaceAll("&amp;", "&"));
  for (const [run] of text.matchAll(/[A-Za-z0-9+_-]{16,}/g)) {
    attempt(() => Buffer.from(run, "base64").toString("latin1"));
    attempt(() => Buffer.from(run, "base64").toString("utf16le"));
    attempt(() => Buffer.from(run, "hex").toString("latin1"));
  }
  for (const [run] of text.matchAll(/[A-Za-z0-9+/]{16,}/g))
    attempt(() => Buffer.from(run, "base64").toString("latin1"));
  inner.delete(text);
  return [text, ...(depth === 0 ? [] : [...inner].flatMap((each) => readings(each, depth - 1)))];
}

describe("the corpus of secrets", () => {
  it("is large and says no case twice", () => {
    expect(SECRETS.length).toBeGreaterThanOrEqual(200);
    expect(new Set(SECRETS.map(({ name }) => name)).size).toBe(SECRETS.length);
    expect(
      SECRETS.every(({ given, secrets }) => secrets.length > 0 && JSON.stringify(given).length > 0),
    ).toBe(true);
  });

  it.each(SECRETS.map((entry) => [entry.name, entry] as const))(
    "%s",
    (_name, { given, secrets, kept = [] }) => {
      const read = (text: string): (string | undefined)[] =>
        readings(text)
          .flatMap((each) => secrets.map((secret) => remains(each, secret)))
          .filter((part) => part !== undefined);
      // That the test can see what it looks for.
      expect(read(typeof given === "string" ? given : JSON.stringify(given)).length).toBeGreaterThan(0);
      const output = sanitised(given);
      expect(output).toContain("redacted");
      expect(read(output).filter((part) => part !== undefined)).toEqual([]);
      for (const part of kept) expect(output).toContain(part);
      // As an attribute, and once more.
      const asAttribute = sanitised({ note: [given] });
      expect(read(asAttribute).filter((part) => part !== undefined)).toEqual([]);
      if (typeof given === "string") expect(sanitiseText(output)).toBe(output);
    },
  );
});

describe("the corpus of innocent values", () => {
  it("is large and says no case twice", () => {
    expect(INNOCENTS.length).toBeGreaterThanOrEqual(200);
    expect(new Set(INNOCENTS.map((value) => JSON.stringify(value))).size).toBe(INNOCENTS.length);
  });

  it.each(INNOCENTS.map((value) => [JSON.stringify(value).slice(0, 80), value] as const))(
    "%s",
    (_name, value) => {
      if (typeof value === "string") expect(sanitiseText(value)).toBe(value);
      expect(sanitiseAttributes({ value })).toEqual({ value });
    },
  );
});
