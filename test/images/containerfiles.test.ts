import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { projectFile } from "../documents/markdown.js";

const run = promisify(execFile);
const FILES = globSync("*/Containerfile", { cwd: PROJECT_DIRECTORY }).sort();

it("there is a container file for every image of ours that the stack runs", () => {
  expect(FILES.map((file) => path.dirname(file))).toEqual([
    "catalogue",
    "cleanup-job",
    "monitor",
    "node-agent",
    "object-storage-probe",
  ]);
});

describe.each(FILES)("%s", (file) => {
  const workspace = path.dirname(file);
  const text = projectFile(file);
  let directory: string;
  beforeAll(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-image-"));
    await run("node", [`${workspace}/build.mjs`, "--out", directory], { cwd: PROJECT_DIRECTORY });
  });
  afterAll(async () => {
    await fs.rm(directory, { recursive: true, force: true });
  });

  it("starts a program that its bundle has, and that runs with nothing beside it", async () => {
    const [, program] = /^ENTRYPOINT \["node", "\/app\/([^"]+)"\]$/m.exec(text)!;
    expect(text).toMatch(/^COPY dist\/ \/app\/$/m);
    const { stdout } = await run("node", [path.join(directory, program!), "--help"], { cwd: directory });
    expect(stdout).toContain(`Usage: ${workspace}`);
  });

  it("says how it is built, with the script that there is", () => {
    const [, script] = /^#\s+node (\S+) && docker build/m.exec(text)!;
    expect(script).toBe(`${workspace}/build.mjs`);
    expect(existsSync(path.join(PROJECT_DIRECTORY, script!))).toBe(true);
  });

  it("runs as a plain user, but for the agent that is privileged", () => {
    const [, user] = /^USER (\d+)$/m.exec(text)!;
    expect(user).toBe(workspace === "node-agent" ? "0" : "10000");
  });
});
