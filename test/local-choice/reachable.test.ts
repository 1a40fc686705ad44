import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { closedDirectories, withOpened } from "../../local/reachable.js";

let base: string;
let home: string;
let project: string;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(tmpdir(), "video-storage-reachable-"));
  fs.chmodSync(base, 0o755);
  home = path.join(base, "a home");
  project = path.join(home, ".work", "project");
  fs.mkdirSync(project, { recursive: true });
  fs.writeFileSync(path.join(project, "program"), "found\n");
  fs.writeFileSync(path.join(home, ".settings"), "settings\n");
  fs.symlinkSync("a home", path.join(home, "link"));
});
afterEach(() => execFileSync("rm", ["-rf", base]));

const close = (...directories: string[]) =>
  directories.forEach((directory) => fs.chmodSync(directory, 0o700));
const asNobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
const output = ([program, ...args]: string[]) => {
  const { stdout, stderr } = spawnSync(program!, args, { encoding: "utf8" });
  return stdout + stderr;
};

describe("a checkout in directories that only root can enter", () => {
  it("is told by them, the outermost first", () => {
    expect(closedDirectories(project)).toEqual([]);
    close(home, project);
    expect(closedDirectories(project)).toEqual([home, project]);
  });

  it("is reached by another user in the namespace that is made for that, and nowhere else", () => {
    close(home, project);
    const read = [...asNobody, "cat", path.join(project, "program")];
    expect(output(read)).toContain("Permission denied");
    expect(output(withOpened([home, project], read))).toBe("found\n");
    expect(output(read)).toContain("Permission denied");
  });

  it("has everything that it had, and keeps what is written there", () => {
    close(home);
    const script = `cat '${home}/.settings' && readlink '${home}/link' && echo kept > '${project}/new'`;
    expect(output(withOpened([home], ["sh", "-c", script]))).toBe("settings\na home\n");
    expect(fs.readFileSync(path.join(project, "new"), "utf8")).toBe("kept\n");
    expect(fs.readdirSync(home).toSorted()).toEqual([".settings", ".work", "link"]);
  });
});
