import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { must } from "../../local/command.js";
import { PROJECT } from "../../local/paths.js";
import { local } from "../support/local-environment.js";

const ENVIRONMENT = "refused";
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "video-storage-requirements-"));
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await local("destroy", ENVIRONMENT);
});

function start(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { code: number; output: string } {
  const words = [...args, "local/bootstrap.mjs", "local/main.ts", "start", "--environment", ENVIRONMENT];
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: PROJECT, env, encoding: "utf8" });
  return { code: status!, output: stdout + stderr };
}

/** A PATH with these programs and no others. */
async function pathWith(...programs: string[]): Promise<string> {
  const bin = mkdtempSync(join(directory, "bin-"));
  for (const program of programs) {
    symlinkSync((await must("sh", ["-c", `command -v ${program}`])).trim(), join(bin, program));
  }
  return bin;
}

describe("npm start says what is missing and what to do, before it begins", () => {
  it("root", () => {
    const asNobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", process.execPath];
    const { code, output } = start("setpriv", asNobody, { ...process.env, HOME: directory });
    expect(code).toBe(1);
    expect(output).toContain("this user may not.");
    expect(output).toContain("Run it as root (sudo npm start)");
  });

  it("Go", async () => {
    const env = {
      PATH: await pathWith("sh", "env", "ip"),
      HOME: directory,
      VIDEO_STORAGE_CACHE: join(directory, "a"),
    };
    expect(start(process.execPath, [], env)).toEqual({
      code: 1,
      output: expect.stringContaining("Install Go 1.24 or later and start again."),
    });
  });

  it("apt", async () => {
    const env = {
      ...process.env,
      PATH: await pathWith("go", "ip"),
      HOME: directory,
      VIDEO_STORAGE_CACHE: join(directory, "b"),
    };
    expect(start(process.execPath, [], env)).toEqual({
      code: 1,
      output: expect.stringContaining("Use a Debian-like machine, or a cluster that you have"),
    });
  });

  it("room on the disk", () => {
    const cache = join(directory, "small");
    mkdirSync(cache);
    // In a mount namespace of its own, which ends with it.
    const script = 'mount -t tmpfs -o size=64m tmpfs "$1" && shift && exec "$@"';
    const inside = ["--mount", "sh", "-c", script, "sh", cache, process.execPath];
    const { code, output } = start("unshare", inside, { ...process.env, VIDEO_STORAGE_CACHE: cache });
    expect(code).toBe(1);
    expect(output).toMatch(
      new RegExp(`Below ${cache} there are 0\\.1 GiB free, and this start may write 3\\.0 GiB\\.`),
    );
    expect(output).toContain("VIDEO_STORAGE_CACHE, GOCACHE and GOMODCACHE name directories.");
  });
});
