import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { must } from "../../local/command.js";
import { Failure } from "../../local/failure.js";
import { buildImage } from "../../local/images/image.js";
import type { BuiltImage, Layer } from "../../local/images/image.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "video-storage-image-"));
  await mkdir(join(directory, "images/blobs"), { recursive: true });
  await writeFile(join(directory, "program"), Buffer.alloc(2 ** 20, 7), { mode: 0o755 });
});
afterEach(() => rm(directory, { recursive: true }));

const shared = (): Layer => [{ path: "/bin/program", source: join(directory, "program") }];

function build(name: string, content: string): Promise<BuiltImage> {
  const layers = [shared(), [{ path: "/etc/settings", content }]];
  return buildImage(join(directory, "images"), { name, layers, entrypoint: ["/bin/program"], user: "1:1" });
}

const blobs = async (): Promise<string[]> => (await readdir(join(directory, "images/blobs"))).sort();
const archives = async (): Promise<string[]> =>
  (await readdir(join(directory, "images"))).filter((name) => name !== "blobs").sort();

describe("an image's archive", () => {
  it("has the blobs that it names, each under the hash of its content", async () => {
    const { archive, reference } = await build("tool", "one");
    const unpacked = join(directory, "unpacked");
    await mkdir(unpacked);
    await must("tar", ["-xf", archive, "-C", unpacked]);
    const names = await readdir(join(unpacked, "blobs/sha256"));
    expect(names).toHaveLength(4);
    expect(names).toContain(reference.split(":").at(-1));
    for (const name of names) {
      const content = await readFile(join(unpacked, "blobs/sha256", name));
      expect(createHash("sha256").update(content).digest("hex")).toBe(name);
    }
    expect((await archives()).map((name) => join(directory, "images", name))).toEqual([archive]);
  });

  it("is made of the same blobs again, and is then the same", async () => {
    const first = await build("tool", "one");
    const before = await blobs();
    await rm(first.archive);
    expect(await build("tool", "one")).toEqual(first);
    expect(await blobs()).toEqual(before);
  });
});

describe("a full disk", () => {
  it("is told where a layer is written, and leaves nothing of it", async () => {
    await symlink("/dev/full", join(directory, `images/blobs/layer-${process.pid}.partial`));
    const failed = build("tool", "one");
    await expect(failed).rejects.toThrow(Failure);
    await expect(failed).rejects.toThrow(`The disk with ${directory}/images/blobs is full.`);
    expect(await blobs()).toEqual([]);
    await build("tool", "one");
  });

  it("is told where the archive is written, and leaves nothing of it", async () => {
    const { archive } = await build("tool", "one");
    await rm(archive);
    await symlink("/dev/full", `${archive}.partial`);
    await expect(build("tool", "one")).rejects.toThrow(`The disk with ${directory}/images is full.`);
    expect(await archives()).toEqual([]);
  });
});

describe("blobs", () => {
  it("are kept for as long as an archive names them, of any image", async () => {
    await build("other", "kept");
    const ofOther = await blobs();
    // Two layers, each with what says which it is, the configuration and the manifest.
    expect(ofOther).toHaveLength(6);
    for (let n = 1; n <= 3; n++) await build("tool", String(n));
    const before = await blobs();
    expect(before).toHaveLength(6 + 3 * 4);
    for (let n = 4; n <= 6; n++) await build("tool", String(n));
    expect(await archives()).toHaveLength(1 + 3);
    const after = await blobs();
    expect(after).toHaveLength(6 + 3 * 4);
    expect(after.filter((blob) => before.includes(blob))).toEqual(ofOther);
  });

  it("go with what a build that was killed has left", async () => {
    const left = [
      "blobs/layer-1.partial",
      "blobs/0123456789abcdef.7.partial",
      "tool-0123456789ab.tar.partial",
    ];
    for (const name of left) await writeFile(join(directory, "images", name), "half");
    await build("tool", "one");
    expect(await blobs()).toHaveLength(6);
    expect(await archives()).toHaveLength(1);
  });
});
