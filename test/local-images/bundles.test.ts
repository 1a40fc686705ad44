import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { must } from "../../local/command.js";
import { bundle } from "../../local/images/bundle.mjs";
import { INPUTS_FILE, fingerprintOfSources, imageBundle, keptBundle } from "../../local/images/bundles.js";
import { bundleLayer } from "../../local/images/images.js";
import { kubeConfigAlone } from "../../local/images/kube-config-alone.mjs";
import { PROJECT } from "../../local/paths.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "video-storage-bundles-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(directory, path)), { recursive: true });
  await writeFile(join(directory, path), content);
}

describe("the sources' fingerprint", () => {
  beforeEach(async () => {
    await write("package-lock.json", "{}");
    await write("worker/src/job.ts", "one");
  });

  it.each([
    ["a source", "worker/src/job.ts", "two"],
    ["a migration", "catalogue/migrations/0001.sql", "select 1"],
    ["the lockfile", "package-lock.json", '{"a":1}'],
    ["how a bundle is made", "worker/build.mjs", "bundle()"],
    ["a picture", "monitor/src/status/page/icon.svg", "<svg/>"],
    ["a file of no known kind", "worker/LICENCE", "as you like"],
  ])("is another for another content of %s", async (_, path, content) => {
    const before = await fingerprintOfSources(directory);
    await write(path, content);
    expect(await fingerprintOfSources(directory)).not.toBe(before);
  });

  it.each([
    ["packages", "worker/node_modules/a/index.js"],
    ["tests", "test/worker/job.test.ts"],
    ["documents", "docs/worker.md"],
    ["an environment's state", ".local/local/state.json"],
  ])("is the same whatever there is of %s", async (_, path) => {
    const before = await fingerprintOfSources(directory);
    await write(path, "anything");
    expect(await fingerprintOfSources(directory)).toBe(before);
    expect(before).toMatch(/^[0-9a-f]{16}$/);
  });

  it("is another when a content moves from one file to the next", async () => {
    await write("worker/src/jobs.ts", "");
    const before = await fingerprintOfSources(directory);
    await write("worker/src/job.ts", "");
    await write("worker/src/jobs.ts", "one");
    expect(await fingerprintOfSources(directory)).not.toBe(before);
  });
});

describe("a bundle", () => {
  const make = (content: string) => async (into: string) => {
    await mkdir(into);
    await writeFile(join(into, "program.mjs"), content);
  };
  const read = (bundle: string) => readFile(join(bundle, "program.mjs"), "utf8");

  it("is made once for each name", async () => {
    const bundle = await keptBundle(directory, "worker-00aa", make("first"));
    expect(await keptBundle(directory, "worker-00aa", make("second"))).toBe(bundle);
    expect(await read(bundle)).toBe("first");
    expect(await read(await keptBundle(directory, "worker-00bb", make("second")))).toBe("second");
  });

  it("isn't there when making it failed, and is made by the next", async () => {
    const failing = async (into: string) => {
      await make("half")(into);
      throw new Error("no room");
    };
    await expect(keptBundle(directory, "worker-00aa", failing)).rejects.toThrow("no room");
    expect(await readdir(directory)).toEqual([]);
    expect(await read(await keptBundle(directory, "worker-00aa", make("whole")))).toBe("whole");
  });

  it("gives way to newer ones of the same program, and of no other", async () => {
    await keptBundle(directory, "worker-other-0001", make("x"));
    for (let n = 1; n <= 6; n++) await keptBundle(directory, `worker-000${n}`, make(String(n)));
    expect((await readdir(directory)).length).toBe(1 + 4);
    expect(await readdir(directory)).toEqual(expect.arrayContaining(["worker-other-0001", "worker-0006"]));
  });

  it("has Node's HTTP, however it is imported, without the client that Node loads for WebSocket", async () => {
    await write("required.cjs", 'module.exports = require("http");');
    await write(
      "program.mjs",
      `import http, { Agent } from "node:http";
       import * as all from "http";
       import required from "./required.cjs";
       const { request, default: later } = await import("node:http");
       const same = [all.default, required, later].every((each) => each === http)
         && Agent === http.Agent && request === http.request && all.Server === http.Server;
       const loaded = process.moduleLoadList.filter((name) => name.endsWith("/undici"));
       console.log(JSON.stringify({ same, loaded }));`,
    );
    const made = join(directory, "made");
    await bundle({ entry: join(directory, "program.mjs"), directory: made, name: "program" });
    expect(JSON.parse(await must(process.execPath, [join(made, "program.mjs")]))).toEqual({
      same: true,
      loaded: [],
    });
  });

  it("has koffi's native library, without koffi's own way to it", async () => {
    await symlink(join(PROJECT, "node_modules"), join(directory, "node_modules"));
    await write(
      "program.mjs",
      `import koffi from "koffi";
       import { createRequire } from "node:module";
       const access = koffi.load(null).func("int access(const char *path, int mode)");
       const called = [access("/", 0), access("/absent", 0), koffi.errno() === koffi.os.errno.ENOENT];
       const loaded = Object.keys(createRequire(import.meta.url).cache).map((file) => file.replace(/^.*node_modules/, ""));
       console.log(JSON.stringify({ called, loaded }));`,
    );
    const made = join(directory, "made");
    await bundle({ entry: join(directory, "program.mjs"), directory: made, name: "program", locks: true });
    const library = `/@koromix/koffi-linux-${process.arch}`;
    expect(JSON.parse(await must(process.execPath, [join(made, "program.mjs")]))).toEqual({
      called: [0, -1, true],
      loaded: [`${library}/index.js`, `${library}/linux_${process.arch}/koffi.node`],
    });
    expect(await readdir(join(made, "node_modules/koffi"))).toEqual(["LICENSE.txt", "package.json"]);
  });

  it("has of Kubernetes' client what reads a kubeconfig, where that is all that is used", async () => {
    await symlink(join(PROJECT, "node_modules"), join(directory, "node_modules"));
    await write(
      "program.mjs",
      `import { KubeConfig } from "@kubernetes/client-node";
       const config = new KubeConfig();
       const cluster = { name: "c", server: "https://127.0.0.1:1", caData: "Y2E=" };
       config.loadFromClusterAndUser(cluster, { name: "u", token: "t" });
       const options = { headers: {} };
       await config.applyToHTTPSOptions(options);
       console.log(options.headers.Authorization, String(options.ca));
       const request = { setHeaderParam() {} };
       await config.applySecurityAuthentication(request).catch(({ message }) => console.log(message));`,
    );
    const made = join(directory, "made");
    const entry = join(directory, "program.mjs");
    await bundle({ entry, directory: made, name: "program", plugins: [kubeConfigAlone] });
    expect(await must(process.execPath, [join(made, "program.mjs")])).toBe(
      "Bearer t ca\nundici is left out of this program: ask with node:https\n",
    );
    const text = await readFile(join(made, "program.mjs"), "utf8");
    expect([text.length < 700_000, text.includes("readNamespacedPod")]).toEqual([true, false]);
  });

  it("tells of which files it was made, and goes into an image without that", async () => {
    const kept = await imageBundle("catalogue");
    expect(JSON.parse(await readFile(join(kept, INPUTS_FILE), "utf8"))).toEqual(
      expect.arrayContaining(["catalogue/src/main.ts", "node_modules/pg/lib/index.js"]),
    );
    const paths = (await bundleLayer(kept)).map(({ path }) => path);
    expect(paths).toContain("/app/program/catalogue.mjs");
    expect(paths.filter((path) => path.includes("inputs"))).toEqual([]);
  });
});
