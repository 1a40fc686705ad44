import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { chmod, chown, mkdir, open, readdir, rmdir, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";

import type { SlotSettings } from "@video-storage/contract/node-agent-config";
import { SLOT_MOUNT_OPTIONS } from "@video-storage/contract/slot-filesystem";
import { mounts } from "./mounts.js";
import { probe } from "./probe.js";
import type { CommandRunner } from "./runner.js";

export type FilesystemType = "ext4" | "xfs";

/** Makes an empty filesystem, labelled, with an id that no other has, and returns the id. */
export async function make(
  runner: CommandRunner,
  type: FilesystemType,
  device: string,
  label: string,
  inodes: number | null,
): Promise<string> {
  const uuid = randomUUID();
  if (type === "ext4") {
    await runner.run("mkfs.ext4", [
      // No blocks are held back for root: the slot's size is its quota.
      ...["-q", "-F", "-m", "0", "-L", label, "-U", uuid],
      // Written now and not by the kernel while the first job runs.
      ...["-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
      ...(inodes === null ? [] : ["-N", String(inodes)]),
      device,
    ]);
  } else {
    await runner.run("mkfs.xfs", ["-q", "-f", "-K", "-L", label, "-m", `uuid=${uuid}`, device]);
  }
  return uuid;
}

/** Changes the label of a filesystem that is not mounted. */
export async function setLabel(
  runner: CommandRunner,
  type: FilesystemType,
  device: string,
  label: string,
): Promise<void> {
  if (type === "ext4") await runner.run("e2label", [device, label]);
  // What xfs_admin, a shell script, does. It ends with 0 whatever becomes of it.
  else await runner.run("xfs_db", ["-x", "-p", "xfs_admin", "-c", `label ${label}`, device]);
  await flush(device);
  const found = (await probe(runner, device))["LABEL"];
  if (found !== label) throw new Error(`${device} should be labelled ${label} and is labelled ${found}`);
}

/** Waits until what was written to a device is on it. */
export async function flush(device: string): Promise<void> {
  const handle = await open(device, constants.O_RDWR);
  await handle.sync();
  await handle.close();
}

/** Gives the root directory its owner and mode, and makes sure that there is nothing in it. */
export async function furnish(root: string, slot: SlotSettings): Promise<void> {
  // Kept for repairs of files that lost their name; these filesystems are made anew instead.
  await rmdir(`${root}/lost+found`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await own(root, slot);
  const entries = await readdir(root);
  if (entries.length > 0) {
    throw new Error(`slot ${slot.name} should be empty and holds ${entries.length} entries`);
  }
  const { files, ffree } = await statfs(root);
  // The root directory's own and those that a filesystem keeps for itself.
  if (files > 0 && files - ffree > RESERVED_INODES) {
    throw new Error(`slot ${slot.name} should be empty and has ${files - ffree} inodes in use`);
  }
}

const RESERVED_INODES = 16;

/** Gives the root directory its owner and mode where it hasn't got them. */
export async function own(root: string, slot: SlotSettings): Promise<void> {
  const mode = parseInt(slot.mode, 8);
  const now = await stat(root);
  if (now.uid !== slot.user || now.gid !== slot.group) await chown(root, slot.user, slot.group);
  // After the owner: a change of owner takes the set-group bit away.
  if ((now.mode & 0o7777) !== mode || now.uid !== slot.user || now.gid !== slot.group)
    await chmod(root, mode);
}

/** Mounts a device; the place exists only while something is mounted on it. */
export async function mount(
  runner: CommandRunner,
  device: string,
  target: string,
  type: FilesystemType,
): Promise<void> {
  // Nobody but root writes in the place while it is there and the filesystem isn't yet.
  await mkdir(target, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await runner.run("mount", ["-t", type, "-o", SLOT_MOUNT_OPTIONS.join(), device, target]);
}

/** Unmounts whatever is mounted at the place, and removes the place. */
export async function unmount(runner: CommandRunner, target: string): Promise<void> {
  while ((await mounts()).has(target)) await runner.run("umount", [target]);
  await rmdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

/**
 * Covers the parent of the mount points with a small tmpfs. A kubelet that restarts a pod after a reboot then
 * finds no directory and waits, where on the node's own disk it would find the empty place of a slot that is
 * not mounted yet, and hand that to the pod. Throws when the directory holds anything.
 */
export async function coverDirectory(runner: CommandRunner, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const present = await mounts();
  if (present.get(directory)?.type === "tmpfs" && present.get(directory)?.source === COVER) return;
  const entries = await readdir(directory);
  if (entries.length > 0) {
    throw new Error(
      `${directory} is where the slots are mounted and holds ${entries.slice(0, 3).join(", ")}: name a directory of ${dirname(directory)} that is empty or not there`,
    );
  }
  const options = "mode=0755,size=64k,noexec,nodev,nosuid";
  await runner.run("mount", ["-t", "tmpfs", "-o", options, COVER, directory]);
}

/** What the tmpfs calls itself in the list of mounts. */
export const COVER = "video-storage";
