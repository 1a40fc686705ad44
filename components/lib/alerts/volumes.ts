import { METRICS } from "@video-storage/contract/metrics";

import { fastPredictions, fillingUp, slowPredictions, untilSweptAgain } from "./filling.js";
import type { Marks } from "./filling.js";
import { ours, span } from "./promql.js";
import type { AlertDraft, Severity } from "./rule.js";
import { ofDeclaredSlots } from "./sweeps.js";
import { freePercent } from "./volume-series.js";
import type { Room, VolumeSeries, VolumeSource } from "./volume-series.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;

export interface VolumeAlertsArgs {
  readonly environment: string;
  readonly source: VolumeSource;
  readonly series: VolumeSeries;
  /** How many volumes are mounted on the nodes in all; null where that isn't to be seen. */
  readonly mounts: number | null;
  readonly periodSeconds: number;
  readonly bytes: Marks;
  readonly inodes: Marks;
  readonly nearlyFullPercent: number;
  readonly quotaWarningPercent: number;
  readonly quotaCriticalPercent: number;
  /** Whether sweeps say how full they left each volume. */
  readonly sweepMetrics: boolean;
}

/**
 * Rules on the volumes' own filesystems: the kubelet watches only those of the node and its images, and evicts nobody
 * because of another, so a full volume never shows as disk pressure.
 */
export function volumeAlerts(args: VolumeAlertsArgs): AlertDraft[] {
  const { series, periodSeconds } = args;
  const { where } = series;
  const filling = (alert: string, room: Room, marks: Marks, description: string) =>
    fastPredictions(alert).map((prediction) =>
      fillingUp({ prediction, room, marks, periodSeconds, where, description }),
    );
  return [
    ...filling(
      "VideoStorageVolumeFillingUp",
      series.bytes,
      args.bytes,
      "Workers fill the volume faster than sweeps empty it. Add a node, or see what holds the space.",
    ),
    nearlyFull(
      "VideoStorageVolumeNearlyFull",
      args,
      series.bytes,
      "space",
      "New jobs are about to be refused there, and no sweep has helped yet.",
    ),
    ...filling(
      "VideoStorageVolumeInodesFillingUp",
      series.inodes,
      args.inodes,
      "Jobs of many small files use up the volume's inodes; then writes fail although there is room.",
    ),
    nearlyFull(
      "VideoStorageVolumeInodesNearlyExhausted",
      args,
      series.inodes,
      "inodes",
      "Many small files; when the last inode is used, writes fail although there is room.",
    ),
    quota(args, "warning", args.quotaWarningPercent),
    quota(args, "critical", args.quotaCriticalPercent),
    ...unwatched(args),
  ];
}

function nearlyFull(
  alert: string,
  { series, nearlyFullPercent, periodSeconds }: VolumeAlertsArgs,
  room: Room,
  what: string,
  description: string,
): AlertDraft {
  return {
    alert,
    severity: "critical",
    expr: `${freePercent(room)} < ${100 - nearlyFullPercent}`,
    // At a gigabyte a second the last tenth of a large disk lasts minutes.
    forSeconds: MINUTE,
    keepFiringForSeconds: untilSweptAgain(periodSeconds),
    summary: `${series.where} has {{ printf "%.1f" $value }} % of its ${what} left`,
    description,
    reads: [],
  };
}

/**
 * A share of the quota that is in use all the time, also right after a sweep. Where node-exporter sees the volumes, by the
 * most room there was; else by what each sweep found when it was done, or else by the kubelet's figures.
 */
function quota(args: VolumeAlertsArgs, severity: Severity, percent: number): AlertDraft {
  const { environment, source, series, periodSeconds, sweepMetrics } = args;
  // Below the mark that a sweep begins at, a volume may well be for some time: it is news when it never gets emptier.
  const always = percent > args.bytes.highPercent ? 2 * periodSeconds : Math.max(2 * periodSeconds, 6 * HOUR);
  const common = {
    alert: "VideoStorageVolumeQuotaNearlyReached",
    severity,
    forSeconds: 5 * MINUTE,
    description: `The volume was never below ${percent} % of its quota for ${span(always)}, and was swept meanwhile.`,
  };
  if (source.by === "kubelet" && sweepMetrics) {
    const used = ours(METRICS.volumeUsedBytes, environment);
    const capacity = ours(METRICS.volumeCapacityBytes, environment);
    const percentUsed = `100 * min_over_time(${used}[${span(always)}]) / (${capacity} > 0)`;
    return {
      ...common,
      expr: ofDeclaredSlots(environment, `${percentUsed} >= ${percent}`),
      summary: `{{ $labels.volume }} has {{ printf "%.1f" $value }} % of its quota in use`,
      reads: ["sweep", "exporter"],
    };
  }
  const { free, total } = series.bytes;
  return {
    ...common,
    expr: `100 * (1 - max_over_time(${free}[${span(always)}]) / (${total} > 0)) >= ${percent}`,
    summary: `${series.where} has {{ printf "%.1f" $value }} % of its quota in use`,
    reads: [],
  };
}

/** Rules on what nobody measures are silent, so something has to say that nobody does. */
function unwatched({ series, mounts }: VolumeAlertsArgs): AlertDraft[] {
  if (mounts === null) return [];
  return [
    {
      alert: "VideoStorageVolumesUnwatched",
      severity: "warning",
      expr: `(count(${series.bytes.total}) or vector(0)) < ${mounts}`,
      forSeconds: 15 * MINUTE,
      summary: `{{ $value }} of ${mounts} volumes are measured by node-exporter`,
      description:
        "A node is gone, its slots aren't mounted, or node-exporter doesn't see them: no alert can tell when one of " +
        "the missing volumes is full.",
      reads: [],
    },
  ];
}

/**
 * Rules with the names that kube-prometheus gives to those on node-exporter's filesystems, for the volumes alone, so
 * that what routes, silences and draws by these names has the volumes too.
 */
export function stockVolumeAlerts({ series, periodSeconds, bytes, inodes }: VolumeAlertsArgs): AlertDraft[] {
  const { where } = series;
  const kinds = [
    { what: "Space", room: series.bytes, marks: bytes },
    { what: "Files", room: series.inodes, marks: inodes },
  ];
  return kinds.flatMap(({ what, room, marks }) => [
    ...slowPredictions(`NodeFilesystem${what}FillingUp`).map((prediction) =>
      fillingUp({
        prediction,
        room,
        marks,
        periodSeconds,
        where,
        description: "Over several sweeps the volume gets fuller. Add a node before workers are refused.",
      }),
    ),
    ...(["critical", "warning"] as const).map((severity): AlertDraft => ({
      alert: `NodeFilesystemAlmostOutOf${what}`,
      severity,
      expr: `${freePercent(room)} < ${severity === "critical" ? 3 : 5}`,
      forSeconds: 5 * MINUTE,
      keepFiringForSeconds: untilSweptAgain(periodSeconds),
      summary: `${where} has {{ printf "%.1f" $value }} % of its ${room.unit === "bytes" ? "space" : "inodes"} left`,
      description: "The volume is all but full, and no sweep has helped yet.",
      reads: [],
    })),
  ]);
}
