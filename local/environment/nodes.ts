import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { Failure } from "../failure.js";

/** The most nodes that an environment may have: so many ranges for pods does its network hold. */
export const MOST_NODES = 16;

/** A node of an environment, as Kubernetes knows it. Node 0 has the control plane and the database too. */
export function nodeName(index: number): string {
  return `node-${index}`;
}

/** Where one node keeps its own: its kubelet's and containerd's directories, disks and logs. */
export function nodeDirectory(stateDirectory: string, index: number): string {
  return index === 0 ? stateDirectory : join(nodesDirectory(stateDirectory), nodeName(index));
}

/** How many nodes an environment was started with; 1 before its first start. */
export async function keptNodes(stateDirectory: string): Promise<number> {
  return 1 + (await readdir(nodesDirectory(stateDirectory)).catch(() => [])).length;
}

/**
 * How many nodes a start brings up, as it was asked for. Throws {@link Failure} for fewer than there are: their jobs
 * would be lost.
 */
export async function chooseNodes(stateDirectory: string, asked: string | undefined): Promise<number> {
  const kept = await keptNodes(stateDirectory);
  if (asked === undefined) return kept;
  const wanted = /^\d+$/.test(asked) ? Number(asked) : 0;
  if (wanted < 1 || wanted > MOST_NODES)
    throw new Failure(
      `--nodes ${asked} is no number of nodes that an environment can have.`,
      `Give one from 1 to ${MOST_NODES}.`,
    );
  if (wanted >= kept) return wanted;
  throw new Failure(
    `This environment has ${kept} nodes, and --nodes ${wanted} would leave the jobs on the others behind.`,
    "Run npm run destroy first, or leave --nodes out.",
  );
}

function nodesDirectory(stateDirectory: string): string {
  return join(stateDirectory, "nodes");
}
