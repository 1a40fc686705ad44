/** What decides which filesystems the rules watch. */
export interface AlertRulesArgs {
  /** Directories on the nodes below which volumes are mounted. */
  readonly directories: readonly string[];
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: "warning" | "critical" };
  readonly annotations: { readonly summary: string; readonly description: string };
}

/**
 * Rules on what node-exporter measures of the volumes' own mount points: the kubelet watches only the
 * filesystems of the node and its images, so a full volume never shows as disk pressure.
 */
export function buildAlertRules(args: AlertRulesArgs): { groups: { name: string; rules: AlertRule[] }[] } {
  const mounts = `mountpoint=~"(${args.directories.map(escapeRegex).join("|")})/.+",fstype!="tmpfs"`;
  const available = `node_filesystem_avail_bytes{${mounts}}`;
  const share = `${available} / node_filesystem_size_bytes{${mounts}}`;
  const inodes = `node_filesystem_files_free{${mounts}} / node_filesystem_files{${mounts}}`;
  const where = "{{ $labels.mountpoint }} on {{ $labels.instance }}";
  return {
    groups: [
      {
        name: "video-storage-volumes",
        rules: [
          {
            alert: "VideoStorageVolumeFillingUp",
            // Half an hour back, not the usual six: a volume fills and is swept many times in six hours.
            expr: `${share} < 0.40 and predict_linear(${available}[30m], 4 * 3600) < 0`,
            for: "5m",
            labels: { severity: "warning" },
            annotations: {
              summary: `${where} will be full within four hours`,
              description: "Add a node or shorten the retention before workers are refused.",
            },
          },
          {
            alert: "VideoStorageVolumeNearlyFull",
            expr: `${share} < 0.10`,
            // At a gigabyte a second the last tenth of a large disk lasts minutes.
            for: "1m",
            labels: { severity: "critical" },
            annotations: {
              summary: `${where} has less than 10 % left`,
              description:
                "New jobs are about to be refused there. See what holds the space with `cleanup-job explain`.",
            },
          },
          {
            alert: "VideoStorageVolumeInodesNearlyExhausted",
            expr: `${inodes} < 0.10`,
            for: "1m",
            labels: { severity: "critical" },
            annotations: {
              summary: `${where} has less than 10 % of its inodes left`,
              description: "Many small files; writes fail although there is room.",
            },
          },
        ],
      },
    ],
  };
}

/** For a regular expression inside a PromQL string, where the backslash itself is escaped. */
function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\\\$&");
}
