import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { PROJECT } from "../../local/paths.js";
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

describe("npm test in such a checkout", () => {
  it.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("ends what it runs at a %s to itself alone, and then with %d", async (signal, code) => {
    for (const name of ["local", "infra"])
      fs.cpSync(path.join(PROJECT, name), path.join(project, name), { recursive: true });
    for (const name of ["package.json", "tsconfig.json", "node_modules"])
      fs.symlinkSync(path.join(PROJECT, name), path.join(project, name));
    const [programs, begun, ended] = ["programs", "begun", "ended"].map((name) => path.join(base, name));
    fs.mkdirSync(programs!);
    const tests = `#!/bin/sh
      trap 'echo "$*" > "${ended}"; exit 1' TERM HUP
      echo $$ > "${begun}"
      while :; do sleep 0.1; done`;
    fs.writeFileSync(path.join(programs!, "vitest"), tests, { mode: 0o755 });
    close(home);
    const args = [...RUNS_TYPESCRIPT, path.join(project, "local/test.ts"), "fast"];
    const env = { ...process.env, PATH: `${programs}:${process.env["PATH"]}` };
    const wrapper = spawn(process.execPath, args, { cwd: project, env, stdio: "ignore" });
    const end = once(wrapper, "exit");
    try {
      await vi.waitUntil(() => fs.existsSync(begun!) && fs.readFileSync(begun!, "utf8") !== "", {
        timeout: 30_000,
      });
      wrapper.kill(signal);
      expect(await end).toEqual([code, null]);
      expect(fs.readFileSync(ended!, "utf8")).toMatch(/^run --project fast /);
    } finally {
      if (!fs.existsSync(ended!)) process.kill(Number(fs.readFileSync(begun!, "utf8")), "SIGKILL");
    }
  });
});
