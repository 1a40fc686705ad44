import { slotUser } from "./security-context.js";

/** A node that has local SSD, and how it is divided. */
export interface NodeWithSlots {
  /** The node's `kubernetes.io/hostname`; the slots' names begin with it. */
  readonly name: string;
  /** Decides the users of its slots, so it stays with the node and is never given to another. 0 to 1390. */
  readonly id: number;
  /** Slots on this node, at most 32, which is also how many extractions may run on it at once. */
  readonly slots: number;
  /** Parent of the slots' mount points on the node. */
  readonly directory: string;
}

/** Nodes that are alike, with storage that decides by itself on which of them a claim comes to lie. */
export interface PoolOfSlots {
  /** The slots' names begin with it. */
  readonly name: string;
  /** As of a node; a pool of more than 32 slots takes the following ids too, one for each 32. */
  readonly id: number;
  /** Slots of the whole pool. */
  readonly slots: number;
  /** Slots on each of its nodes, at most 32. */
  readonly slotsPerNode: number;
}

/** One worker's place on one node's SSD. */
export interface Slot {
  /** Name of the volume: what the catalogue, the cleanup job and the metrics call it. */
  readonly name: string;
  /** Slots of one group are on one node, and swept by one CronJob: the node's name, or the pool's and a number. */
  readonly group: string;
  /** Number of the group, for what groups are to do by turns. Groups of one pool, and nodes by id, count on. */
  readonly groupNumber: number;
  /** Null where the storage decides, when the claim is first used. */
  readonly node: string | null;
  /** The pool it belongs to; null for a slot of a declared node. */
  readonly pool: string | null;
  /** Its place among the slots of its group. */
  readonly indexOnNode: number;
  /** Mount point on the node; null where the storage decides. */
  readonly path: string | null;
  /** The claim that owns it, in the workers' namespace. */
  readonly claim: string;
  /** User and group that own it. */
  readonly runAsUser: number;
}

/** All slots, in the order of the nodes. What a slot is depends on its own node alone. */
export function slotsOf(nodes: readonly NodeWithSlots[]): Slot[] {
  return nodes.flatMap((node) =>
    Array.from({ length: node.slots }, (_, indexOnNode) => {
      const name = `${node.name.replaceAll(".", "-")}-slot-${indexOnNode}`;
      return {
        name,
        group: node.name,
        groupNumber: node.id,
        node: node.name,
        pool: null,
        indexOnNode,
        path: `${node.directory}/slot-${indexOnNode}`,
        claim: name,
        runAsUser: slotUser(node.id, indexOnNode),
      };
    }),
  );
}

/** All slots of pools, in their order. A pool that grows adds slots and changes none. */
export function slotsOfPools(pools: readonly PoolOfSlots[]): Slot[] {
  return pools.flatMap((pool) =>
    Array.from({ length: pool.slots }, (_, index) => {
      const name = `${pool.name}-slot-${index}`;
      return {
        name,
        group: `${pool.name}-${Math.floor(index / pool.slotsPerNode)}`,
        groupNumber: pool.id + Math.floor(index / pool.slotsPerNode),
        node: null,
        pool: pool.name,
        indexOnNode: index % pool.slotsPerNode,
        path: null,
        claim: name,
        runAsUser: slotUser(pool.id, index),
      };
    }),
  );
}
