import type { V1Node } from "@kubernetes/client-node";

import { Failure } from "../../failure.js";

/** Label by which pods and volumes are bound to a node. */
export const HOSTNAME_LABEL = "kubernetes.io/hostname";

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Nodes that take pods and run programs of this machine's architecture, by their host name label, in order. */
export function usableNodes(nodes: readonly V1Node[], architecture: string = process.arch): string[] {
  const wanted = ARCHITECTURES[architecture] ?? architecture;
  return nodes
    .filter(({ spec, status }) => {
      const ready = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
      const repelling = spec?.taints?.some(({ effect }) => effect === "NoSchedule" || effect === "NoExecute");
      const { architecture: its, operatingSystem } = status?.nodeInfo ?? {};
      return ready && !repelling && !spec?.unschedulable && its === wanted && operatingSystem === "linux";
    })
    .map(({ metadata }) => metadata?.labels?.[HOSTNAME_LABEL] ?? metadata!.name!)
    .sort();
}

/**
 * The node that has the slots: the first that is usable, and then always the same, because its data is there.
 * Throws {@link Failure} where there is none.
 */
export function chooseNode(kept: string | undefined, usable: readonly string[]): string {
  const node = kept ?? usable[0];
  if (node !== undefined && usable.includes(node)) return node;
  throw new Failure(
    kept !== undefined
      ? `The node ${kept}, which has this environment's slots, is not ready for pods.`
      : `The cluster has no ready, schedulable Linux node of this machine's architecture (${process.arch}).`,
    "See kubectl get nodes.",
  );
}
