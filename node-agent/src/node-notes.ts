import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";
import type { V1Node } from "@kubernetes/client-node";

import type { Preparation } from "./prepare.js";
import { KEYS } from "./volume-object.js";

const LONGEST_NOTE = 4096;

export interface NodeNotes {
  readonly labels: Record<string, string | null>;
  readonly annotations: Record<string, string | null>;
}

/** What a node says of itself: what was made, on what, and how it is encrypted. Null takes an old word back. */
export function nodeNotes(config: NodeAgentConfig, { layout, ready, problems }: Preparation): NodeNotes {
  const some = layout === "volume-group" || ready.size > 0;
  const prepared = problems.size === 0 ? "true" : some ? "partly" : "false";
  const text = [...problems].map(([of, reason]) => `${of}: ${reason}`).join("\n");
  return {
    labels: {
      [KEYS.prepared]: prepared,
      [KEYS.slots]: layout === "slots" ? String(ready.size) : null,
      [KEYS.medium]: layout === "volume-group" ? "volume-group" : config.medium.kind,
      [KEYS.encryption]: config.encryption.kind,
    },
    annotations: { [KEYS.problems]: text === "" ? null : text.slice(0, LONGEST_NOTE) },
  };
}

/** Whether the node says exactly this already. */
export function says(node: V1Node, notes: NodeNotes): boolean {
  const same = (wanted: Record<string, string | null>, found: Record<string, string> = {}) =>
    Object.entries(wanted).every(([key, value]) => (found[key] ?? null) === value);
  return same(notes.labels, node.metadata?.labels) && same(notes.annotations, node.metadata?.annotations);
}
