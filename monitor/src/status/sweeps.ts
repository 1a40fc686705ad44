import type { SweepRow } from "@video-storage/catalogue/status-queries";
import type { Sweep } from "./model.js";

/** A sweep as it is shown: what an unfinished one did is not known yet. */
export function sweepOf(row: SweepRow): Sweep {
  return {
    volume: row.volume,
    startedAt: row.startedAt.toISOString(),
    finishedAt: row.finishedAt?.toISOString() ?? null,
    result: row.finishedAt === null ? "unfinished" : (row.result ?? "failed"),
    ...{ deleted: row.deleted ?? 0, tiered: row.tiered ?? 0, kept: row.kept ?? 0, failed: row.failed ?? 0 },
    ...{ freedBytes: row.freedBytes ?? 0, usageBytes: row.usageBytes, capacityBytes: row.capacityBytes },
    actor: row.actor,
  };
}
