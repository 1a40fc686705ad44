import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import { pack } from "tar-stream";
import type { Pack } from "tar-stream";

import { keepNewest } from "../build/kept.js";

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

/** Prefix of every image built here. No registry is behind it. */
export const IMAGE_PREFIX = "localhost/video-storage";

/**
 * Builds an OCI image without a container engine. The same files give the same digest on any machine:
 * entries are sorted and carry no time and no owner.
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
  const temporary = join(blobs, `layer-${process.pid}.partial`);
  const tar = pack();
  const hash = createHash("sha256");
  tar.on("data", (chunk) => hash.update(chunk as Buffer));
  const written = pipeline(tar, createWriteStream(temporary));
  await addDirectories(tar, files);
  for (const file of files) await addFile(tar, file);
  tar.finalize();
  await written;
  const digest = hash.digest("hex");
  const blob = { digest, size: (await stat(temporary)).size, file: join(blobs, digest) };
  await rename(temporary, blob.file);
  await writeFile(known, JSON.stringify(blob));
  return blob;
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
  await writeFile(file, content);
  return { digest, size: Buffer.byteLength(content), file };
}

async function writeArchive(archive: string, blobs: readonly Blob[], index: string): Promise<void> {
  const temporary = `${archive}.partial`;
  const tar = pack();
  const written = pipeline(tar, createWriteStream(temporary));
  await entry(tar, { name: "oci-layout" }, '{"imageLayoutVersion":"1.0.0"}');
  await entry(tar, { name: "index.json" }, index);
  for (const { digest, file } of blobs) await addFile(tar, { path: `/blobs/sha256/${digest}`, source: file });
  tar.finalize();
  await written;
  await rename(temporary, archive);
}
