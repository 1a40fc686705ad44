import { constants } from "node:fs";
import { open, readFile, readdir, realpath } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { randomInt } from "node:crypto";

const MEBIBYTE = 2 ** 20;

/** A disk, or whatever else a pattern matched. */
export interface BlockDevice {
  /** The device node itself, past every link. */
  readonly path: string;
  /** The path that matched: it stays the same across reboots where the node's name doesn't. */
  readonly stablePath: string;
  readonly bytes: number;
  readonly readOnly: boolean;
}

/** The whole disks that match, each once, in the order of their stable paths. Partitions are left out. */
export async function findDevices(patterns: readonly string[], sys = "/sys"): Promise<BlockDevice[]> {
  const matched = (await Promise.all(patterns.map(expand))).flat().sort();
  const devices = new Map<string, BlockDevice>();
  for (const stablePath of matched) {
    const path = await realpath(stablePath).catch(() => undefined);
    if (path === undefined || devices.has(path)) continue;
    const device = await describe(path, stablePath, sys);
    if (device) devices.set(path, device);
  }
  return [...devices.values()];
}

async function expand(pattern: string): Promise<string[]> {
  const directory = dirname(pattern);
  const escaped = basename(pattern)
    .replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*");
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => new RegExp(`^${escaped}$`).test(name)).map((name) => join(directory, name));
}

async function describe(path: string, stablePath: string, sys: string): Promise<BlockDevice | undefined> {
  const directory = join(sys, "class/block", basename(path));
  const read = (name: string) => readFile(join(directory, name), "utf8").catch(() => undefined);
  const sectors = await read("size");
  if (sectors === undefined || (await read("partition")) !== undefined) return undefined;
  return { path, stablePath, bytes: Number(sectors) * 512, readOnly: (await read("ro"))?.trim() !== "0" };
}

/**
 * Whether nobody uses the device, in any mount namespace: the kernel lets only one take a block device for
 * itself, and a mounted filesystem, a mapping, an array and swap each do.
 */
export async function isUnused(device: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(device, constants.O_RDONLY | constants.O_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EBUSY") return false;
    throw error;
  }
  await handle.close();
  return true;
}

/** Whether the first and the last MiB hold nothing: data without a signature that anyone knows is still data. */
export async function isZeroAtItsEnds(device: string, bytes: number): Promise<boolean> {
  const length = Math.min(bytes, MEBIBYTE);
  return areZero(device, [0, bytes - length], length);
}

const SAMPLES = 256;
const SAMPLE_BYTES = 65_536;

/** Whether samples from all over the device, at places that nobody can foresee, hold nothing. */
export async function isZeroInSamples(device: string, bytes: number): Promise<boolean> {
  const stride = Math.max(Math.floor(bytes / SAMPLES), SAMPLE_BYTES);
  const places: number[] = [];
  for (let start = 0; start + SAMPLE_BYTES <= bytes; start += stride) {
    const room = Math.min(stride, bytes - start) - SAMPLE_BYTES;
    places.push(start + (room > 0 ? randomInt(Math.min(room, 2 ** 47)) : 0));
  }
  return areZero(device, [...places, Math.max(0, bytes - SAMPLE_BYTES)], Math.min(SAMPLE_BYTES, bytes));
}

async function areZero(device: string, places: readonly number[], length: number): Promise<boolean> {
  const handle = await open(device, constants.O_RDONLY);
  try {
    const buffer = Buffer.alloc(length);
    const nothing = Buffer.alloc(length);
    for (const place of places) {
      const { bytesRead } = await handle.read(buffer, 0, length, place);
      if (buffer.compare(nothing, 0, bytesRead, 0, bytesRead) !== 0) return false;
    }
    return true;
  } finally {
    await handle.close();
  }
}

/** Size of a block device or file, found by seeking, as a loop device's may differ from its file's. */
export async function deviceBytes(device: string, sys = "/sys"): Promise<number> {
  const path = await realpath(device);
  const sectors = await readFile(join(sys, "class/block", basename(path), "size"), "utf8");
  return Number(sectors) * 512;
}
