import type { SweptVolume, UsagePoint } from "@video-storage/catalogue/status-queries";
import type { PressurePolicy } from "@video-storage/contract/cleanup-config";
import { pressureOn } from "@video-storage/contract/pressure";
import type { StackContract } from "@video-storage/contract/stack-contract";
import type { ShownVolume, Volume, VolumeCondition, VolumeSort, VolumesPart } from "./model.js";
import type { Filesystem } from "./prometheus.js";
import { sweepOf } from "./sweeps.js";

/** What is known of the volumes, each source by itself. */
export interface VolumeFacts {
  readonly slots: StackContract["slots"];
  readonly swept: readonly (Partial<SweptVolume> & Pick<SweptVolume, "volume" | "unfinishedSince">)[];
  /** What Prometheus has, by the volume's name. */
  readonly filesystems: ReadonlyMap<string, Filesystem> | undefined;
  readonly pressure: PressurePolicy | undefined;
  /** How long after its last sweep a volume is swept too late, as alerts have it; undefined where that isn't known. */
  readonly overdueSeconds: number | undefined;
  /** Seconds of Unix time, by the catalogue. */
  readonly now: number;
}

/** The stack's volumes and those that were swept besides, by name. */
export function volumesOf(facts: VolumeFacts): Volume[] {
  const swept = new Map(facts.swept.map((row) => [row.volume, row]));
  const declared = facts.slots.map((slot) => volumeOf(facts, slot.name, slot, swept.get(slot.name)));
  const names = new Set(facts.slots.map(({ name }) => name));
  const others = facts.swept
    .filter(({ volume }) => !names.has(volume))
    .map((row) => volumeOf(facts, row.volume, undefined, row));
  return [...declared, ...others].sort((a, b) => byName(a.name, b.name));
}

function volumeOf(
  facts: VolumeFacts,
  name: string,
  slot: VolumeFacts["slots"][number] | undefined,
  row: VolumeFacts["swept"][number] | undefined,
): Volume {
  const lastSweep = row && isSwept(row) ? sweepOf(row) : null;
  const measured = slot && facts.filesystems?.get(name);
  const capacityBytes = measured?.capacityBytes ?? lastSweep?.capacityBytes ?? slot?.capacityBytes ?? null;
  const usedBytes = measured?.usedBytes ?? lastSweep?.usageBytes ?? null;
  const usedPercent = usedBytes === null || !capacityBytes ? null : (100 * usedBytes) / capacityBytes;
  const inodesUsedPercent = measured?.inodesUsedPercent ?? null;
  const measuredAt = measured ? new Date(measured.at * 1000).toISOString() : (lastSweep?.finishedAt ?? null);
  const volume = {
    ...{ name, node: slot?.node ?? null, tenant: slot?.tenant ?? null },
    ...{ capacityBytes, usedBytes, usedPercent, inodesUsedPercent },
    measuredBy: measured ? "prometheus" : usedBytes === null ? null : "sweep",
    measuredAt: usedBytes === null ? null : measuredAt,
    lastSweep,
    unfinishedSince: row?.unfinishedSince?.toISOString() ?? null,
  } as const;
  return { ...volume, condition: conditionOf(volume, slot !== undefined, facts) };
}

function isSwept(row: VolumeFacts["swept"][number]): row is SweptVolume {
  return row.finishedAt instanceof Date;
}

function conditionOf(
  volume: Omit<Volume, "condition">,
  declared: boolean,
  facts: VolumeFacts,
): VolumeCondition {
  if (!declared) return "undeclared";
  const { lastSweep } = volume;
  if (!lastSweep) return "never-swept";
  if (lastSweep.result !== "ok") return "sweep-failed";
  const sinceSweep = facts.now - Date.parse(lastSweep.finishedAt!) / 1000;
  if (facts.overdueSeconds !== undefined && sinceSweep > facts.overdueSeconds) return "sweep-late";
  const { usageBytes, capacityBytes } = lastSweep;
  const left = { usedBytes: usageBytes, capacityBytes, inodesUsedPercent: null };
  if (pressureOf(left, facts.pressure) !== undefined) return "still-full";
  return pressureOf(volume, facts.pressure) === undefined ? "ok" : "over-high-mark";
}

/** Why the next sweep makes room on the volume, as far as its use is known; undefined where it doesn't. */
export function pressureOf(
  {
    usedBytes,
    capacityBytes,
    inodesUsedPercent,
  }: Pick<Volume, "usedBytes" | "capacityBytes" | "inodesUsedPercent">,
  policy: PressurePolicy | undefined,
): string | undefined {
  if (!policy || usedBytes === null || capacityBytes === null) return undefined;
  const inodes = { used: inodesUsedPercent ?? 0, capacity: inodesUsedPercent === null ? 0 : 100 };
  return pressureOn({ bytes: { used: usedBytes, capacity: capacityBytes }, inodes }, policy);
}

/** Which of the volumes are asked for. */
export interface VolumeQuery {
  /** Part of the name, the node or the tenant. */
  readonly search: string;
  readonly sort: VolumeSort;
  /** From 1; a page that isn't there is the last one. */
  readonly page: number;
  readonly pageSize: number;
}

export interface VolumePage extends VolumeQuery {
  readonly matching: number;
  readonly volumes: readonly Volume[];
}

export function pageOf(volumes: readonly Volume[], query: VolumeQuery): VolumePage {
  const wanted = query.search.trim().toLowerCase();
  const matching = volumes.filter(({ name, node, tenant }) =>
    [name, node, tenant].some((text) => text?.toLowerCase().includes(wanted)),
  );
  const sorted = matching.sort(COMPARE[query.sort]);
  const page = Math.max(1, Math.min(query.page, Math.ceil(sorted.length / query.pageSize)));
  const from = (page - 1) * query.pageSize;
  return { ...query, page, matching: sorted.length, volumes: sorted.slice(from, from + query.pageSize) };
}

const byName = (a: string, b: string): number => NAMES.compare(a, b);
// node-2 before node-10.
const NAMES = new Intl.Collator("en", { numeric: true });

const COMPARE: Record<VolumeSort, (a: Volume, b: Volume) => number> = {
  fullness: (a, b) => (b.usedPercent ?? -1) - (a.usedPercent ?? -1) || byName(a.name, b.name),
  name: (a, b) => byName(a.name, b.name),
  // What was swept longest ago, or never, is what one looks for.
  "last-sweep": (a, b) =>
    (a.lastSweep?.finishedAt ?? "").localeCompare(b.lastSweep?.finishedAt ?? "") || byName(a.name, b.name),
};

export function volumesPart(
  volumes: readonly Volume[],
  page: VolumePage,
  usage: readonly UsagePoint[],
  { hours, highWaterPercent }: Pick<VolumesPart, "hours" | "highWaterPercent">,
): VolumesPart {
  const conditions: Partial<Record<VolumeCondition, number>> = {};
  for (const { condition } of volumes) conditions[condition] = (conditions[condition] ?? 0) + 1;
  const sum = (of: (volume: Volume) => number | null): number =>
    volumes.reduce((total, volume) => total + (of(volume) ?? 0), 0);
  return {
    total: volumes.length,
    usedBytes: sum((volume) => volume.usedBytes),
    capacityBytes: sum((volume) => volume.capacityBytes),
    ...{ conditions, highWaterPercent, hours },
    ...{ search: page.search, sort: page.sort, matching: page.matching },
    ...{ page: page.page, pageSize: page.pageSize },
    shown: page.volumes.map((volume) => ({ ...volume, usage: usageOf(volume.name, usage) })),
  };
}

export function usageOf(volume: string, points: readonly UsagePoint[]): ShownVolume["usage"] {
  return points
    .filter((point) => point.volume === volume)
    .map(({ at, usageBytes }) => [at, usageBytes] as const);
}
