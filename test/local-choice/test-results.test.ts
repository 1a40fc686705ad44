import { describe, expect, it } from "vitest";

import { ending, partResult, wholeResult } from "../../local/test-results.js";

const test = (status: string, fullName: string, failureMessages: string[] | null = null) => ({
  status,
  fullName,
  failureMessages,
});
const file = (name: string, assertionResults: ReturnType<typeof test>[], message = "") => ({
  name: `/project/test/${name}`,
  status: message !== "" || assertionResults.some(({ status }) => status === "failed") ? "failed" : "passed",
  message,
  assertionResults,
});

function report(numFailedTests: number, testResults: readonly ReturnType<typeof file>[]): string {
  return JSON.stringify({ numPassedTests: 5, numFailedTests, numPendingTests: 2, testResults });
}

describe("what a part of the tests says", () => {
  it("passed", () => {
    expect(partResult("fast", report(0, [file("a.test.ts", [test("passed", "a")])]), 0, "/project")).toEqual({
      passed: 5,
      failed: 0,
      skipped: 2,
      failures: [],
    });
  });

  it("names each test that failed, with the beginning of what it said", () => {
    const long = Array.from({ length: 20 }, (_, line) => `line ${line}`).join("\n");
    const tests = [
      test("passed", "a one"),
      test("failed", "a two", ["no\n\n  at x"]),
      test("failed", "a three", [long]),
    ];
    expect(partResult("fast", report(2, [file("a.test.ts", tests)]), 1, "/project")).toEqual({
      passed: 5,
      failed: 2,
      skipped: 2,
      failures: [
        "test/a.test.ts > a two\n    no\n      at x",
        [
          "test/a.test.ts > a three",
          ...Array.from({ length: 12 }, (_, line) => `    line ${line}`),
          "    …",
        ].join("\n"),
      ],
    });
  });

  it("counts a file that could not be loaded, beside tests that failed", () => {
    const files = [file("a.test.ts", [test("failed", "a", ["no"])]), file("b.test.ts", [], "no such module")];
    expect(partResult("fast", report(1, files), 1, "/project")).toMatchObject({
      failed: 2,
      failures: ["test/a.test.ts > a\n    no", "test/b.test.ts\n    no such module"],
    });
  });

  it.each([
    ["that ended before its report was written", "", 137, 0],
    ["that failed outside every file", report(0, []), 1, 5],
  ])("counts a part %s", (_, text, code, passed) => {
    expect(partResult("local", text, code, "/project")).toMatchObject({
      passed,
      failed: 1,
      failures: [`local: exit code ${code} without a test that failed: its output says why`],
    });
  });
});

describe("how npm test ends", () => {
  it("with the counts alone when nothing failed, and nothing of what was skipped when nothing was", () => {
    expect(ending([wholeResult("tsc", 0), wholeResult("oxlint", 0)])).toBe("\n2 passed, 0 failed");
  });

  it("with what failed before them", () => {
    const failed = partResult(
      "fast",
      report(1, [file("a.test.ts", [test("failed", "a", ["no"])])]),
      1,
      "/project",
    );
    expect(ending([wholeResult("oxlint .", 2), failed])).toBe(
      [
        "",
        "── what failed",
        "oxlint .: exit code 2",
        "test/a.test.ts > a",
        "    no",
        "",
        "5 passed, 2 failed, 2 skipped",
      ].join("\n"),
    );
  });
});
