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

/** An image whose blobs are on disk, each named by its digest; {@link writeArchive} is how it leaves. */
export interface BuiltImage {
  readonly name: string;
  /** `name@sha256:…`: the only form in which the stack refers to it. */
  readonly reference: string;
  /** The directory that it was built in. */
  readonly directory: string;
}

interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly file: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const HASHED_UP_TO = 32 * 2 ** 20;
/** Another checkout may be loading one of them. */
const KEPT_IMAGES = 3;
const UNFINISHED = ".partial";
/** Says that an image is kept: its name, and the beginning of its manifest's digest. */
const KEPT = /^(.+)-([0-9a-f]{12})\.json$/;
/** Says which blob a layer of these files is. */
const KNOWN_LAYER = /^layer-[0-9a-f]{32}\.json$/;

/** Prefix of every image built here. No registry is behind it. */
export const IMAGE_PREFIX = "localhost/video-storage";

/**
 * Builds an OCI image without a container engine. The same files give the same digest on any machine:
 * entries are sorted and carry no time and no owner. One at a time in a directory: what is of no image that is kept is removed.
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
  const manifest = await jsonBlob(blobs, {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: described("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map((layer) => described("application/vnd.oci.image.layer.v1.tar", layer)),
  });
  const reference = `${IMAGE_PREFIX}/${definition.name}@sha256:${manifest.digest}`;
  const kept = join(directory, `${definition.name}-${manifest.digest.slice(0, 12)}.json`);
  if (!existsSync(kept)) {
    const bytes = [config, manifest, ...layers].reduce((sum, { size }) => sum + size, 0);
    await writeWholeFile(kept, JSON.stringify({ reference, bytes }), 0o644);
    await keepNewest(directory, new RegExp(`^${definition.name}-[0-9a-f]{12}\\.json$`), KEPT_IMAGES);
    await dropUnused(directory, blobs);
  }
  return { name: definition.name, reference, directory };
}

/** The sizes in bytes of the images that were built in a directory, of each the one that was built last. */
export async function builtSizes(directory: string): Promise<Map<string, number>> {
  const newest = new Map<string, { bytes: number; at: number }>();
  for (const file of await readdir(directory).catch(() => [])) {
    const name = KEPT.exec(file)?.[1];
    if (name === undefined) continue;
    const { mtimeMs: at } = await stat(join(directory, file));
    if ((newest.get(name)?.at ?? -1) >= at) continue;
    const { bytes } = JSON.parse(await readFile(join(directory, file), "utf8")) as { bytes: number };
    newest.set(name, { bytes, at });
  }
  return new Map([...newest].map(([name, { bytes }]) => [name, bytes]));
}

/**
 * Writes images as one OCI archive, whole or not at all, in which a layer that several have is once: a container runtime
 * reads and hashes all that it is given, whatever it has. Throws {@link Failure} when the disk is full.
 */
export async function writeArchive(archive: string, images: readonly BuiltImage[]): Promise<void> {
  const manifests: object[] = [];
  const files = new Map<string, string>();
  for (const { reference, directory } of images) {
    const digest = reference.slice(reference.indexOf("@") + 1);
    const file = (of: string): string => join(directory, "blobs", of.slice("sha256:".length));
    const { size } = await stat(file(digest));
    const { config, layers } = JSON.parse(await readFile(file(digest), "utf8")) as Manifest;
    for (const blob of [digest, config.digest, ...layers.map((layer) => layer.digest)])
      files.set(blob, file(blob));
    // containerd names what it imports by this annotation, and a kubelet finds it by digest under that name.
    const annotations = { "io.containerd.image.name": reference };
    manifests.push({ mediaType: MANIFEST_TYPE, digest, size, annotations });
  }
  const temporary = `${archive}${UNFINISHED}`;
  await writeTar(temporary, async (tar) => {
    await entry(tar, { name: "oci-layout" }, '{"imageLayoutVersion":"1.0.0"}');
    await entry(tar, { name: "index.json" }, JSON.stringify({ schemaVersion: 2, manifests }));
    for (const [digest, source] of files)
      await addFile(tar, { path: `/blobs/${digest.replace(":", "/")}`, source });
  });
  await rename(temporary, archive);
}

function described(mediaType: string, { digest, size }: Blob): Descriptor {
  return { mediaType, digest: `sha256:${digest}`, size };
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

/** Removes the blobs of images that are not kept, and what builds that were killed have left. */
async function dropUnused(directory: string, blobs: string): Promise<void> {
  const names = await readdir(directory);
  const present = await readdir(blobs);
  const kept = names.flatMap((name) => KEPT.exec(name)?.[2] ?? []);
  const manifests = present.filter((blob) => kept.some((digest) => blob.startsWith(digest)));
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
