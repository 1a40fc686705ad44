import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRoot } from "../../../cleanup-job/src/deletion/handles.js";
import type { Directory } from "../../../cleanup-job/src/deletion/handles.js";
import { DeletionThreads } from "../../../cleanup-job/src/deletion/threads.js";
import { deleteTree } from "../../../cleanup-job/src/deletion/tree.js";
import { memoryDirectory } from "../../support/memory-directory.js";

let root: string;
let parent: Directory;

beforeEach(async () => {
  root = mkdtempSync(`${memoryDirectory()}/threads-`);
  parent = await openRoot(root);
});
afterEach(async () => {
  await parent.close();
  rmSync(root, { recursive: true });
});

function addTree(name: string, directories: number, filesInEach: number): void {
  for (let directory = 0; directory < directories; directory++) {
    mkdirSync(`${root}/${name}/${directory}`, { recursive: true });
    for (let file = 0; file < filesInEach; file++) writeFileSync(`${root}/${name}/${directory}/${file}`, "");
  }
}

describe("a small tree", () => {
  it("is gone without a thread of its own", async () => {
    addTree("job", 2, 3);
    const threads = new DeletionThreads(4);
    const deleted = await deleteTree(parent, "job", { threads });
    expect(deleted).toMatchObject({ complete: true, files: 6, directories: 3, remaining: [] });
    expect([threads.size, readdirSync(root)]).toEqual([0, []]);
  });

  it("is a thread's where the caller's own may do nothing", async () => {
    addTree("job", 2, 3);
    const threads = new DeletionThreads(4, 0);
    const deleted = await deleteTree(parent, "job", { threads });
    expect(deleted).toMatchObject({ complete: true, files: 6, directories: 3, remaining: [] });
    expect([threads.size, readdirSync(root)]).toEqual([1, []]);
  });
});

describe("a tree that takes longer than the caller's own thread may work on it", () => {
  // A millisecond is over after some of them.
  it.each([1, 3])("is gone on with by others, and all is counted once (%i ms)", async (milliseconds) => {
    addTree("job", 10, 200);
    const threads = new DeletionThreads(4, milliseconds);
    const deleted = await deleteTree(parent, "job", { threads });
    expect(deleted).toMatchObject({ complete: true, files: 2000, directories: 11, remaining: [] });
    expect([threads.size > 0, readdirSync(root)]).toEqual([true, []]);
  });

  it("is left where it is when all are asked to stop", async () => {
    addTree("job", 1, 5);
    const threads = new DeletionThreads(4);
    const deleted = await deleteTree(parent, "job", { threads, signal: AbortSignal.abort() });
    expect(deleted).toMatchObject({ complete: false, interrupted: true, files: 0 });
    expect([threads.size, readdirSync(`${root}/job/0`).length]).toEqual([0, 5]);
  });
});

describe("many trees at once", () => {
  it("have everything else of the process wait for no more than one at a time", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `job-${index}`);
    for (const name of names) addTree(name, 1, 20);
    const threads = new DeletionThreads(4);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const deleted = await Promise.all(names.map((name) => deleteTree(parent, name, { threads })));
    clearInterval(timer);
    expect(deleted.filter(({ complete, files }) => complete && files === 20)).toHaveLength(40);
    expect(readdirSync(root)).toEqual([]);
    expect(turns).toBeGreaterThan(5);
  });
});
