import { fstatSync } from "node:fs";
import { setFlagsFromString } from "node:v8";

/** What a sweep may look at before its heap is kept small. Most sweeps have fewer jobs on their volume. */
export const FEW_JOBS = 1000;

/**
 * Has V8 look sooner for objects that are dead; it lets them fill tens of MiB otherwise. This program waits for the disk
 * and the database most of its time: 20 MiB less, measured. The last compiler's own memory is 5 MiB, and made no deletion
 * faster.
 *
 * Not for a command that will end before it matters: once a flag is changed V8 takes none of the code that Node.js has
 * compiled beforehand, and a thread's start costs 165 ms of a processor for 85 (measured with Node.js 24).
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--optimize-for-size");
  setFlagsFromString("--heap-growing-percent=20");
  setFlagsFromString("--no-turbofan");
}

/**
 * Whether there may be more than a few jobs in a directory: it has a link for each directory in it, or a single one where
 * the filesystem doesn't count them (btrfs) or counts no further (ext4).
 */
export function mayHaveManyDirectories(fd: number): boolean {
  const { nlink } = fstatSync(fd);
  return nlink < 2 || nlink > FEW_JOBS;
}
