import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRoot } from "../../../cleanup-job/src/deletion/handles.js";
import type { Directory } from "../../../cleanup-job/src/deletion/handles.js";
import { LongRemovals } from "../../../cleanup-job/src/deletion/long-removals.js";
import { DeletionThreads } from "../../../cleanup-job/src/deletion/threads.js";
import { TimedControl, TreeControl } from "../../../cleanup-job/src/deletion/tree-control.js";
import { deleteTree } from "../../../cleanup-job/src/deletion/tree.js";
import { memoryDirectory } from "../../support/memory-directory.js";
import { openFiles } from "../../support/open-files.js";
import { ALL_ITS_OWN, NOTHING_ITS_OWN } from "./own-limits.js";

const MIB = 1024 * 1024;

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
  it.each([
    ["is gone without a thread of its own", ALL_ITS_OWN, 0],
    ["is a thread's where the caller's own may do nothing", NOTHING_ITS_OWN, 1],
  ])("%s", async (_, limits, started) => {
    addTree("job", 2, 3);
    const threads = new DeletionThreads(4, limits);
    const deleted = await deleteTree(parent, "job", { threads });
    expect(deleted).toMatchObject({ complete: true, files: 6, directories: 3, remaining: [] });
    expect([threads.size, readdirSync(root)]).toEqual([started, []]);
  });
});

describe("a large file", () => {
  it("is a thread's, because nothing else of the process goes on while it is removed", async () => {
    addTree("job", 1, 1);
    execFileSync("fallocate", ["--length", "129MiB", `${root}/job/0/source.mp4`]);
    const threads = new DeletionThreads(4, ALL_ITS_OWN);
    const deleted = await deleteTree(parent, "job", { threads });
    expect(deleted).toMatchObject({ complete: true, files: 2, bytes: 129 * MIB, directories: 2 });
    expect([threads.size, readdirSync(root)]).toEqual([1, []]);
  });

  it("is one that has more than 128 MiB of the disk", () => {
    const control = new TimedControl(new TreeControl().memory, Number.POSITIVE_INFINITY);
    expect([control.removalOf(128 * MIB, true), control.isOver, control.stopped]).toEqual([
      "now",
      false,
      false,
    ]);
    expect([control.removalOf(128 * MIB + 1, true), control.isOver, control.stopped]).toEqual([
      "not",
      true,
      true,
    ]);
  });
});

describe("files that are expected to take long", () => {
  /** However fast this machine is. */
  class AllLong extends LongRemovals {
    told = 0;
    override isExpectedOf(bytes: number): boolean {
      if (bytes >= 5 * MIB) this.told++;
      return bytes >= 5 * MIB;
    }
  }

  function addLargeFiles(directory: string, count: number): void {
    mkdirSync(directory, { recursive: true });
    for (let i = 0; i < count; i++) {
      execFileSync("fallocate", ["--length", "5MiB", `${directory}/${i}.mp4`]);
    }
  }

  it("are those of more than 4 MiB, where the one before took long for each byte, but for one in sixteen", () => {
    const long = new LongRemovals();
    const expected = (bytes: number): boolean => long.isExpectedOf(bytes);
    expect(expected(100 * MIB)).toBe(false);
    long.learn(10 * MIB, 1);
    expect([expected(4 * MIB), expected(5 * MIB)]).toEqual([false, true]);
    expect(Array.from({ length: 16 }, () => expected(5 * MIB)).filter((isLong) => !isLong)).toHaveLength(1);
    long.learn(4 * MIB, 0); // a small one says nothing
    expect(expected(5 * MIB)).toBe(true);
    long.learn(100 * MIB, 1);
    expect([expected(20 * MIB), expected(30 * MIB)]).toEqual([false, true]);
  });

  it("are left for aside, no more than 64 of them, and not one that has another name", () => {
    const long = new LongRemovals();
    long.learn(5 * MIB, 1000);
    const control = new TimedControl(new TreeControl().memory, Number.POSITIVE_INFINITY, long);
    expect([control.removalOf(5 * MIB, false), control.removalOf(5 * MIB, true)]).toEqual(["now", "aside"]);
    let aside = 1;
    while (!control.stopped) aside += Number(control.removalOf(5 * MIB, true) === "aside");
    expect([aside, control.isOver]).toEqual([64, false]);
  });

  it("are removed beside the caller's own thread, and counted, with the directories that they lie in", async () => {
    addLargeFiles(`${root}/job`, 3);
    addLargeFiles(`${root}/job/renditions/hls`, 70);
    addTree("job", 2, 3);
    const long = new AllLong();
    const threads = new DeletionThreads(4, ALL_ITS_OWN, long);
    const deleted = await deleteTree(parent, "job", { threads });
    const counted = { complete: true, files: 79, bytes: 73 * 5 * MIB, directories: 5, remaining: [] };
    expect(deleted).toMatchObject(counted);
    expect([long.told, threads.size, readdirSync(root)]).toEqual([73, 0, []]);
    // Other files are other tests', which have this process too.
    expect(openFiles().filter((file) => file.startsWith(root))).toEqual([root]);
  });

  it("are told of when they can't be removed, and the others go", async () => {
    addLargeFiles(`${root}/job`, 6);
    // On top of each: a file that is a mount point is refused with EBUSY.
    const kept = [`${root}/job/1.mp4`, `${root}/job/4.mp4`];
    for (const file of kept) execFileSync("mount", ["--bind", file, file]);
    try {
      const threads = new DeletionThreads(4, ALL_ITS_OWN, new AllLong());
      const deleted = await deleteTree(parent, "job", { threads });
      expect(deleted).toMatchObject({ complete: false, interrupted: false, files: 4, bytes: 20 * MIB });
      expect(deleted.remaining.map(({ name, reason }) => `${name} ${reason}`).sort()).toEqual([
        "1.mp4 mount",
        "4.mp4 mount",
      ]);
      expect(readdirSync(`${root}/job`).sort()).toEqual(["1.mp4", "4.mp4"]);
    } finally {
      for (const file of kept) execFileSync("umount", [file]);
    }
  });
});

describe("a tree that takes longer than the caller's own thread may work on it", () => {
  // A millisecond is over after some of them.
  it.each([1, 2])("is gone on with by others, and all is counted once (%i ms)", async (milliseconds) => {
    addTree("job", 10, 200);
    const threads = new DeletionThreads(4, { atOnce: milliseconds, alone: Infinity, inAll: Infinity });
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
    const threads = new DeletionThreads(4, ALL_ITS_OWN);
    let turns = 0;
    let next = setImmediate(function turn() {
      turns++;
      next = setImmediate(turn);
    });
    const deleted = await Promise.all(names.map((name) => deleteTree(parent, name, { threads })));
    clearImmediate(next);
    expect(deleted.filter(({ complete, files }) => complete && files === 20)).toHaveLength(40);
    expect([threads.size, readdirSync(root)]).toEqual([0, []]);
    expect(turns).toBeGreaterThan(30);
  });
});
