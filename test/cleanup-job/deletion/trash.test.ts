import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newJobId } from "@video-storage/contract/identity";
import { openChild, openRoot } from "../../../cleanup-job/src/deletion/handles.js";
import type { Directory } from "../../../cleanup-job/src/deletion/handles.js";
import { ExchangedDirectoryError, moveToTrash, openTrash } from "../../../cleanup-job/src/deletion/trash.js";

const JOB = newJobId();
let path: string;
let root: Directory;
let trash: Directory;
let looked: Directory;

beforeEach(async () => {
  path = fs.mkdtempSync(`${tmpdir()}/trash-`);
  fs.mkdirSync(`${path}/${JOB}`);
  fs.writeFileSync(`${path}/${JOB}/file`, "");
  root = await openRoot(path);
  trash = await openTrash(root);
  looked = (await openChild(root, JOB)) as Directory;
});
afterEach(async () => {
  await Promise.all([root.close(), trash.close(), looked.close()]);
  fs.rmSync(path, { recursive: true });
});

describe("the trash", () => {
  it("is private, and is found again", async () => {
    expect(fs.statSync(`${path}/.trash`).mode & 0o777).toBe(0o700);
    const again = await openTrash(root);
    expect(again.ino).toBe(trash.ino);
    await again.close();
  });

  it("is not what a link in its place leads to: the link goes", async () => {
    fs.rmdirSync(`${path}/.trash`);
    fs.symlinkSync(`${path}/${JOB}`, `${path}/.trash`);
    const again = await openTrash(root);
    expect(again.ino).not.toBe(looked.ino);
    await again.close();
    expect(fs.lstatSync(`${path}/.trash`).isDirectory()).toBe(true);
    expect(fs.readdirSync(`${path}/${JOB}`)).toEqual(["file"]);
  });

  it("takes a job's directory in one step", async () => {
    await moveToTrash(root, trash, JOB, looked);
    expect(fs.readdirSync(path)).toEqual([".trash"]);
    expect(fs.readdirSync(`${path}/.trash`)).toEqual([JOB]);
    expect(fs.readdirSync(`${path}/.trash/${JOB}`)).toEqual(["file"]);
  });

  it.each(["directory", "link"])("doesn't take a %s that was put in the job's place", async (what) => {
    fs.renameSync(`${path}/${JOB}`, `${path}/moved`);
    if (what === "link") fs.symlinkSync("moved", `${path}/${JOB}`);
    else fs.mkdirSync(`${path}/${JOB}`);
    await expect(moveToTrash(root, trash, JOB, looked)).rejects.toThrow(ExchangedDirectoryError);
    expect(fs.readdirSync(path).sort()).toEqual([".trash", JOB, "moved"].sort());
    expect(fs.readdirSync(`${path}/.trash`)).toEqual([]);
    expect(fs.readdirSync(`${path}/moved`)).toEqual(["file"]);
  });
});
