import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";

import { pack } from "tar-stream";
import type { Pack } from "tar-stream";

import { keepNewest } from "../build/kept.js";
import { Failure } from "../failure.js";
import { writeWholeFile } from "../whole-file.js";

/** One file of an image: from a file here, or with a given content; or a link. */
export interface ImageFile {
  /** Absolute path in the image. */
  readonly path: string;
  readonly source?: string;
  readonly content?: string;
  readonly linkTo?: string;
  readonly mode?: number;
}

/** Files that images may share; a layer is stored and unpacked once however many images have it. */
export type Layer = readonly ImageFile[];

/** What an image is made of. */
export interface ImageDefinition {
  /** Last part of its name, below localhost/video-storage/. */
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly entrypoint: readonly string[];
  /** uid[:gid] that its process has by default. */
  readonly user: string;
  readonly env?: readonly string[];
}

/** An image as an OCI archive on disk. */
export interface BuiltImage {
  readonly name: string;
  /** `name@sha256:…`: the only form in which the stack refers to it. */
  readonly reference: string;
  readonly archive: string;
}

interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly file: string;
}

const HASHED_UP_TO = 32 * 2 ** 20;
/** Another checkout may be loading one of them. */
const KEPT_ARCHIVES = 3;
const UNFINISHED = ".partial";
/** Named by its manifest. */
const ARCHIVE = /-([0-9a-f]{12})\.tar$/;
/** Says which blob a layer of these files is. */
const KNOWN_LAYER = /^layer-[0-9a-f]{32}\.json$/;

/** Prefix of every image built here. No registry is behind it. */
export const IMAGE_PREFIX = "localhost/video-storage";

/**
 * Builds an OCI image without a container engine. The same files give the same digest on any machine:
 * entries are sorted and carry no time and no owner. One at a time in a directory: what no archive names is removed.
 */
export async function buildImage(directory: string, definition: ImageDefinition): Promise<BuiltImage> {
  const blobs = join(directory, "blobs");
  await mkdir(blobs, { recursive: true });
  const layers: Blob[] = [];
  for (const layer of definition.layers) layers.push(await layerBlob(blobs, layer));
  const config = await jsonBlob(blobs, {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {
      User: definition.user,
      Entrypoint: definition.entrypoint,
      Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...(definition.env ?? [])],
      WorkingDir: "/",
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  });
  const describe = (mediaType: string, { digest, size }: Blob): object => ({
    mediaType,
    digest: `sha256:${digest}`,
    size,
  });
  const manifest = await jsonBlob(blobs, {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: describe("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map((layer) => describe("application/vnd.oci.image.layer.v1.tar", layer)),
  });
  const name = `${IMAGE_PREFIX}/${definition.name}`;
  const archive = join(directory, `${definition.name}-${manifest.digest.slice(0, 12)}.tar`);
  const reference = `${name}@sha256:${manifest.digest}`;
  if (!existsSync(archive)) {
    const entry = describe("application/vnd.oci.image.manifest.v1+json", manifest);
    // containerd names what it imports by this annotation, and a kubelet finds it by digest under that name.
    const index = {
      schemaVersion: 2,
      manifests: [{ ...entry, annotations: { "io.containerd.image.name": reference } }],
    };
    await writeArchive(archive, [config, manifest, ...layers], JSON.stringify(index));
    await keepNewest(directory, new RegExp(`^${definition.name}-[0-9a-f]{12}\\.tar$`), KEPT_ARCHIVES);
    await dropUnused(directory, blobs);
  }
  return { name: definition.name, reference, archive };
}

async function layerBlob(blobs: string, layer: Layer): Promise<Blob> {
  const files = [...layer].sort((a, b) => (a.path < b.path ? -1 : 1));
  const identity = createHash("sha256");
  for (const file of files) identity.update(JSON.stringify(await identityOf(file)));
  const known = join(blobs, `layer-${identity.digest("hex").slice(0, 32)}.json`);
  if (existsSync(known)) {
    const blob = JSON.parse(await readFile(known, "utf8")) as Blob;
    if (existsSync(blob.file)) return blob;
  }
  const temporary = join(blobs, `layer-${process.pid}${UNFINISHED}`);
  const hash = createHash("sha256");
  await writeTar(temporary, async (tar) => {
    tar.on("data", (chunk) => hash.update(chunk as Buffer));
    await addDirectories(tar, files);
    for (const file of files) await addFile(tar, file);
  });
  const digest = hash.digest("hex");
  const blob = { digest, size: (await stat(temporary)).size, file: join(blobs, digest) };
  await rename(temporary, blob.file);
  await writeWholeFile(known, JSON.stringify(blob), 0o644);
  return blob;
}

/** Writes an archive whole, or leaves nothing. Throws {@link Failure} when the disk is full. */
async function writeTar(path: string, add: (tar: Pack) => Promise<void>): Promise<void> {
  const file = await open(path, "w");
  const tar = pack();
  const adding = add(tar).then(
    () => tar.finalize(),
    (error: Error) => {
      tar.destroy(error);
      throw error;
    },
  );
  try {
    // Both at once: a write that fails while something is being added would be awaited by nobody, and end the process.
    await Promise.all([pipeline(tar, file.createWriteStream()), adding]);
  } catch (error) {
    await rm(path, { force: true });
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    throw new Failure(
      `The disk with ${dirname(path)} is full.`,
      "Free some of it (npm run destroy -- --cache removes what was built), and start again.",
    );
  }
}

/** Hashing 130 MB again at each start would cost a second; of a large file, size and time tell as much. */
async function identityOf({ source, ...file }: ImageFile): Promise<unknown[]> {
  if (source === undefined) return [file];
  const { size, mode, mtimeMs } = await stat(source);
  if (size > HASHED_UP_TO) return [file, source, size, mode, mtimeMs];
  return [
    file,
    mode,
    createHash("sha256")
      .update(await readFile(source))
      .digest("hex"),
  ];
}

async function addDirectories(tar: Pack, files: readonly ImageFile[]): Promise<void> {
  const directories = new Set<string>();
  for (const { path } of files) {
    const parts = path.split("/").slice(1, -1);
    parts.forEach((_, i) => directories.add(parts.slice(0, i + 1).join("/")));
  }
  for (const name of [...directories].sort()) {
    await entry(tar, { name: `${name}/`, type: "directory", mode: name === "tmp" ? 0o1777 : 0o755 });
  }
}

async function addFile(tar: Pack, file: ImageFile): Promise<void> {
  const name = file.path.slice(1);
  if (file.linkTo !== undefined)
    return entry(tar, { name, type: "symlink", linkname: file.linkTo, mode: 0o777 });
  if (file.content !== undefined) return entry(tar, { name, mode: file.mode ?? 0o644 }, file.content);
  const { size, mode } = await stat(file.source!);
  const target = tar.entry({
    name,
    size,
    mode: file.mode ?? (mode & 0o111 ? 0o755 : 0o644),
    mtime: new Date(0),
  });
  await pipeline(createReadStream(file.source!), target);
}

function entry(tar: Pack, header: Parameters<Pack["entry"]>[0], content = ""): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ ...header, mtime: new Date(0) }, content, (error) => (error ? reject(error) : resolve()));
  });
}

async function jsonBlob(blobs: string, value: object): Promise<Blob> {
  const content = JSON.stringify(value);
  const digest = createHash("sha256").update(content).digest("hex");
  const file = join(blobs, digest);
  await writeWholeFile(file, content, 0o644);
  return { digest, size: Buffer.byteLength(content), file };
}

async function writeArchive(archive: string, blobs: readonly Blob[], index: string): Promise<void> {
  const temporary = `${archive}${UNFINISHED}`;
  await writeTar(temporary, async (tar) => {
    await entry(tar, { name: "oci-layout" }, '{"imageLayoutVersion":"1.0.0"}');
    await entry(tar, { name: "index.json" }, index);
    for (const { digest, file } of blobs)
      await addFile(tar, { path: `/blobs/sha256/${digest}`, source: file });
  });
  await rename(temporary, archive);
}

/** Removes the blobs that no archive names, and what builds that were killed have left. */
async function dropUnused(directory: string, blobs: string): Promise<void> {
  const names = await readdir(directory);
  const present = await readdir(blobs);
  const archived = names.flatMap((name) => ARCHIVE.exec(name)?.[1] ?? []);
  const manifests = present.filter((blob) => archived.some((digest) => blob.startsWith(digest)));
  const used = new Set(manifests);
  for (const manifest of manifests)
    for (const digest of await digestsIn(join(blobs, manifest))) used.add(digest);
  const isUsed = async (blob: string): Promise<boolean> =>
    KNOWN_LAYER.test(blob)
      ? (await digestsIn(join(blobs, blob))).some((digest) => used.has(digest))
      : used.has(blob);
  for (const blob of present) if (!(await isUsed(blob))) await rm(join(blobs, blob));
  for (const name of names) if (name.endsWith(UNFINISHED)) await rm(join(directory, name));
}

async function digestsIn(file: string): Promise<string[]> {
  return (await readFile(file, "utf8")).match(/\b[0-9a-f]{64}\b/g) ?? [];
}
