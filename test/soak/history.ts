import type { Outage } from "./checker/evidence.js";
import type { Fault } from "./schedule.js";

/** A fault as it was done. */
export interface DoneFault extends Fault {
  /** What it met, in words. */
  readonly met: string;
  /** Milliseconds since 1970. */
  readonly beganAt: number;
  readonly endedAt: number;
}

/** What happened in a run, as it happens. */
export class History {
  readonly faults: DoneFault[] = [];
  readonly outages: Outage[] = [];
  readonly endedPods = new Map<string, number>();

  /** Notes that a pod's processes ended at a time, or before; the first note counts. */
  podEnded(pod: string, at: number): void {
    if (!this.endedPods.has(pod)) this.endedPods.set(pod, at);
  }

  /** Does a work during which something is away, and notes for how long; `from` when it was away before. */
  async during<T>(what: string, node: string | null, work: () => Promise<T>, from = Date.now()): Promise<T> {
    try {
      return await work();
    } finally {
      this.outages.push({ what, node, from, until: Date.now() });
    }
  }
}
