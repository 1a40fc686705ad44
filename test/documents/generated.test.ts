import { describe, expect, it } from "vitest";

import { JOB_STATES } from "@video-storage/contract/states";

import { generatedDocuments } from "../../local/documents/documents.js";
import { componentReference, workerReference } from "../../local/documents/reference.js";
import { NoSuchPartError, table, withParts } from "../../local/documents/generated-parts.js";
import { ruleOf, stacks, transitions } from "../../local/documents/ttl-policy.js";
import { projectFile } from "./markdown.js";

describe("documents that are generated", () => {
  it("are as the code says (npm run reference writes them)", async () => {
    const documents = await generatedDocuments();
    const outdated = [...documents].filter(([path, text]) => projectFile(path) !== text);
    expect(outdated.map(([path]) => path)).toEqual([]);
  });
});

describe("the reference", () => {
  it("has a comment from the code for every part", () => {
    expect([...componentReference().undocumented, ...workerReference().undocumented]).toEqual([]);
  });
});

describe("a generated part", () => {
  it("replaces what stood between its marks, and nothing else", () => {
    const text = "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n";
    expect(withParts(text, { a: "new\n" })).toBe("before\n<!-- a:begin -->\nnew\n<!-- a:end -->\nafter\n");
    expect(withParts(withParts(text, { a: "new" }), { a: "new" })).toBe(withParts(text, { a: "new" }));
  });

  it("without a place is an error that says what to do", () => {
    expect(() => withParts("nothing", { a: "new" })).toThrow(NoSuchPartError);
    expect(() => withParts("nothing", { a: "new" })).toThrow(
      "the document has no <!-- a:begin --> … <!-- a:end -->: put the two lines where it belongs",
    );
  });

  it("that is a table keeps what a cell must not end", () => {
    expect(table(["a", "b"], [["1 | 2", "3"]])).toBe("| a | b |\n| --- | --- |\n| 1 \\| 2 | 3 |");
  });
});

describe("what ends each state", () => {
  it("is what the sweep decides", () => {
    expect(Object.fromEntries(JOB_STATES.map((state) => [state, ruleOf(state, "tier")]))).toEqual({
      active: undefined,
      completed: { key: "completed", since: "change of state", action: "tier" },
      uploaded: { key: "uploaded", since: "change of state", action: "delete" },
      failed: { key: "failed", since: "change of state", action: "delete" },
      abandoned: { key: "abandoned", since: "last heartbeat", action: "delete" },
      "handed-over": { key: "uploaded", since: "change of state", action: "tier" },
      quarantined: { key: "failed", since: "change of state", action: "delete" },
    });
    expect(ruleOf("completed", "delete")?.action).toBe("delete");
    expect(ruleOf("completed", "keep")).toBeUndefined();
  });

  it("is told for every stack, and every step of the machine has somebody who makes it", () => {
    expect(stacks()).toEqual(["dev", "local", "onprem", "production", "staging"]);
    expect(transitions()).toHaveLength(7);
    expect(transitions().filter(({ by }) => !/^(worker|uploader|sweep), /.test(by))).toEqual([]);
  });
});
