import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { newJobId } from "@video-storage/contract/identity";
import { parseJobRecord } from "@video-storage/contract/job-record";
import { decide, rulesOf } from "@video-storage/contract/plan";
import { versionProblem } from "@video-storage/contract/schemas";
import {
  escaped,
  escapedLines,
  firstProblems,
  shownKey,
  withoutObeyed,
} from "@video-storage/contract/shown-text";
import { anyText } from "../support/arbitraries.js";
import { jobRecord } from "../support/documents.js";

/** What makes a terminal do something, or tell the reader something else than what is there. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/u;

const CONFIGURATION = {
  version: 1,
  retention: {
    ...{ uploadedSeconds: 1, completedSeconds: 1, failedSeconds: 1, abandonedSeconds: 1, trashSeconds: 1 },
    ...{ stagedSeconds: 1, orphanedSeconds: 1, completedAction: "keep" },
  },
  heartbeatTimeoutSeconds: 1,
  namespace: "video",
  catalogue: { host: "catalogue", port: 5432, database: "video", tls: false },
  objectStorage: null,
  pressure: {
    bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
    inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
  },
  checkPods: false,
};

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing was thrown";
}

function messageOfRecord(change: object): string {
  return messageOf(() => parseJobRecord(JSON.stringify({ ...jobRecord(), ...change })));
}

describe("text of others", () => {
  it.each([
    ["source.mp4", "source.mp4"],
    ["Ünï 🎬", "Ünï 🎬"],
    ["\\u001b]0;owned\\u0007", "\u001b]0;owned\u0007"],
    ["\\u009b2J", "\u009b2J"],
    ["a\\u000d\\u000ab\\u2028c", "a\r\nb\u2028c"],
    ["\\u202egpj.exe", "\u202egpj.exe"],
    ["\\udb40\\udc41\\ud800", "\u{e0041}\ud800"],
  ])("is shown as %s", (shown, text) => {
    expect(escaped(text)).toBe(shown);
  });

  it("has nothing that a terminal obeys, and means the same to whoever reads JSON", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(escaped(text)).not.toMatch(OBEYED);
        expect(JSON.parse(escaped(JSON.stringify(text)))).toBe(text);
      }),
    );
  });

  it("loses to a reader's own choice exactly what a terminal obeys", () => {
    expect(withoutObeyed("a\u001bb\u{e0041}c\ud800d\u2028\u2029\ue000", () => "?")).toBe("a?b?c?d???");
    expect(withoutObeyed("\u202eÜ\u009b🎬 \u200b", (character) => `<${character.length}>`)).toBe(
      "<1>Ü<1>🎬 <1>",
    );
  });

  it("is at most 64 characters of a key", () => {
    expect(shownKey("k".repeat(64))).toBe("k".repeat(64));
    expect(shownKey("k".repeat(65))).toBe(`${"k".repeat(63)}…`);
    expect(shownKey("\u001b".repeat(11))).toBe(`${"\\u001b".repeat(10)}\\u0…`);
    expect(shownKey("🎬".repeat(40))).toBe(`${"🎬".repeat(32)}…`);
  });

  it("keeps its lines, each set back", () => {
    expect(escapedLines("one\ntwo\tx\nthree", "  ")).toBe("one\n  two\\u0009x\n  three");
  });

  it("is at most 20 problems and how many more there are", () => {
    const problems = (count: number): string =>
      ["not valid:", ...Array.from({ length: count }, (_, i) => `  ${i}: is wrong`)].join("\n");
    expect(firstProblems("not JSON")).toBe("not JSON");
    expect(firstProblems(problems(20))).toBe(problems(20));
    expect(firstProblems(problems(21))).toBe(`${problems(20)}\n  and 1 more`);
  });
});

describe("what is wrong with a tenant's record", () => {
  const file = { bytes: 1, sha256: "a".repeat(64) };

  it("names its keys so that no terminal obeys them", () => {
    expect(messageOfRecord({ files: { "\u001b]0;owned\u0007\n  forged: line": file } })).toBe(
      "the job record is not valid:\n" +
        "  files.\\u001b]0;owned\\u0007\\u000a  forged: line: Invalid key in record",
    );
  });

  it("names as much of a key as tells which it is", () => {
    expect(messageOfRecord({ files: { [`${"k".repeat(63)}${"s".repeat(1000)}`]: file } })).toBe(
      `the job record is not valid:\n  files.${"k".repeat(63)}…: Invalid key in record`,
    );
  });

  it.each([
    ["a secret", "string"],
    ["\u001b]0;owned\u0007", "string"],
    [{ secret: 1 }, "object"],
    [["secret"], "array"],
    [true, "boolean"],
    [null, "null"],
  ])("says of the version %j only that it is of type %s", (version, type) => {
    expect(messageOfRecord({ version })).toBe(
      `the job record can't be read: it has version of type ${type}, and this program reads only 1: use releases that match`,
    );
  });

  it("says which version it is that can't be read", () => {
    expect(versionProblem({ version: 2 }, "version", 1)).toBe(
      "it has version 2, and this program reads only 1: use releases that match",
    );
  });

  it("is no more than a few lines of the decision, however much there is", () => {
    const files = Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`\u001b ${i}`, 0]));
    const record = { readable: false, problem: messageOfRecord({ files }) } as const;
    const facts = { jobId: newJobId(), record, catalogue: undefined, leaseHeld: false, pod: undefined };
    const rules = rulesOf(parseCleanupConfig(CONFIGURATION));
    const lines = decide(facts, rules).reason.split("\n");
    expect(lines).toEqual([
      "the catalogue doesn't know it and its record can't be read: the job record is not valid:",
      ...Array.from({ length: 20 }, (_, i) => `  files.\\u001b ${i}: Invalid key in record`),
      "  and 29980 more",
    ]);
  });
});

describe("what is wrong with an operator's settings", () => {
  it("is said whole, however much there is", () => {
    const overrides = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`tenant-${i}`, { failedSeconds: 1 }]),
    );
    const tenantRetention = { limits: {}, overrides };
    expect(messageOf(() => parseCleanupConfig({ ...CONFIGURATION, tenantRetention }))).toBe(
      [
        "the cleanup settings are not valid:",
        ...Object.keys(overrides).map(
          (tenant) =>
            `  tenantRetention.overrides.${tenant}.failedSeconds: can't be overridden: limits has no failedSeconds`,
        ),
      ].join("\n"),
    );
  });

  it("quotes a key that isn't known so that no terminal obeys it", () => {
    expect(messageOf(() => parseCleanupConfig({ ...CONFIGURATION, "\u001b[2J": 1 }))).toBe(
      'the cleanup settings are not valid:\n  (whole): Unrecognized key: "\\u001b[2J"',
    );
  });
});
