import { floorOf } from "@video-storage/contract/cleanup-config";
import type { Rules } from "@video-storage/contract/plan";
import { isRelieved, pressureOn, statesToEvict } from "@video-storage/contract/pressure";
import type { Measured, Space } from "@video-storage/contract/pressure";
import type { Queryable } from "./connection.js";
import { decideByRow } from "./decision-by-row.js";
import type { CataloguedJob } from "./job-columns.js";
import { finishedBytesByTenant } from "./tenant-usage.js";
import { leastRecentlyUsedInPages } from "./volume-jobs.js";

/** A volume on which room may have to be made. */
export interface VolumeInNeed {
  readonly volume: string;
  readonly catalogue: Queryable;
  readonly rules: Rules;
  /** No further job is taken. */
  readonly stop: AbortSignal;
}

/** What eviction did and where it left the volume. */
export interface Relief {
  /** Undefined when there was no pressure. */
  readonly pressure: string | undefined;
  readonly evicted: number;
  readonly relieved: boolean;
}

export interface ReliefSteps {
  /** Does what is decided about one job under that pressure, and says what that freed. */
  readonly evict: (
    job: CataloguedJob,
    pressure: string,
  ) => Promise<{ readonly done: string; readonly bytes: number; readonly files: number }>;
  readonly measure: () => Promise<Space>;
}

/**
 * Frees the longest unused finished jobs while the volume is fuller than its high mark, down to its low one, and
 * leaves every tenant its floor. Measures again after each: what one job frees is only known then. Filesystems that
 * free in the background are believed to have freed what was deleted.
 */
export async function relieve(
  { volume, catalogue, rules, stop }: VolumeInNeed,
  { evict, measure }: ReliefSteps,
): Promise<Relief> {
  const policy = rules.pressure;
  const start = await measure();
  const pressure = policy && pressureOn(start, policy);
  if (!policy || pressure === undefined) return { pressure: undefined, evicted: 0, relieved: true };
  const left = await finishedBytesByTenant(catalogue, volume);
  const freed = { bytes: 0, inodes: 0 };
  let evicted = 0;
  const done = (relieved: boolean): Relief => ({ pressure, evicted, relieved });
  for (const states of statesToEvict(rules)) {
    for await (const page of leastRecentlyUsedInPages(catalogue, volume, states)) {
      for (const job of page) {
        if (stop.aborted) return done(false);
        if (!mayGo(job, rules, pressure)) continue;
        const bytes = job.bytes ?? job.expectedBytes ?? 0;
        const remaining = (left.get(job.tenantId) ?? 0) - bytes;
        if (remaining < floorOf(policy, job.tenantId).bytes) continue;
        const effect = await evict(job, pressure);
        if (effect.done !== "delete" && effect.done !== "tier") continue;
        evicted++;
        left.set(job.tenantId, remaining);
        freed.bytes += effect.bytes;
        freed.inodes += effect.files;
        if (isRelieved(lessOf(await measure(), start, freed), policy)) return done(true);
      }
    }
  }
  return done(false);
}

/** By its row alone; what the record and the lock say is asked when it is its turn. */
function mayGo(job: CataloguedJob, rules: Rules, pressure: string): boolean {
  return decideByRow(job, rules, pressure).code.endsWith("-evicted");
}

/** What is in use by what is measured, or by what was freed, whichever is less. */
function lessOf(now: Space, start: Space, freed: { bytes: number; inodes: number }): Space {
  const less = (what: keyof Space): Measured => ({
    used: Math.min(now[what].used, start[what].used - freed[what]),
    capacity: now[what].capacity,
  });
  return { bytes: less("bytes"), inodes: less("inodes") };
}
