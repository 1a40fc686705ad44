import { slotUser } from "./security-context.js";

/** A node that has local SSD, and how it is divided. */
export interface NodeWithSlots {
  readonly name: string;
  /** Slots on this node, which is also how many extractions may run on it at once. */
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

/** All slots, in the order of the nodes. The order decides the users, so a new node goes to the end. */
export function slotsOf(nodes: readonly NodeWithSlots[]): Slot[] {
  return nodes
    .flatMap((node) => Array.from({ length: node.slots }, (_, indexOnNode) => ({ node, indexOnNode })))
    .map(({ node, indexOnNode }, index) => {
      const name = `${node.name.replaceAll(".", "-")}-slot-${indexOnNode}`;
      return {
        name,
        node: node.name,
        indexOnNode,
        path: `${node.directory}/slot-${indexOnNode}`,
        claim: name,
        runAsUser: slotUser(index),
      };
    });
}
