import { existsSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";

import { SLOT_MOUNT_OPTIONS, slotInodes } from "@video-storage/contract/slot-filesystem";

import { must } from "../command.js";
import type { Sandbox } from "./sandbox.js";

/** One slot: a filesystem of a fixed size and number of files, so that filling it is filling it and nothing else. */
export interface Slot {
  readonly name: string;
  readonly bytes: number;
  /** Owner of the filesystem's root. */
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Where slots are mounted on the node. */
export const SLOTS_DIRECTORY = "/mnt/video-jobs";

/**
 * Makes and mounts each slot: a file of the slot's size with ext4 in it, mounted so that nothing on it
 * can be executed. A slot that exists keeps what is on it.
 */
export async function ensureSlots(sandbox: Sandbox, slots: readonly Slot[]): Promise<void> {
  const directory = join(sandbox.stateDirectory, "disks");
  await mkdir(directory, { recursive: true });
  for (const slot of slots) {
    const file = join(directory, `${slot.name}.ext4`);
    if (!existsSync(file)) await makeFilesystem(file, slot);
    const target = `${SLOTS_DIRECTORY}/${slot.name}`;
    if ((await sandbox.run("mountpoint", ["--quiet", target])).code === 0) continue;
    await sandbox.must("mkdir", ["-p", target]);
    await sandbox.must("mount", ["-o", `loop,${SLOT_MOUNT_OPTIONS.join()}`, file, target]);
    // mkfs can set the root's owner but not its mode; lost+found is of no use without a journal's orphans.
    await sandbox.must("sh", [
      "-c",
      `chmod ${slot.mode.toString(8)} ${target} && rmdir ${target}/lost+found 2>/dev/null || true`,
    ]);
  }
}

async function makeFilesystem(file: string, slot: Slot): Promise<void> {
  const unfinished = `${file}.partial`;
  const handle = await open(unfinished, "w");
  await handle.truncate(slot.bytes);
  await handle.close();
  // No blocks are held back for root: the slot's size is its quota.
  await must("mkfs.ext4", [
    "-q",
    "-F",
    "-m",
    "0",
    "-N",
    String(slotInodes(slot.bytes)),
    "-E",
    `root_owner=${slot.uid}:${slot.gid}`,
    "-L",
    slot.name.slice(-16),
    unfinished,
  ]);
  await must("mv", [unfinished, file]);
}
