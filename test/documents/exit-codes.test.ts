import { describe, expect, it } from "vitest";

import { EXIT_CODES as CLEANUP } from "../../cleanup-job/src/exit-codes.js";
import { EXIT_CODES as NODE_AGENT } from "../../node-agent/src/exit-codes.js";
import { EXIT as VIDEO_JOB } from "../../worker/src/command/exit-codes.js";
import { projectFile, tableRows } from "./markdown.js";

/** The numbers in the first cells of the table whose head begins so. */
function codesOf(document: string, head: string): number[] {
  const text = projectFile(document);
  const table = text.slice(text.search(new RegExp(`^\\| ${head} `, "m"))).split("\n\n")[0]!;
  return tableRows(table).map(([code]) => Number(code));
}

describe("exit codes", () => {
  it("of cleanup-job are in docs/cleanup.md, all of them", () => {
    expect(codesOf("docs/cleanup.md", "Exit code")).toEqual(Object.values(CLEANUP));
  });

  it("of node-agent are in docs/local-volumes.md, all of them", () => {
    expect(codesOf("docs/local-volumes.md", "exit code")).toEqual(Object.values(NODE_AGENT));
  });

  it("of video-job are in docs/worker.md, all of them", () => {
    const [, told] = /\*\*Exit codes\*\*: ([^]*?)\. `--json`/.exec(projectFile("docs/worker.md"))!;
    const codes = told!.split("·").map((one) => Number(/^\s*(\d+) /.exec(one)![1]));
    expect(codes).toEqual(Object.values(VIDEO_JOB));
  });
});
