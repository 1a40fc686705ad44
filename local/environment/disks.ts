import { existsSync } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
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
  const mounts: string[] = [];
  for (const slot of slots) {
    const file = join(directory, `${slot.name}.ext4`);
    if (!existsSync(file)) await makeFilesystem(file, slot);
    mounts.push(file, `${SLOTS_DIRECTORY}/${slot.name}`, slot.mode.toString(8));
  }
  await sandbox.must("sh", ["-ec", MOUNT_ALL, "sh", `loop,${SLOT_MOUNT_OPTIONS.join()}`, ...mounts]);
}

/** Mounts what isn't yet, by options and then a file, a directory and its mode for each: one process for all slots. */
const MOUNT_ALL = `
options=$1; shift
while [ $# -gt 0 ]; do
  if ! mountpoint --quiet "$2"; then
    mkdir -p "$2"
    mount -o "$options" "$1" "$2"
    # mkfs can set the root's owner but not its mode; lost+found is of no use without a journal's orphans.
    chmod "$3" "$2"
    rmdir "$2/lost+found" 2>/dev/null || true
  fi
  shift 3
done`;

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
  await rename(unfinished, file);
}
