import { readdir, readlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { DebianPrograms } from "../build/debian-packages.js";
import type { Programs } from "../build/programs.js";
import { must } from "../command.js";
import { nativeDirectory } from "../environment/postgres.js";
import { inTurn } from "../exclusive.js";
import { Failure } from "../failure.js";
import { INPUTS_FILE, fingerprintOfSources, programBundle } from "./bundles.js";
import { buildImage } from "./image.js";
import type { BuiltImage, ImageDefinition, Layer } from "./image.js";

/** What the images are made from, and where they go. */
export interface ImageSources {
  readonly directory: string;
  readonly programs: Programs;
  readonly debian: DebianPrograms;
}

/** What a node of a cluster of our own needs before it runs anything. */
export interface NodeImages {
  readonly pause: BuiltImage;
  readonly coredns: BuiltImage;
}

/** What the stack and its workers run. */
export interface StackImages {
  readonly minio: BuiltImage;
  readonly minioClient: BuiltImage;
  readonly objectStorageProbe: BuiltImage;
  readonly cleanupJob: BuiltImage;
  readonly nodeAgent: BuiltImage;
  readonly catalogue: BuiltImage;
  readonly demoWorker: BuiltImage;
  readonly monitor: BuiltImage;
  readonly pushgateway: BuiltImage;
}

/** What runs beside the stack on a cluster that is not of our own. */
export interface ServiceImages {
  readonly postgres: BuiltImage;
  readonly prometheus: BuiltImage;
  readonly nodeExporter: BuiltImage;
  readonly nodeDisks: BuiltImage;
  readonly videoSource: BuiltImage;
}

export const NON_ROOT = "10000:10000";

type Report = (detail: string) => void;

/** Builds what a node of our own needs; what is unchanged is kept. */
export async function buildNodeImages(sources: ImageSources, report: Report): Promise<NodeImages> {
  const { programs } = sources;
  const build = builder(sources, report);
  return {
    pause: await build({
      name: "pause",
      layers: [await shellLayer(sources)],
      entrypoint: ["/bin/sleep", "2147483647"],
      user: "65534:65534",
    }),
    coredns: await build({
      name: "coredns",
      layers: [program("/usr/local/bin/coredns", join(programs["coredns"]!, "coredns"))],
      entrypoint: ["/usr/local/bin/coredns"],
      user: NON_ROOT,
    }),
  };
}

/** Builds the stack's images from the built programs, the running Node.js and the bundles; what is unchanged is kept. */
export async function buildStackImages(from: ImageSources, report: Report): Promise<StackImages> {
  const { directory, programs } = from;
  const node = await nodeLayer();
  const build = builder(from, report);
  const sources = await fingerprintOfSources();
  const nodeProgram = async (
    name: string,
    entry: string,
    more: { readonly script?: string; readonly layers?: readonly Layer[]; readonly user?: string } = {},
  ): Promise<BuiltImage> => {
    const bundled = await programBundle(directory, { name, sources, script: more.script }, () =>
      report(`${name}: bundling`),
    );
    return build({
      name,
      layers: [node, ...(more.layers ?? []), await bundleLayer(bundled)],
      entrypoint: ["/usr/local/bin/node", `/app/${entry}`],
      // Where libraries ask for a home, a slot's user has none.
      env: ["HOME=/tmp"],
      user: more.user ?? NON_ROOT,
    });
  };
  return {
    minio: await build({
      name: "minio",
      layers: [program("/usr/local/bin/minio", join(programs["minio"]!, "minio"))],
      entrypoint: ["/usr/local/bin/minio"],
      user: NON_ROOT,
    }),
    minioClient: await build({
      name: "minio-client",
      layers: [await shellLayer(from), program("/usr/local/bin/mc", join(programs["mc"]!, "mc"))],
      entrypoint: ["/bin/sh"],
      user: NON_ROOT,
    }),
    objectStorageProbe: await nodeProgram("object-storage-probe", "object-storage-probe.mjs"),
    cleanupJob: await nodeProgram("cleanup-job", "cleanup-job.mjs"),
    catalogue: await nodeProgram("catalogue", "program/catalogue.mjs"),
    nodeAgent: await nodeProgram("node-agent", "node-agent.mjs", {
      layers: [await shellLayer(from), await linkedPrograms(from, NODE_AGENT_PROGRAMS)],
      user: "0:0",
    }),
    demoWorker: await nodeProgram("demo-worker", "demo-worker.mjs", { script: "local/demo/build.mjs" }),
    monitor: await nodeProgram("monitor", "monitor.mjs"),
    pushgateway: await build({
      name: "pushgateway",
      layers: [await linkedProgram(from, "prometheus-pushgateway")],
      entrypoint: ["/usr/bin/prometheus-pushgateway"],
      user: NON_ROOT,
    }),
  };
}

/** Builds what stands in a cluster for the database and the monitoring that a team has; what is unchanged is kept. */
export async function buildServiceImages(sources: ImageSources, report: Report): Promise<ServiceImages> {
  const build = builder(sources, report);
  const shell = await shellLayer(sources);
  const postgres = nativeDirectory();
  const linked = (name: string): Promise<Layer> => linkedProgram(sources, name);
  const server = fileURLToPath(new URL("../demo/source-server.mjs", import.meta.url));
  return {
    postgres: await build({
      name: "postgres",
      layers: [
        shell,
        links(FILE_COMMANDS),
        await accountsAndLibraries([join(postgres, "bin/postgres"), join(postgres, "bin/initdb")], postgres),
        (await directoryLayer(postgres, "/opt/postgres")).filter(({ path }) => !path.endsWith(".a")),
      ],
      entrypoint: ["/bin/sh"],
      user: NON_ROOT,
    }),
    prometheus: await build({
      name: "prometheus",
      layers: [await linked("prometheus")],
      entrypoint: ["/usr/bin/prometheus"],
      user: NON_ROOT,
    }),
    nodeExporter: await build({
      name: "node-exporter",
      layers: [await linked("prometheus-node-exporter")],
      entrypoint: ["/usr/bin/prometheus-node-exporter"],
      user: NON_ROOT,
    }),
    nodeDisks: await build({
      name: "node-disks",
      layers: [shell, links(FILE_COMMANDS), unique((await Promise.all(DISK_PROGRAMS.map(linked))).flat())],
      entrypoint: ["/bin/sh"],
      user: "0:0",
    }),
    videoSource: await build({
      name: "video-source",
      layers: [await nodeLayer(), [{ path: "/app/source-server.mjs", source: server }]],
      entrypoint: ["/usr/local/bin/node", "/app/source-server.mjs"],
      user: NON_ROOT,
    }),
  };
}

/** A program of the distribution, unpacked or installed, with its libraries. */
async function linkedProgram({ debian }: ImageSources, name: string): Promise<Layer> {
  const source = await debian.find(name);
  return [...program(`/usr/bin/${name}`, source), ...(await librariesOf([source], debian.libraries))];
}

/** What makes and mounts a filesystem in a file; busybox makes no ext4. */
const DISK_PROGRAMS = ["mkfs.ext4", "mount", "umount", "mountpoint", "losetup"] as const;

/** What the node agent starts, but for LVM and the TPM, which nothing here has. */
const NODE_AGENT_PROGRAMS =
  "blkdiscard blkid cryptsetup e2label fallocate losetup mkfs.ext4 mkfs.xfs mount partx sfdisk umount wipefs xfs_db".split(
    " ",
  );

/** Programs of the distribution, unpacked or installed, with their libraries. */
async function linkedPrograms({ debian }: ImageSources, names: readonly string[]): Promise<Layer> {
  const sources = await Promise.all(names.map((name) => debian.find(name)));
  return unique([
    ...names.flatMap((name, index) => program(`/usr/sbin/${name}`, sources[index]!)),
    ...(await librariesOf(sources, debian.libraries)),
  ]);
}

const SHELL_COMMANDS = "sh cat sleep ls mkdir dd df id wget nc sha256sum printf test env".split(" ");

/** What scripts need that make files and devices. */
const FILE_COMMANDS = "chmod chown mknod mv rm rmdir seq truncate".split(" ");

export async function shellLayer({ debian }: ImageSources): Promise<Layer> {
  return [
    { path: "/bin/busybox", source: await debian.find("busybox"), mode: 0o755 },
    ...links(SHELL_COMMANDS),
    { path: "/tmp/.keep", content: "" },
  ];
}

export function links(names: readonly string[]): Layer {
  return names.map((name) => ({ path: `/bin/${name}`, linkTo: "/bin/busybox" }));
}

export function program(path: string, source: string): Layer {
  return [{ path, source, mode: 0o755 }];
}

export function builder({ directory }: ImageSources, report: Report) {
  return (definition: ImageDefinition): Promise<BuiltImage> => {
    report(definition.name);
    return inTurn("images", () => buildImage(directory, definition));
  };
}

/** The Node.js that runs this, with the libraries that it is linked to. */
export async function nodeLayer(): Promise<Layer> {
  return [
    { path: "/usr/local/bin/node", source: process.execPath, mode: 0o755 },
    ...(await accountsAndLibraries([process.execPath])),
    { path: "/etc/nsswitch.conf", content: "hosts: files dns\n" },
    { path: "/tmp/.keep", content: "" },
  ];
}

/**
 * A name for the user that images run as, and the libraries of some programs but for those below a directory that goes into
 * the image whole.
 */
export async function accountsAndLibraries(programs: readonly string[], except?: string): Promise<Layer> {
  const accounts = "root:x:0:0:root:/:/sbin/nologin\nvideo:x:10000:10000:video:/tmp:/sbin/nologin\n";
  return [
    ...(await librariesOf(programs)).filter(({ path }) => except === undefined || !path.startsWith(except)),
    { path: "/etc/passwd", content: accounts },
    { path: "/etc/group", content: "root:x:0:\nvideo:x:10000:\n" },
  ];
}

/**
 * The libraries that programs are linked to, where the linker of an image looks for them. They may be unpacked, below
 * directories in the form of LD_LIBRARY_PATH, or installed. Throws {@link Failure} when one is missing.
 */
export async function librariesOf(programs: readonly string[], unpacked = ""): Promise<Layer> {
  const directories = unpacked.split(":").filter((directory) => directory !== "");
  const env = directories.length > 0 ? { ...process.env, LD_LIBRARY_PATH: unpacked } : process.env;
  // One by one, to know of which one is missing: ldd exits with 0 all the same.
  const linked = await Promise.all(programs.map((file) => must("ldd", [file], { env })));
  programs.forEach((file, index) => requireAll(file, linked[index]!));
  const libraries = linked.flatMap((said) =>
    [...said.matchAll(/(?:=> )?(\/[^\s]+) \(0x/g)].map((match) => match[1]!),
  );
  return unique(
    libraries.map((source) => {
      const place = directories.find((directory) => source.startsWith(`${directory}/`));
      const path = place === undefined ? source : `/usr/lib/${source.slice(dirname(place).length + 1)}`;
      return { path, source, mode: 0o755 };
    }),
  );
}

function requireAll(file: string, linked: string): void {
  const missing = /^\s*(.+?)(?: =>)? not found/m.exec(linked)?.[1];
  if (missing === undefined) return;
  throw new Failure(
    `The library ${missing} of the program ${file} was not found.`,
    "Install the package that has it (apt-get install) and start again.",
  );
}

export function unique(layer: Layer): Layer {
  return [...new Map(layer.map((file) => [file.path, file])).values()];
}

/** What an image has of a bundle that is kept. */
export async function bundleLayer(bundle: string): Promise<Layer> {
  const files = await directoryLayer(bundle, "/app");
  return files.filter(({ source }) => source !== join(bundle, INPUTS_FILE));
}

export async function directoryLayer(directory: string, target: string): Promise<Layer> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink());
  return Promise.all(
    files.map(async (entry) => {
      const source = join(entry.parentPath, entry.name);
      const path = join(target, source.slice(directory.length));
      return entry.isSymbolicLink() ? { path, linkTo: await readlink(source) } : { path, source };
    }),
  );
}
