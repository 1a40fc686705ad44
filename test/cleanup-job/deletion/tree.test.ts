import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deleteTree } from "../../../cleanup-job/src/deletion/tree.js";
import { childPath, openRoot, shownName } from "../../../cleanup-job/src/deletion/handles.js";
import { memoryDirectory } from "../../support/memory-directory.js";
import { giveTo } from "../../support/ownership.js";
import { buildTreeProgram, newWorkspace, runTreeProgram, WORKER_UID } from "./tree-process.js";
import type { Deleted } from "./tree-process.js";

const isRoot = process.getuid!() === 0;
const users = isRoot ? [0, WORKER_UID] : [process.getuid!()];

let program: string;
const workspaces: string[] = [];

function workspace(uid: number, directory?: string): { root: string; victims: string } {
  const made = newWorkspace(uid, directory);
  workspaces.push(dirname(made.root));
  return made;
}

beforeAll(async () => {
  program = await buildTreeProgram();
});

afterAll(() => {
  for (const directory of [...workspaces, dirname(program)]) rmSync(directory, { recursive: true });
});

describe.each(users)("as user %i", (uid) => {
  it("removes a hostile tree and nothing outside of it", async () => {
    const { root, victims } = workspace(uid);
    await runTreeProgram(program, { uid }, "build-hostile", root, victims);
    expect(statSync(`${victims}/file`).nlink).toBe(2);

    const deleted = await runTreeProgram<Deleted>(program, { uid }, "delete", root, "job");

    // 8192 + 4096 + 4096: the file with three names counts once, the victim's, which stays, not at all.
    expect(deleted).toMatchObject({ complete: true, remaining: [], bytes: 16_384, leaked: 0, uid });
    // Directories: job, a, b, c, one of no UTF-8, and three for each of five modes.
    expect(deleted.directories).toBe(5 + 3 * 5);
    // source, plain, 4 links, 1 + 3 hard links, 4 FIFOs, socket, 9 + 1 + 1 names, 5 in closed directories.
    expect(deleted.files).toBe(2 + 4 + 4 + 4 + 1 + 11 + 5);
    expect(readdirSync(root)).toEqual([]);
    expect(readFileSync(`${victims}/file`, "utf8")).toBe("precious");
    expect(readFileSync(`${victims}/inner/file`, "utf8")).toBe("precious too");
    expect(statSync(`${victims}/file`).nlink).toBe(1);
    if (uid !== 0) expect(deleted.effectiveCapabilities).toBe("0".repeat(16));
  });
});

// How much there is, is a question of memory and handles, and the same for every user and on every filesystem: the sweep's
// own user is taken, and files in memory, which cost a quarter of those on a disk to make and remove.
describe("as the volume's own user", () => {
  const uid = users.at(-1)!;

  it("removes a chain of 4,000 directories with few handles", async () => {
    const { root } = workspace(uid, memoryDirectory());
    await runTreeProgram(program, { uid }, "build-deep", root, "4000");
    const deleted = await runTreeProgram<Deleted>(program, { uid, handles: 128 }, "delete", root, "job");
    expect(deleted).toMatchObject({ complete: true, files: 4000, directories: 4000, bytes: 4096, leaked: 0 });
    expect(readdirSync(root)).toEqual([]);
  });

  it("removes 20,000 entries in one directory without stopping the event loop", async () => {
    const { root } = workspace(uid, memoryDirectory());
    mkdirSync(`${root}/job/wide`, { recursive: true });
    for (let i = 0; i < 20_000; i++) writeFileSync(`${root}/job/wide/frame-${i}.jpg`, "");
    if (uid !== 0 && isRoot) giveTo({ uid, gid: uid }, root);
    const deleted = await runTreeProgram<Deleted>(program, { uid, handles: 128 }, "delete", root, "job");
    expect(deleted).toMatchObject({ complete: true, files: 20_000, directories: 2, leaked: 0 });
    expect(deleted.longestDelay).toBeLessThan(500);
    expect(deleted.mostHandles).toBeLessThan(30);
    expect(deleted.residentMiB).toBeLessThan(160);
  });

  it("removes 6,000 directories, more than it keeps in its list", async () => {
    const { root } = workspace(uid, memoryDirectory());
    for (let i = 0; i < 5; i++) {
      for (let j = 0; j < 1200; j++) mkdirSync(`${root}/job/${i}/${j}`, { recursive: true });
    }
    if (uid !== 0 && isRoot) giveTo({ uid, gid: uid }, root);
    const deleted = await runTreeProgram<Deleted>(program, { uid, handles: 128 }, "delete", root, "job");
    expect(deleted).toMatchObject({ complete: true, files: 0, directories: 6006, leaked: 0 });
  });
});

describe.runIf(isRoot)("mounts inside a job", () => {
  // The first is of the same filesystem, so that only its mount id tells it from a directory.
  it.each(["mount --bind VICTIMS TARGET", "mount -t tmpfs none TARGET"])("%s", async (mount) => {
    const { root, victims } = workspace(0);
    const targets = ["job/top", "job/a/middle", "job/a/b/c/deep"].map((target) => `${root}/${target}`);
    for (const target of targets) mkdirSync(target, { recursive: true });
    writeFileSync(`${root}/job/a/b/c/file`, "");
    const mounts = targets
      .map((target) => mount.replace("VICTIMS", victims).replace("TARGET", target))
      .concat(`touch ${root}/job/top/on-mount ${root}/job/a/b/c/file-mount`)
      .concat(`mount --bind ${victims}/file ${root}/job/a/b/c/file-mount`)
      .join(" && ");
    const deleted = await runTreeProgram<Deleted>(program, { uid: 0, mounts }, "delete", root, "job");
    expect(deleted.complete).toBe(false);
    expect(new Set(deleted.remaining.map(({ reason }) => reason))).toEqual(new Set(["mount"]));
    expect(deleted.remaining.map(({ name }) => name)).toContain("top");
    expect(readFileSync(`${victims}/file`, "utf8")).toBe("precious");
    expect(readFileSync(`${victims}/inner/file`, "utf8")).toBe("precious too");
    expect(existsSync(`${victims}/on-mount`)).toBe(mount.includes("--bind"));

    // Without the mounts, the same call finishes what was left.
    const again = await runTreeProgram<Deleted>(program, { uid: 0 }, "delete", root, "job");
    expect(again).toMatchObject({ complete: true, remaining: [] });
    expect(readdirSync(root)).toEqual([]);
  });

  it("leaves a job alone that is itself a mount", async () => {
    const { root, victims } = workspace(0);
    mkdirSync(`${root}/job`);
    const mounts = `mount --bind ${victims} ${root}/job`;
    const deleted = await runTreeProgram<Deleted>(program, { uid: 0, mounts }, "delete", root, "job");
    expect(deleted).toMatchObject({
      complete: false,
      files: 0,
      remaining: [{ name: "job", reason: "mount" }],
    });
    expect(readFileSync(`${victims}/file`, "utf8")).toBe("precious");
  });
});

describe("edges", () => {
  it("says that an absent tree is gone, having removed nothing", async () => {
    const root = await openRoot(workspace(process.getuid!()).root);
    expect(await deleteTree(root, "absent")).toEqual({
      complete: true,
      interrupted: false,
      bytes: 0,
      files: 0,
      directories: 0,
      remaining: [],
    });
    await root.close();
  });

  it("removes a link in the tree's place and not where it leads", async () => {
    const { root: path, victims } = workspace(process.getuid!());
    const { symlinkSync } = await import("node:fs");
    symlinkSync(victims, `${path}/job`);
    const root = await openRoot(path);
    expect(await deleteTree(root, "job")).toMatchObject({ complete: true, files: 1, directories: 0 });
    await root.close();
    expect(readdirSync(victims).sort()).toEqual(["file", "inner"]);
  });

  it("stops when asked to, and a later call finishes", async () => {
    const { root: path } = workspace(process.getuid!());
    for (let i = 0; i < 50; i++) {
      mkdirSync(`${path}/job/${i}`, { recursive: true });
      for (let j = 0; j < 40; j++) writeFileSync(`${path}/job/${i}/${j}`, "");
    }
    const root = await openRoot(path);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 5);
    const first = await deleteTree(root, "job", { signal: stop.signal });
    expect(first).toMatchObject({ complete: false, interrupted: true });
    const second = await deleteTree(root, "job");
    expect(second).toMatchObject({ complete: true, interrupted: false });
    expect(first.files + second.files).toBe(2000);
    await root.close();
  });

  it.each(["", ".", "..", "a/b", "a\0b"])("refuses %j as a name", (name) => {
    expect(() => childPath(3, name)).toThrow("is not the name of a directory entry");
  });

  it("shows bytes that are no text", () => {
    expect(shownName(Buffer.from([0xff, 0x0a, 0x41]))).toBe("\\xff\\x0aA");
    expect(shownName("n".repeat(255))).toHaveLength(100);
  });
});
