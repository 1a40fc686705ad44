import { slotUser } from "./security-context.js";

/** A node that has local SSD, and how it is divided. */
export interface NodeWithSlots {
  readonly name: string;
  /** Decides the users of its slots, so it stays with the node and is never given to another. 0 to 1390. */
  readonly id: number;
  /** Slots on this node, at most 32, which is also how many extractions may run on it at once. */
  readonly slots: number;
  /** Parent of the slots' mount points on the node. */
  readonly directory: string;
}

/** One worker's place on one node's SSD. */
export interface Slot {
  /** Name of the volume: what the catalogue, the cleanup job and the metrics call it. */
  readonly name: string;
  readonly node: string;
  /** Its place among the slots of its node. */
  readonly indexOnNode: number;
  /** Mount point on the node. */
  readonly path: string;
  /** The claim that owns it, in the workers' namespace. */
  readonly claim: string;
  /** User and group that own it. */
  readonly runAsUser: number;
}

/** All slots, in the order of the nodes. What a slot is depends on its own node alone. */
export function slotsOf(nodes: readonly NodeWithSlots[]): Slot[] {
  return nodes
    .flatMap((node) => Array.from({ length: node.slots }, (_, indexOnNode) => ({ node, indexOnNode })))
    .map(({ node, indexOnNode }) => {
      const name = `${node.name.replaceAll(".", "-")}-slot-${indexOnNode}`;
      return {
        name,
        node: node.name,
        indexOnNode,
        path: `${node.directory}/slot-${indexOnNode}`,
        claim: name,
        runAsUser: slotUser(node.id, indexOnNode),
      };
    });
}
