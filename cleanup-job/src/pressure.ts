import { statfs } from "node:fs/promises";
import { decideByRow } from "@video-storage/catalogue/decision-by-row";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { finishedBytesByTenant } from "@video-storage/catalogue/tenant-usage";
import { leastRecentlyUsedInPages } from "@video-storage/catalogue/volume-jobs";
import { floorOf } from "@video-storage/contract/cleanup-config";
import { isRelieved, pressureOn, statesToEvict } from "@video-storage/contract/pressure";
import type { Measured, Space } from "@video-storage/contract/pressure";
import type { SweepContext } from "./context.js";
import type { Directory } from "./deletion/handles.js";
import type { Effect } from "./execution.js";

export async function spaceOf(root: Directory): Promise<Space> {
  const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(`/proc/self/fd/${root.fd}`);
  const used = blocks - bfree;
  return {
    bytes: { used: used * bsize, capacity: (used + bavail) * bsize },
    inodes: { used: files - ffree, capacity: files },
  };
}

/** What eviction did and where it left the volume. */
export interface Relief {
  /** Undefined when there was no pressure. */
  readonly pressure: string | undefined;
  readonly evicted: number;
  readonly relieved: boolean;
}

export interface ReliefSteps {
  /** Does what is decided about one job under that pressure. */
  readonly evict: (job: CataloguedJob, pressure: string) => Promise<Effect>;
  /** Default: {@link spaceOf}. */
  readonly measure?: () => Promise<Space>;
}

/**
 * Frees the longest unused finished jobs while the volume is fuller than its high mark, down to its low one, and
 * leaves every tenant its floor. Measures again after each: what one job frees is only known then. Filesystems that
 * free in the background are believed to have freed what was deleted.
 */
export async function relieve(
  context: SweepContext,
  { evict, measure = () => spaceOf(context.root) }: ReliefSteps,
): Promise<Relief> {
  const { rules, catalogue, volume, stop } = context;
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
        if (!mayGo(context, job, pressure)) continue;
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
function mayGo({ rules }: SweepContext, job: CataloguedJob, pressure: string): boolean {
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
