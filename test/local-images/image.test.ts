import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { must } from "../../local/command.js";
import { Failure } from "../../local/failure.js";
import { buildImage, builtSizes, writeArchive } from "../../local/images/image.js";
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
const kept = async (): Promise<string[]> =>
  (await readdir(join(directory, "images"))).filter((name) => name !== "blobs").sort();

/** What an archive has, by name. */
async function unpacked(archive: string): Promise<{ index: unknown; blobs: string[] }> {
  const place = await mkdtemp(join(directory, "unpacked-"));
  await must("tar", ["-xf", archive, "-C", place]);
  const names = (await readdir(join(place, "blobs/sha256"))).sort();
  for (const name of names) {
    const content = await readFile(join(place, "blobs/sha256", name));
    expect(createHash("sha256").update(content).digest("hex")).toBe(name);
  }
  return { index: JSON.parse(await readFile(join(place, "index.json"), "utf8")), blobs: names };
}

const digestOf = ({ reference }: BuiltImage): string => reference.split(":").at(-1)!;

describe("an archive", () => {
  it("has the blobs that its image names, each under the hash of its content", async () => {
    const image = await build("tool", "one");
    const archive = join(directory, "one.tar");
    await writeArchive(archive, [image]);
    const { index, blobs: names } = await unpacked(archive);
    expect(names).toHaveLength(4);
    expect(index).toEqual({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: `sha256:${digestOf(image)}`,
          size: expect.any(Number) as number,
          annotations: { "io.containerd.image.name": image.reference },
        },
      ],
    });
    expect(names).toContain(digestOf(image));
  });

  it("of several images has what they share once", async () => {
    const images = [await build("tool", "one"), await build("other", "two")];
    const archive = join(directory, "both.tar");
    await writeArchive(archive, images);
    const { index, blobs: names } = await unpacked(archive);
    // Of each its manifest, its configuration and its own layer.
    expect(names).toHaveLength(2 * 3 + 1);
    expect(index).toMatchObject({
      manifests: images.map((image) => ({ digest: `sha256:${digestOf(image)}` })),
    });
  });
});

describe("an image", () => {
  it("is made of the same blobs again, and is then the same", async () => {
    const first = await build("tool", "one");
    const before = await blobs();
    const [only] = await kept();
    await rm(join(directory, "images", only!));
    expect(await build("tool", "one")).toEqual(first);
    expect([await kept(), await blobs()]).toEqual([[only], before]);
  });

  it("has the size of all its blobs, and the last one built is the one that counts", async () => {
    const images = join(directory, "images");
    await build("tool", "one");
    const [first] = await kept();
    await utimes(join(images, first!), 1, 1);
    const { reference } = await build("tool", "of more than one");
    const archive = join(directory, "tool.tar");
    await writeArchive(archive, [{ name: "tool", reference, directory: images }]);
    const sizes = await must("tar", ["-tvf", archive, "--wildcards", "blobs/*"]);
    const bytes = sizes
      .trim()
      .split("\n")
      .reduce((sum, line) => sum + Number(line.trim().split(/ +/)[2]), 0);
    expect(await builtSizes(images)).toEqual(new Map([["tool", bytes]]));
    expect(await builtSizes(join(directory, "absent"))).toEqual(new Map());
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

  it("is told where an archive is written, and leaves nothing of it", async () => {
    const image = await build("tool", "one");
    const archives = join(directory, "archives");
    await mkdir(archives);
    await symlink("/dev/full", join(archives, "tool.tar.partial"));
    await expect(writeArchive(join(archives, "tool.tar"), [image])).rejects.toThrow(
      `The disk with ${archives} is full.`,
    );
    expect(await readdir(archives)).toEqual([]);
  });
});

describe("blobs", () => {
  it("are kept for as long as an image that has them, whichever it is", async () => {
    await build("other", "kept");
    const ofOther = await blobs();
    // Two layers, each with what says which it is, the configuration and the manifest.
    expect(ofOther).toHaveLength(6);
    for (let n = 1; n <= 3; n++) await build("tool", String(n));
    const before = await blobs();
    expect(before).toHaveLength(6 + 3 * 4);
    for (let n = 4; n <= 6; n++) await build("tool", String(n));
    expect(await kept()).toHaveLength(1 + 3);
    const after = await blobs();
    expect(after).toHaveLength(6 + 3 * 4);
    expect(after.filter((blob) => before.includes(blob))).toEqual(ofOther);
  });

  it("go with what a build that was killed has left", async () => {
    const left = [
      "blobs/layer-1.partial",
      "blobs/0123456789abcdef.7.partial",
      "tool-0123456789ab.json.7.partial",
    ];
    for (const name of left) await writeFile(join(directory, "images", name), "half");
    await build("tool", "one");
    expect(await blobs()).toHaveLength(6);
    expect(await kept()).toHaveLength(1);
  });
});
