import { existsSync } from "node:fs";
import { readdir, realpath, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

import { unpackDebianPackages } from "../build/debian-packages.js";
import { must } from "../command.js";
import { PROJECT } from "../paths.js";
import {
  NON_ROOT,
  accountsAndLibraries,
  builder,
  directoryLayer,
  librariesOf,
  links,
  program,
  shellLayer,
  unique,
} from "./images.js";
import type { ImageSources } from "./images.js";
import type { BuiltImage, Layer } from "./image.js";

/** Parts of Python's library that a worker has no use for, and most of its size. */
const LEFT_OUT =
  /(^|\/)(__pycache__|test|tests|idlelib|lib2to3|ensurepip|distutils|tkinter|turtledemo|config-[^/]*|dist-packages|pydoc_data)(\/|$)/;

/**
 * An image with Debian's Python, busybox, the examples and, below /opt/video-job, the worker's command with a Node.js
 * of its own: how other teams' images get the command, by copying one directory.
 */
export async function buildExampleWorker(
  sources: ImageSources,
  report: (detail: string) => void,
): Promise<BuiltImage> {
  const python = await unpackDebianPackages(["python3-minimal", "libpython3-stdlib"]);
  // Not by PATH, where other Pythons may come first that aren't Debian's. What the machine has isn't unpacked again.
  const within = (file: string): string =>
    [join(python.directory, file), `/${file}`].find((candidate) => existsSync(candidate)) ?? `/${file}`;
  const interpreter = await realpath(within("usr/bin/python3"));
  const env = { ...process.env, LD_LIBRARY_PATH: python.libraries };
  const version = (
    await must(interpreter, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"], { env })
  ).trim();
  const library = dirname(within(`usr/lib/python${version}/os.py`));
  const command = join(sources.directory, "bundles", `video-job-${process.pid}`);
  try {
    await must("node", ["worker/build.mjs", "--with-node", "--out", command], { cwd: PROJECT });
    return await builder(
      sources,
      report,
    )({
      name: "example-worker",
      layers: [
        await shellLayer(sources),
        links(["rm", "cut", "grep"]),
        unique([
          ...program(`/usr/bin/python${version}`, interpreter),
          { path: "/usr/bin/python3", linkTo: `python${version}` },
          ...(await pythonLibrary(library, version)),
          ...(await librariesOf([interpreter], python.libraries)),
        ]),
        [...(await accountsAndLibraries([process.execPath])), { path: "/tmp/.keep", content: "" }],
        await directoryLayer(command, "/opt/video-job"),
        await directoryLayer(join(PROJECT, "examples"), "/examples"),
      ],
      entrypoint: ["/bin/sh"],
      env: ["HOME=/tmp", "PATH=/opt/video-job:/usr/local/bin:/usr/bin:/bin"],
      user: NON_ROOT,
    });
  } finally {
    await rm(command, { recursive: true, force: true });
  }
}

async function pythonLibrary(library: string, version: string): Promise<Layer> {
  const entries = await readdir(library, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(library.length + 1))
    .filter((name) => !LEFT_OUT.test(name))
    .map((name) => ({ path: `/usr/lib/python${version}/${name}`, source: join(library, name) }));
}
