import { readdir } from "node:fs/promises";
import { join } from "node:path";

import type { DebianPrograms } from "../build/debian-packages.js";
import type { Programs } from "../build/programs.js";
import { must } from "../command.js";
import { PROJECT } from "../paths.js";
import { buildImage } from "./image.js";
import type { BuiltImage, ImageDefinition, Layer } from "./image.js";

/** Every image that the local environment runs, by what it is for. */
export interface LocalImages {
  readonly pause: BuiltImage;
  readonly coredns: BuiltImage;
  readonly minio: BuiltImage;
  readonly minioClient: BuiltImage;
  readonly cleanupJob: BuiltImage;
  readonly catalogue: BuiltImage;
  readonly demoWorker: BuiltImage;
}

const NON_ROOT = "10000:10000";

/** Builds the images from the built programs, the running Node.js and the bundles; what is unchanged is kept. */
export async function buildImages(
  directory: string,
  programs: Programs,
  debian: DebianPrograms,
  report: (detail: string) => void,
): Promise<LocalImages> {
  const busybox = await debian.find("busybox");
  const shell: Layer = [
    { path: "/bin/busybox", source: busybox, mode: 0o755 },
    ...[
      "sh",
      "cat",
      "sleep",
      "ls",
      "mkdir",
      "dd",
      "df",
      "id",
      "wget",
      "nc",
      "sha256sum",
      "printf",
      "test",
      "env",
    ].map((name) => ({
      path: `/bin/${name}`,
      linkTo: "/bin/busybox",
    })),
    { path: "/tmp/.keep", content: "" },
  ];
  const node = await nodeLayer();
  const build = (definition: ImageDefinition): Promise<BuiltImage> => {
    report(definition.name);
    return buildImage(directory, definition);
  };
  const program = (path: string, source: string): Layer => [{ path, source, mode: 0o755 }];
  const nodeProgram = async (
    name: string,
    entry: string,
    command: readonly string[],
  ): Promise<BuiltImage> => {
    report(`${name}: bundling`);
    const output = join(directory, "bundles", name);
    await must("node", [...command, "--out", output], { cwd: PROJECT });
    return build({
      name,
      layers: [node, await directoryLayer(output, "/app")],
      entrypoint: ["/usr/local/bin/node", `/app/${entry}`],
      user: NON_ROOT,
    });
  };
  return {
    pause: await build({
      name: "pause",
      layers: [shell],
      entrypoint: ["/bin/sleep", "2147483647"],
      user: "65534:65534",
    }),
    coredns: await build({
      name: "coredns",
      layers: [program("/usr/local/bin/coredns", join(programs["coredns"]!, "coredns"))],
      entrypoint: ["/usr/local/bin/coredns"],
      user: NON_ROOT,
    }),
    minio: await build({
      name: "minio",
      layers: [program("/usr/local/bin/minio", join(programs["minio"]!, "minio"))],
      entrypoint: ["/usr/local/bin/minio"],
      user: NON_ROOT,
    }),
    minioClient: await build({
      name: "minio-client",
      layers: [shell, program("/usr/local/bin/mc", join(programs["mc"]!, "mc"))],
      entrypoint: ["/bin/sh"],
      user: NON_ROOT,
    }),
    cleanupJob: await nodeProgram("cleanup-job", "cleanup-job.mjs", ["cleanup-job/build.mjs"]),
    catalogue: await nodeProgram("catalogue", "program/catalogue.mjs", ["catalogue/build.mjs"]),
    demoWorker: await nodeProgram("demo-worker", "demo-worker.mjs", ["local/demo/build.mjs"]),
  };
}

/** The Node.js that runs this, with the libraries that it is linked to. */
async function nodeLayer(): Promise<Layer> {
  const linked = await must("ldd", [process.execPath]);
  const libraries = [...linked.matchAll(/(?:=> )?(\/[^\s]+) \(0x/g)].map((match) => match[1]!);
  const accounts = "root:x:0:0:root:/:/sbin/nologin\nvideo:x:10000:10000:video:/tmp:/sbin/nologin\n";
  return [
    { path: "/usr/local/bin/node", source: process.execPath, mode: 0o755 },
    ...libraries.map((source) => ({ path: source, source, mode: 0o755 })),
    { path: "/etc/passwd", content: accounts },
    { path: "/etc/group", content: "root:x:0:\nvideo:x:10000:\n" },
    { path: "/etc/nsswitch.conf", content: "hosts: files dns\n" },
    { path: "/tmp/.keep", content: "" },
  ];
}

async function directoryLayer(directory: string, target: string): Promise<Layer> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const source = join(entry.parentPath, entry.name);
      return { path: join(target, source.slice(directory.length)), source };
    });
}
