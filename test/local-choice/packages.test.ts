import { existsSync } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { installPackages } from "../../local/packages.mjs";

let directory: string;
let said: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "video-storage-packages-"));
  vi.stubEnv("VIDEO_STORAGE_CACHE", join(directory, "cache"));
  said = [];
  for (const stream of ["log", "error"] as const)
    vi.spyOn(console, stream).mockImplementation((line: string) => void said.push(line));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

/** A checkout with that lockfile. */
async function checkout(name: string, lockfile: string): Promise<string> {
  const project = join(directory, name);
  await mkdir(project, { recursive: true });
  await writeFile(join(project, "package-lock.json"), lockfile);
  return project;
}

/** Installs as npm would; returns the exit code and what was run. */
async function install(project: string, code = 0): Promise<{ code: number; calls: string[] }> {
  const calls: string[] = [];
  const ended = await installPackages(project, async (command, parameters) => {
    calls.push([command, ...parameters].join(" "));
    const modules = join(project, "node_modules");
    await rm(modules, { recursive: true, force: true });
    await mkdir(join(modules, "tool/bin"), { recursive: true });
    await mkdir(join(modules, "@video-storage"));
    await writeFile(join(modules, "tool/bin/tool"), `of ${project}`, { mode: 0o755 });
    await symlink("../../contract", join(modules, "@video-storage/contract"));
    return code;
  });
  return { code: ended, calls };
}

const npm = ["npm ci --no-audit --no-fund --loglevel=error"];
const kept = () => join(directory, "cache/packages");

describe("the packages of the lockfile", () => {
  it("are installed by npm once, and not asked for again", async () => {
    const project = await checkout("a", "one");
    expect(await install(project)).toEqual({ code: 0, calls: npm });
    expect(await install(project)).toEqual({ code: 0, calls: [] });
    expect(said).toHaveLength(2);
  });

  it("are those of the next checkout too: contents, modes and links", async () => {
    const first = await checkout("a", "one");
    await install(first);
    const second = await checkout("b", "one");
    await mkdir(join(second, "node_modules/left-over"), { recursive: true });
    expect(await install(second)).toEqual({ code: 0, calls: [] });
    const modules = join(second, "node_modules");
    expect((await readdir(modules)).sort()).toEqual([".installed-lockfile", "@video-storage", "tool"]);
    expect(await readFile(join(modules, "tool/bin/tool"), "utf8")).toBe(`of ${first}`);
    expect((await lstat(join(modules, "tool/bin/tool"))).mode & 0o777).toBe(0o755);
    expect(await readlink(join(modules, "@video-storage/contract"))).toBe("../../contract");
    expect(said.at(-1)).toMatch(/ s, those of an earlier checkout\)$/);
    expect(await install(second)).toEqual({ code: 0, calls: [] });
    // A program that is replaced is so in one checkout.
    await rm(join(modules, "tool/bin/tool"));
    await writeFile(join(modules, "tool/bin/tool"), "replaced");
    const third = await checkout("c", "one");
    expect(await install(third)).toEqual({ code: 0, calls: [] });
    expect(await readFile(join(third, "node_modules/tool/bin/tool"), "utf8")).toBe(`of ${first}`);
  });

  it.each(["tool/bin/tool", ".installed-lockfile"])(
    "are installed anew once somebody wrote to their %s",
    async (name) => {
      const first = await checkout("a", "one");
      await install(first);
      const file = join(first, "node_modules", name);
      await writeFile(file, "changed");
      const later = new Date(Date.now() + 1_000);
      await utimes(file, later, later);
      const second = await checkout("b", "one");
      expect(await install(second)).toEqual({ code: 0, calls: npm });
      expect(await readFile(join(second, "node_modules/tool/bin/tool"), "utf8")).toBe(`of ${second}`);
      const third = await checkout("c", "one");
      expect(await install(third)).toEqual({ code: 0, calls: [] });
      expect(await readFile(join(third, "node_modules/tool/bin/tool"), "utf8")).toBe(`of ${second}`);
    },
  );

  it("are copied where the checkout is on another filesystem than the cache", async () => {
    const first = await checkout("a", "one");
    await install(first);
    const elsewhere = await mkdtemp("/dev/shm/video-storage-packages-");
    try {
      await writeFile(join(elsewhere, "package-lock.json"), "one");
      expect(await install(elsewhere)).toEqual({ code: 0, calls: [] });
      expect(await readFile(join(elsewhere, "node_modules/tool/bin/tool"), "utf8")).toBe(`of ${first}`);
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  it("are others for another lockfile, of which the last two are kept", async () => {
    for (const lockfile of ["one", "two", "three"])
      expect((await install(await checkout("a", lockfile))).calls).toEqual(npm);
    expect(await readdir(kept())).toHaveLength(2);
    expect((await install(await checkout("b", "three"))).calls).toEqual([]);
    expect((await install(await checkout("b", "one"))).calls).toEqual(npm);
  });

  it("are not taken for installed or kept when npm fails", async () => {
    const project = await checkout("a", "one");
    expect(await install(project, 7)).toEqual({ code: 7, calls: npm });
    expect(said.at(-1)).toBe("✗ npm ci failed. Check that the npm registry can be reached, and start again.");
    expect([existsSync(kept()), existsSync(join(project, "node_modules/.installed-lockfile"))]).toEqual([
      false,
      false,
    ]);
  });

  it("are installed where no copy can be kept, and where the one that is kept can't be had", async () => {
    await mkdir(join(directory, "cache"));
    await writeFile(kept(), "in the way");
    expect(await install(await checkout("a", "one"))).toEqual({ code: 0, calls: npm });
    await rm(kept());
    const project = await checkout("b", "one");
    await install(project);
    const [one] = await readdir(kept());
    await rm(join(kept(), one!), { recursive: true });
    await writeFile(join(kept(), one!), "no directory");
    await chmod(join(kept(), one!), 0o000);
    const other = await checkout("c", "one");
    await writeFile(join(other, ".local"), "in the way");
    expect(await install(other)).toEqual({ code: 0, calls: npm });
  });

  it("leave nothing of a copy whose maker was killed", async () => {
    const project = await checkout("a", "one");
    await mkdir(join(kept(), "packages.making-999999999/half"), { recursive: true });
    await install(project);
    expect((await readdir(kept())).filter((name) => name.includes(".making-"))).toEqual([]);
  });
});
