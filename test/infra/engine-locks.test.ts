import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { removeAbandonedLocks } from "../../infra/engine-locks.js";

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "engine-locks-"))));
afterEach(() => rmSync(directory, { recursive: true }));

it("removes the locks of engines that have ended here, and no other", () => {
  const stack = join(directory, "organization", "video-storage", "local");
  mkdirSync(stack, { recursive: true });
  const ended = spawnSync("true").pid;
  const lock = (name: string, pid: number, host: string): void =>
    writeFileSync(join(stack, `${name}.json`), JSON.stringify({ pid, username: "root", hostname: host }));
  lock("ended", ended, hostname());
  lock("at-work", process.pid, hostname());
  lock("elsewhere", ended, "another.example");
  removeAbandonedLocks(directory);
  expect(readdirSync(stack).sort()).toEqual(["at-work.json", "elsewhere.json"]);
});

it("is content where no engine has been", () => {
  expect(() => removeAbandonedLocks(join(directory, "none"))).not.toThrow();
});
