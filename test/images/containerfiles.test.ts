import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { LICENCES_FILE } from "../../local/images/licence-texts.mjs";
import { imageBundle } from "../../local/images/bundles.js";
import { imageContents } from "../../local/supply-chain/bundled-packages.js";
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

/** Below its bundle's directory. */
function programOf(containerfile: string): string {
  return /^ENTRYPOINT \["node", "\/app\/([^"]+)"\]$/m.exec(containerfile)![1]!;
}

describe.each(FILES)("%s", (file) => {
  const workspace = path.dirname(file);
  const text = projectFile(file);
  let directory: string;
  beforeAll(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-image-"));
    await fs.cp(await imageBundle(workspace), directory, { recursive: true });
  });
  afterAll(async () => {
    await fs.rm(directory, { recursive: true, force: true });
  });

  it("starts a program that its bundle has, and that runs with nothing beside it", async () => {
    expect(text).toMatch(/^COPY dist\/ \/app\/$/m);
    const { stdout } = await run("node", [path.join(directory, programOf(text)), "--help"], {
      cwd: directory,
    });
    expect(stdout).toContain(`Usage: ${workspace}`);
  });

  it("has the licence of every package in its bundle go along", async () => {
    const { packages } = await imageContents(workspace);
    const texts = await fs.readFile(
      path.join(path.dirname(path.join(directory, programOf(text))), LICENCES_FILE),
      "utf8",
    );
    const told = [...texts.matchAll(/^={80}\n((?:\S+ \S+\n)+)={80}$/gm)].flatMap((match) =>
      match[1]!.trimEnd().split("\n"),
    );
    // The library that isn't bundled but copied has its licence beside it.
    const bundled = packages.filter(
      ({ name, integrity }) => integrity !== null && !/^(?:koffi|@koromix\/)/.test(name),
    );
    expect(told.sort()).toEqual(
      [...new Set(bundled.map(({ name, version }) => `${name} ${version}`))].sort(),
    );
    // What isn't a program's but its page's.
    expect(told.some((one) => one.startsWith("uplot "))).toBe(workspace === "monitor");
    expect(texts).toMatch(/Permission is hereby granted, free of charge/);
  }, 60_000);

  it("says how it is built, with the script that there is", () => {
    // Docker looks for a Dockerfile unless it is told otherwise.
    const build = `docker build --file ${file} --tag ${workspace} ${workspace}`;
    expect(text).toContain(`#   node ${workspace}/build.mjs && ${build}\n`);
    expect(existsSync(path.join(PROJECT_DIRECTORY, workspace, "build.mjs"))).toBe(true);
  });

  it("runs as a plain user, but for the agent that is privileged", () => {
    const [, user] = /^USER (\d+)$/m.exec(text)!;
    expect(user).toBe(workspace === "node-agent" ? "0" : "10000");
  });
});
