import { rm } from "node:fs/promises";
import { join } from "node:path";

import type { Programs } from "../build/programs.js";
import { writeArchive } from "../images/image.js";
import type { BuiltImage } from "../images/image.js";
import type { Report } from "../progress.js";
import type { Sandbox } from "./sandbox.js";

/** Runs containerd's own client on a node's images, and returns what it prints. */
export type ContainerdClient = (args: readonly string[]) => Promise<string>;

export function containerdClient(sandbox: Sandbox, programs: Programs): ContainerdClient {
  const ctr = join(programs["runtime"]!, "ctr");
  return (args) => sandbox.must(ctr, ["--namespace", "k8s.io", ...args]);
}

/** The references of the images that a node has. */
export async function presentImages(ctr: ContainerdClient): Promise<Set<string>> {
  return new Set((await ctr(["images", "list", "--quiet"])).split("\n"));
}

/** Brings images to nodes of our own, each node's together; they pass through a file in the environment's directory. */
export async function importImages(
  stateDirectory: string,
  nodes: readonly { readonly name: string; readonly ctr: ContainerdClient }[],
  images: readonly BuiltImage[],
  report: Report = () => {},
): Promise<void> {
  const archive = join(stateDirectory, "images.tar");
  try {
    report("writing them as one archive");
    await writeArchive(archive, images);
    for (const { name, ctr } of nodes) {
      report(`${images.length} on ${name}`);
      await ctr(["images", "import", "--local", archive]);
    }
  } finally {
    await rm(archive, { force: true });
  }
}
