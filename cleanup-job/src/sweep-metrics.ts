import { opendir } from "node:fs/promises";
import { usageByTenant } from "@video-storage/catalogue/tenant-usage";
import type { TenantUsage } from "@video-storage/catalogue/tenant-usage";
import type { SweepMetricsSettings } from "@video-storage/contract/cleanup-config";
import type { Sample } from "@video-storage/contract/exposition";
import { TRASH_DIRECTORY } from "@video-storage/contract/layout";
import { METRICS } from "@video-storage/contract/metrics";
import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";
import type { Space } from "@video-storage/contract/pressure";
import type { SweepContext } from "./context.js";
import { childPath } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { spaceOf } from "./space.js";
import { Counts } from "./sweep.js";
import type { SweepSummary } from "./sweep.js";

/** What the monitoring is told besides what the sweep itself knows. */
export interface Surroundings {
  /** The node that the volume is on. */
  readonly node: string;
  readonly objectStorageAway: () => boolean;
  /** What the probe found out about the bucket, where there is a report. */
  readonly bucket: ObjectStorageCapabilities | undefined;
}

/** All that is known when a sweep has ended, however it did. */
export interface SweepObservations {
  readonly volume: string;
  readonly node: string;
  readonly endedAtSeconds: number;
  readonly durationSeconds: number;
  /** Every due job was dealt with. */
  readonly succeeded: boolean;
  readonly counts: Pick<
    Counts,
    "deleted" | "tiered" | "evicted" | "abandoned" | "kept" | "reported" | "failed" | "freedBytes"
  >;
  readonly space: Space;
  readonly trashEntries: number;
  /** Undefined when the catalogue could not be asked. */
  readonly usage: readonly TenantUsage[] | undefined;
  readonly objectStorageAway: boolean;
}

/**
 * Sweeps, and then leaves at the Pushgateway how it went: also when it failed, and whatever becomes of that. Nothing is
 * pushed by a sweep that was skipped, nor without settings.
 */
export async function toldToMonitoring(
  sweep: (context: SweepContext, counts: Counts) => Promise<SweepSummary>,
  context: SweepContext,
  settings: SweepMetricsSettings | null | undefined,
  surroundings: Surroundings,
): Promise<SweepSummary> {
  const counts = new Counts();
  const started = performance.now();
  const tell = async (succeeded: boolean, catalogueAnswers: boolean): Promise<void> => {
    if (!settings) return;
    const durationSeconds = (performance.now() - started) / 1000;
    try {
      const observed = await observe(context, catalogueAnswers);
      const samples = samplesOf({
        ...observed,
        ...{ volume: context.volume, node: surroundings.node, counts, succeeded, durationSeconds },
        objectStorageAway: surroundings.objectStorageAway(),
      });
      // Most of a sweep's memory and start-up would be what it may not need: a sweep is begun for each volume.
      const { pushSweep } = await import("./pushgateway.js");
      const { bucket } = surroundings;
      const ofBucket = bucket && { name: bucket.bucket, samples: capabilitySamples(bucket) };
      await pushSweep(settings, context.volume, { succeeded, samples, bucket: ofBucket });
    } catch (error) {
      const reason = `how the sweep went could not be pushed, and the next one will: ${(error as Error).message}`;
      context.report({ event: "attention", level: "warning", code: "metrics-not-pushed", reason });
    }
  };
  let summary: SweepSummary;
  try {
    summary = await sweep(context, counts);
  } catch (error) {
    await tell(false, false);
    throw error;
  }
  if (summary.result !== "skipped") await tell(summary.result === "ok", true);
  return summary;
}

/** What is pushed for a volume. */
export function samplesOf(observed: SweepObservations): Sample[] {
  const { volume, node, counts, space, usage } = observed;
  const labels = { volume, node };
  const ofVolume: [Sample["metric"], number][] = [
    [METRICS.sweepLastCompletion, observed.endedAtSeconds],
    // What isn't pushed keeps its value: that of the last success.
    ...(observed.succeeded
      ? [[METRICS.sweepLastSuccess, observed.endedAtSeconds] as [Sample["metric"], number]]
      : []),
    [METRICS.sweepDuration, observed.durationSeconds],
    [METRICS.sweepFailed, observed.succeeded ? 0 : 1],
    [METRICS.sweepFreedBytes, counts.freedBytes],
    [METRICS.volumeUsedBytes, space.bytes.used],
    [METRICS.volumeCapacityBytes, space.bytes.capacity],
    [METRICS.volumeUsedInodes, space.inodes.used],
    [METRICS.volumeCapacityInodes, space.inodes.capacity],
    [METRICS.trashEntries, observed.trashEntries],
    [METRICS.objectStorageAway, observed.objectStorageAway ? 1 : 0],
  ];
  const { deleted, tiered, evicted, abandoned, kept, reported, failed } = counts;
  const byAction = { deleted, tiered, evicted, abandoned, kept, reported, failed };
  return [
    ...ofVolume.map(([metric, value]) => ({ metric, value, labels })),
    ...Object.entries(byAction).map(([action, value]) => {
      return { metric: METRICS.sweepJobs, value, labels: { ...labels, action } };
    }),
    ...(usage === undefined ? [] : usageSamples(usage, labels)),
  ];
}

function usageSamples(usage: readonly TenantUsage[], labels: { volume: string; node: string }): Sample[] {
  const byTenant = usage.flatMap(({ tenantId: tenant, bytes, jobs, lastAccessSeconds }) => [
    { metric: METRICS.volumeTenantBytes, value: bytes, labels: { ...labels, tenant } },
    { metric: METRICS.volumeTenantJobs, value: jobs, labels: { ...labels, tenant } },
    { metric: METRICS.lastAccess, value: lastAccessSeconds, labels: { ...labels, tenant } },
  ]);
  if (usage.length === 0) return [];
  const latest = Math.max(...usage.map(({ lastAccessSeconds }) => lastAccessSeconds));
  return [...byTenant, { metric: METRICS.volumeLastAccess, value: latest, labels }];
}

/** What the probe found out, for the bucket's group. */
export function capabilitySamples({ bucket, capabilities }: ObjectStorageCapabilities): Sample[] {
  return Object.entries(capabilities).map(([capability, { held }]) => ({
    metric: METRICS.capability,
    value: held ? 1 : 0,
    labels: { bucket, capability },
  }));
}

async function observe(
  { root, catalogue, volume }: SweepContext,
  catalogueAnswers: boolean,
): Promise<Pick<SweepObservations, "endedAtSeconds" | "space" | "trashEntries" | "usage">> {
  return {
    endedAtSeconds: Date.now() / 1000,
    space: await spaceOf(root),
    trashEntries: await entriesIn(root, TRASH_DIRECTORY),
    // Not asked where it has just been away: each time-out would keep the volume from its next sweep.
    usage: catalogueAnswers ? await usageByTenant(catalogue, volume).catch(() => undefined) : undefined,
  };
}

/** However many there are, they are only counted. */
async function entriesIn(root: Directory, name: string): Promise<number> {
  let entries = 0;
  try {
    for await (const entry of await opendir(childPath(root.fd, name), { bufferSize: 1024 })) {
      if (entry) entries++;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return entries;
}
