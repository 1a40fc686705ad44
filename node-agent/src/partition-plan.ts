import type { SlotSettings } from "@video-storage/contract/node-agent-config";

const MEBIBYTE = 2 ** 20;

/** A disk that new slots may go to. */
export interface Room {
  readonly device: string;
  /** First byte that is free, on a boundary of a MiB. */
  readonly startBytes: number;
  /** First byte behind what may be used. */
  readonly endBytes: number;
}

export interface PlannedPartition {
  readonly slot: SlotSettings;
  readonly startBytes: number;
  readonly bytes: number;
}

export interface PartitionPlan {
  /** What to make, by device. */
  readonly make: ReadonlyMap<string, readonly PlannedPartition[]>;
  /** Slots for which no disk has room. */
  readonly without: readonly SlotSettings[];
}

/** What a disk's own table and its copy at the end leave to partitions. */
export function usableRoom(device: string, bytes: number): Room {
  return { device, startBytes: MEBIBYTE, endBytes: bytes - MEBIBYTE };
}

/**
 * Places the slots that no disk has yet, each on the first disk with room. What is there stays where it is, so
 * growing a node moves nothing. `overhead` is what encryption takes of each partition, in bytes.
 */
export function planPartitions(
  missing: readonly SlotSettings[],
  rooms: readonly Room[],
  overhead: number,
): PartitionPlan {
  const next = new Map(rooms.map(({ device, startBytes }) => [device, upToMebibyte(startBytes)]));
  const make = new Map<string, PlannedPartition[]>();
  const without: SlotSettings[] = [];
  for (const slot of missing) {
    const bytes = slot.bytes + overhead;
    const room = rooms.find(({ device, endBytes }) => next.get(device)! + bytes <= endBytes);
    if (!room) {
      without.push(slot);
      continue;
    }
    const startBytes = next.get(room.device)!;
    make.set(room.device, [...(make.get(room.device) ?? []), { slot, startBytes, bytes }]);
    next.set(room.device, upToMebibyte(startBytes + bytes));
  }
  return { make, without };
}

function upToMebibyte(bytes: number): number {
  return Math.ceil(bytes / MEBIBYTE) * MEBIBYTE;
}
