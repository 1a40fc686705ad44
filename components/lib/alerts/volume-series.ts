import { escapeRegex, is, quoted, selector } from "./promql.js";

/** Who measures the volumes, and which of what it measures are they. */
export type VolumeSource =
  /** node-exporter, by the directories on the nodes below which volumes are mounted, and where else some are. */
  | {
      readonly by: "node-exporter";
      readonly directories: readonly string[];
      readonly mountPoints?: readonly string[];
    }
  /**
   * The kubelet, by the namespace of the claims: volumes of a storage driver are mounted where node-exporter doesn't
   * look by default. It knows a volume only while a pod uses it.
   */
  | { readonly by: "kubelet"; readonly namespace: string };

/** Bytes or inodes of the volumes: selectors without a range. */
export interface Room {
  readonly unit: "bytes" | "inodes";
  readonly free: string;
  readonly total: string;
}

export interface VolumeSeries {
  readonly bytes: Room;
  readonly inodes: Room;
  /** By which one volume is told from another. */
  readonly labels: readonly string[];
  /** Names one volume, in an annotation. */
  readonly where: string;
}

/** The series of the volumes. `labels` tell this environment's from those of other clusters in the same Prometheus. */
export function volumeSeries(
  source: VolumeSource,
  labels: Readonly<Record<string, string>> = {},
): VolumeSeries {
  const more = Object.entries(labels).map(([label, value]) => is(label, value));
  if (source.by === "kubelet") {
    const matchers = [is("namespace", source.namespace), ...more];
    const series = (name: string) => selector(`kubelet_volume_stats_${name}`, matchers);
    return {
      bytes: { unit: "bytes", free: series("available_bytes"), total: series("capacity_bytes") },
      inodes: { unit: "inodes", free: series("inodes_free"), total: series("inodes") },
      labels: ["namespace", "persistentvolumeclaim"],
      where: "{{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }}",
    };
  }
  const mountPoints = [
    ...source.directories.map((directory) => `${escapeRegex(directory)}/.+`),
    ...(source.mountPoints ?? []).map(escapeRegex),
  ];
  // The node agent covers a directory whose slots aren't mounted with a tmpfs.
  const matchers = [`mountpoint=~${quoted(mountPoints.join("|"))}`, `fstype!="tmpfs"`, ...more];
  const series = (name: string) => selector(`node_filesystem_${name}`, matchers);
  return {
    bytes: { unit: "bytes", free: series("avail_bytes"), total: series("size_bytes") },
    inodes: { unit: "inodes", free: series("files_free"), total: series("files") },
    labels: ["instance", "mountpoint"],
    where: "{{ $labels.mountpoint }} on {{ $labels.instance }}",
  };
}

/** The percentage that is free. A filesystem without a limit on inodes says that it has none, and drops out. */
export function freePercent({ free, total }: Room): string {
  return `100 * ${free} / (${total} > 0)`;
}
