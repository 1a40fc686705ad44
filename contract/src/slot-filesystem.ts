/** What a slot is mounted with: nothing on it can be executed, open a device or change a user. */
export const SLOT_MOUNT_OPTIONS = ["noexec", "nodev", "nosuid", "noatime"] as const;

/** What a slot's filesystem is made with, so that its files are limited in number as its bytes are in amount. */
export const BYTES_PER_INODE = 16_384;

/**
 * How many inodes the filesystem of a slot of `bytes` has, and so how many files and directories it can hold:
 * one for each 16 KiB, and at least 1024. ext4 never makes more than it was made with.
 */
export function slotInodes(bytes: number): number {
  return Math.max(1024, Math.floor(bytes / BYTES_PER_INODE));
}
