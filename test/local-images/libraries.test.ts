import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { must } from "../../local/command.js";
import { Failure } from "../../local/failure.js";
import { librariesOf } from "../../local/images/images.js";

const TRIPLET = `${process.arch === "x64" ? "x86_64" : "aarch64"}-linux-gnu`;

let directory: string;
let program: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "video-storage-libraries-"));
  program = join(directory, "ls");
  // A program of this machine that is linked to a library which no machine has.
  const bytes = (await readFile("/bin/ls"))
    .toString("latin1")
    .replaceAll("libselinux.so.1", "libnowhere.so.1");
  await writeFile(program, Buffer.from(bytes, "latin1"), { mode: 0o755 });
});
afterEach(() => rm(directory, { recursive: true }));

describe("the libraries of a program", () => {
  it("are where they are installed", async () => {
    const layer = await librariesOf(["/bin/ls", "/bin/cat"]);
    const paths = layer.map(({ path }) => path);
    expect(paths).toContain(`/lib/${TRIPLET}/libselinux.so.1`);
    expect(paths.filter((path) => path.endsWith("/libc.so.6"))).toEqual([`/lib/${TRIPLET}/libc.so.6`]);
    expect(layer.every(({ path, source, mode }) => path === source && mode === 0o755)).toBe(true);
  });

  it("come from what is unpacked, to where the linker of an image looks", async () => {
    const unpacked = join(directory, "usr/lib", TRIPLET);
    const library = join(unpacked, "libnowhere.so.1");
    await mkdir(dirname(library), { recursive: true });
    const [, installed] = /libselinux\.so\.1 => (\S+)/.exec(await must("ldd", ["/bin/ls"]))!;
    await cp(installed!, library);
    const layer = await librariesOf([program], `${join(directory, "none")}:${unpacked}`);
    expect(layer).toContainEqual({
      ...{ path: `/usr/lib/${TRIPLET}/libnowhere.so.1`, source: library, mode: 0o755 },
    });
    expect(layer).toContainEqual({
      ...{ path: `/lib/${TRIPLET}/libc.so.6`, source: `/lib/${TRIPLET}/libc.so.6`, mode: 0o755 },
    });
  });

  it("are all there, or the one that isn't is named with its program", async () => {
    const failed = librariesOf(["/bin/cat", program]);
    await expect(failed).rejects.toThrow(Failure);
    await expect(failed).rejects.toThrow(
      `The library libnowhere.so.1 of the program ${program} was not found.`,
    );
  });
});
