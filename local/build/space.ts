import { existsSync, statfsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname } from "node:path";

import { Failure } from "../failure.js";
import { cacheDirectory } from "../paths.js";

const GIB = 2 ** 30;

interface Need {
  readonly directory: string;
  readonly bytes: number;
}

/**
 * What a start writes, in bytes, as measured on empty caches and rounded up: Go's own caches and the programs at the
 * first build, and the environment itself, whose disks are sparse files, at every start.
 */
export function needs(state: string, building: boolean): Need[] {
  const environment = { directory: state, bytes: 2 * GIB };
  if (!building) return [environment];
  return [
    environment,
    { directory: homedir(), bytes: 8 * GIB },
    { directory: cacheDirectory(), bytes: 3 * GIB },
  ];
}

/** Throws {@link Failure} where a filesystem has less room than all that is to be written to it. */
export function requireSpace(wanted: readonly Need[]): void {
  const byDevice = new Map<number, Need[]>();
  for (const need of wanted) {
    const directory = nearest(need.directory);
    const { dev } = statSync(directory);
    byDevice.set(dev, [...(byDevice.get(dev) ?? []), { ...need, directory }]);
  }
  for (const together of byDevice.values()) {
    const { directory } = together[0]!;
    const { bavail, bsize } = statfsSync(directory);
    const bytes = together.reduce((sum, need) => sum + need.bytes, 0);
    if (bavail * bsize >= bytes) continue;
    throw new Failure(
      `Below ${together.map((need) => need.directory).join(" and ")} there are ${inGiB(bavail * bsize)} free, and this ` +
        `start may write ${inGiB(bytes)}.`,
      "Free as much, or move what all checkouts share: VIDEO_STORAGE_CACHE, GOCACHE and GOMODCACHE name directories.",
    );
  }
}

/** The directory, or the first above it that there is. */
function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(dirname(directory));
}

function inGiB(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
