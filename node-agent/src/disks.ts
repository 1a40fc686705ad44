import { mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

import type { SlotSettings } from "@video-storage/contract/node-agent-config";
import { deviceBytes, findDevices, isUnused, isZeroAtItsEnds } from "./block-devices.js";
import type { BlockDevice } from "./block-devices.js";
import { planPartitions, usableRoom } from "./partition-plan.js";
import type { PlannedPartition, Room } from "./partition-plan.js";
import { partitionTable, signatures } from "./probe.js";
import type { Partition, PartitionTable } from "./probe.js";
import type { CommandRunner } from "./runner.js";
import { PARTITION_TYPE } from "./signature.js";

/** What a disk is to the agent. */
export type DiskState =
  | { readonly kind: "blank" }
  | { readonly kind: "ours"; readonly table: PartitionTable }
  | { readonly kind: "refused"; readonly reason: string };

const OF_A_TABLE = new Set(["gpt", "PMBR", "dos"]);

/**
 * What may be done with a disk. Only one that holds nothing at all, or nothing but what the agent wrote, is
 * used; there is no way to make the agent take another, short of clearing the disk by hand.
 */
export async function diskState(
  runner: CommandRunner,
  device: BlockDevice,
  begun: boolean,
): Promise<DiskState> {
  const refused = (reason: string): DiskState => ({
    kind: "refused",
    reason: `${device.stablePath} ${reason}`,
  });
  if (device.readOnly) return refused("is read-only");
  const found = await signatures(runner, device.path);
  const table = await partitionTable(runner, device.path);
  if (table?.label === "gpt" && table.partitions.length > 0) {
    const foreign = table.partitions.find(({ type }) => type !== PARTITION_TYPE);
    const others = found.filter((signature) => !OF_A_TABLE.has(signature));
    if (foreign)
      return refused(`has partition ${foreign.node} of type ${foreign.type}, which the agent did not make`);
    if (others.length > 0)
      return refused(`has signatures that the agent did not write: ${others.join(", ")}`);
    return { kind: "ours", table };
  }
  if (!(await isUnused(device.path))) return refused("is in use: mounted, mapped, part of an array, or swap");
  // Killed while it wrote the table of a disk that it had found blank.
  const unfinished = begun && found.every((signature) => OF_A_TABLE.has(signature));
  if (found.length > 0 && !unfinished) {
    return refused(`has signatures that the agent did not write: ${found.join(", ")}`);
  }
  if (!unfinished && !(await isZeroAtItsEnds(device.path, device.bytes))) {
    return refused("has no known signature, but data where one would be: clear it with blkdiscard or wipefs");
  }
  return { kind: "blank" };
}

/** A note, outside of the disk, that its table is being written: a torn one can't be told from somebody else's. */
export class Notes {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  private file(device: BlockDevice): string {
    return join(this.directory, `partitioning-${device.stablePath.replaceAll(/[^\w.-]/g, "_")}`);
  }

  async has(device: BlockDevice): Promise<boolean> {
    const text = await readFile(this.file(device), "utf8").catch(() => "");
    // Of the disk that was at this place then, and not of one that has been put there since.
    return text === `${device.bytes}\n`;
  }

  async write(device: BlockDevice): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const file = this.file(device);
    const handle = await open(`${file}.new`, "w", 0o600);
    await handle.writeFile(`${device.bytes}\n`);
    await handle.sync();
    await handle.close();
    await rename(`${file}.new`, file);
    const directory = await open(this.directory);
    await directory.sync();
    await directory.close();
  }

  async remove(device: BlockDevice): Promise<void> {
    await unlink(this.file(device)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
}

export interface FoundPartitions {
  /** Partition of each slot that has one. */
  readonly devices: ReadonlyMap<string, string>;
  /** What was refused, by disk or slot. */
  readonly problems: ReadonlyMap<string, string>;
}

/** Finds the slots' partitions on the disks that match, and makes those that are missing where there is room. */
export async function partitionDisks(
  runner: CommandRunner,
  patterns: readonly string[],
  slots: readonly SlotSettings[],
  overhead: number,
  notes: Notes,
): Promise<FoundPartitions> {
  const problems = new Map<string, string>();
  const disks = await findDevices(patterns);
  if (disks.length === 0) problems.set("devices", `no disk matches ${patterns.join(" or ")}`);
  const blank = new Map<string, BlockDevice>();
  const rooms: Room[] = [];
  const present = new Map<string, Partition>();
  for (const disk of disks) {
    const state = await diskState(runner, disk, await notes.has(disk));
    if (state.kind === "refused") problems.set(disk.stablePath, state.reason);
    if (state.kind === "blank") {
      blank.set(disk.path, disk);
      rooms.push(usableRoom(disk.path, disk.bytes));
    }
    if (state.kind === "ours") {
      await notes.remove(disk);
      rooms.push(behind(disk, state.table));
      for (const partition of state.table.partitions) {
        const other = present.get(partition.name);
        if (other)
          problems.set(partition.name, `is on ${other.node} and on ${partition.node}: the first is used`);
        else present.set(partition.name, partition);
      }
      // A container's /dev, or a kernel that was told late, may lack the nodes.
      await runner.run("partx", ["--update", disk.path]);
    }
  }
  const missing = slots.filter(({ name }) => !present.has(name));
  const plan = planPartitions(missing, rooms, overhead);
  for (const { name } of plan.without) problems.set(name, "no disk has room for it");
  for (const [path, partitions] of plan.make) {
    const fresh = blank.get(path);
    if (fresh) await notes.write(fresh);
    await writeTable(runner, path, partitions, fresh !== undefined);
    if (fresh) await notes.remove(fresh);
    const made = await partitionTable(runner, path);
    for (const partition of made?.partitions ?? []) present.set(partition.name, partition);
  }
  const devices = new Map<string, string>();
  for (const slot of slots) {
    const partition = present.get(slot.name);
    if (!partition) continue;
    const expected = slot.bytes + overhead;
    if (partition.bytes !== expected) {
      problems.set(
        slot.name,
        `${partition.node} has ${partition.bytes} bytes and should have ${expected}: a slot's size is not changed`,
      );
    } else if ((await deviceBytes(partition.node).catch(() => -1)) !== partition.bytes) {
      problems.set(slot.name, `the kernel does not know ${partition.node} as the table describes it`);
    } else devices.set(slot.name, partition.node);
  }
  return { devices, problems };
}

function behind(disk: BlockDevice, table: PartitionTable): Room {
  const ends = table.partitions.map(({ startBytes, bytes }) => startBytes + bytes);
  return { device: disk.path, startBytes: Math.max(...ends), endBytes: table.endBytes };
}

/** The script that sfdisk reads: every place is said, none is left to it. */
export function tableScript(partitions: readonly PlannedPartition[], fresh: boolean): string {
  const sectors = (bytes: number) => `${bytes / 1024}KiB`;
  const lines = partitions.map(
    ({ slot, startBytes, bytes }) =>
      `start=${sectors(startBytes)}, size=${sectors(bytes)}, type=${PARTITION_TYPE}, name="${slot.name}"`,
  );
  return [...(fresh ? ["label: gpt"] : []), ...lines, ""].join("\n");
}

async function writeTable(
  runner: CommandRunner,
  device: string,
  partitions: readonly PlannedPartition[],
  fresh: boolean,
): Promise<void> {
  const input = tableScript(partitions, fresh);
  const quietly = ["--quiet", "--wipe", "never", "--wipe-partitions", "never"];
  if (fresh) await runner.run("sfdisk", [...quietly, "--lock", "--no-tell-kernel", device], { input });
  // Beside slots that are mounted: the kernel would refuse to read the whole table again.
  else
    await runner.run("sfdisk", [...quietly, "--append", "--no-reread", "--no-tell-kernel", device], {
      input,
    });
  await runner.run("partx", ["--update", device]);
}
