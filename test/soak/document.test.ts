import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { PROJECT } from "../../local/paths.js";
import { CODES } from "./checker/codes.js";

describe("docs/system-test.md", () => {
  it("names everything that the checker can find, with its meaning", () => {
    const text = readFileSync(join(PROJECT, "docs/system-test.md"), "utf8");
    const [, rows] = /\| Found\s*\| Meaning\s*\|\n\|[^\n]*\n((?:\|[^\n]*\n)+)/.exec(text)!;
    const listed = rows!
      .trim()
      .split("\n")
      .map((row) => row.split("|").map((cell) => cell.trim()))
      .map(([, code, meaning]) => [code, meaning]);
    expect(listed).toEqual(Object.entries(CODES).map(([code, meaning]) => [`\`${code}\``, meaning]));
  });
});
