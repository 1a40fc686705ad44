import type { PressurePolicy, Watermarks } from "./cleanup-config.js";
import type { Rules } from "./plan.js";
import type { JobState } from "./states.js";

/** Used and in all, as an unprivileged writer sees them. */
export interface Measured {
  readonly used: number;
  /** 0 where the filesystem has no limit, as btrfs has none of inodes. */
  readonly capacity: number;
}

export interface Space {
  readonly bytes: Measured;
  readonly inodes: Measured;
}

function percentOf({ used, capacity }: Measured): number {
  return capacity === 0 ? 0 : (100 * used) / capacity;
}

/** Why room is needed; undefined where it isn't. */
export function pressureOn(space: Space, policy: PressurePolicy): string | undefined {
  const over = (what: keyof Space, { highWaterPercent, lowWaterPercent }: Watermarks): string[] => {
    const percent = percentOf(space[what]);
    if (percent < highWaterPercent) return [];
    return [
      `${percent.toFixed(1)}% of the ${what} are in use, from ${highWaterPercent}% on room is made down to ${lowWaterPercent}%`,
    ];
  };
  const reasons = [...over("bytes", policy.bytes), ...over("inodes", policy.inodes)];
  return reasons.length > 0 ? reasons.join(", and ") : undefined;
}

/** Whether there is room enough again, of both. */
export function isRelieved(space: Space, { bytes, inodes }: PressurePolicy): boolean {
  return percentOf(space.bytes) <= bytes.lowWaterPercent && percentOf(space.inodes) <= inodes.lowWaterPercent;
}

/** In this order: what is held elsewhere or worth nothing first, what nobody uploaded last and only if allowed. */
export function statesToEvict({ pressure }: Rules): readonly Exclude<JobState, "active">[][] {
  const worthless = ["uploaded", "handed-over", "failed", "abandoned", "quarantined"] as const;
  return pressure === undefined || pressure.unuploaded === "keep"
    ? [[...worthless]]
    : [[...worthless], ["completed"]];
}
