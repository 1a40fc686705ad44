import type { Course, Labels } from "../series.js";
import { named } from "../series.js";

/** Bytes of the disk in the brief's example. */
export const SIZE = 1.92e12;
/** Percent of it that one gigabyte a second fills in a second. */
export const GIGABYTE_A_SECOND = 100 / 1920;

export const SLOT: Labels = {
  instance: "node-a:9100",
  job: "node-exporter",
  device: "/dev/nvme0n1p1",
  fstype: "ext4",
  mountpoint: "/mnt/video-jobs/slot-0",
};

export const WHERE = "/mnt/video-jobs/slot-0 on node-a:9100";

type SeriesByName = Record<string, Course>;

/** What node-exporter says of a volume's bytes. */
export function bytesUsed(percent: Course, labels: Labels = SLOT): SeriesByName {
  return room("avail_bytes", "size_bytes", SIZE, percent, labels);
}

/** What node-exporter says of a volume's inodes. */
export function inodesUsed(percent: Course, labels: Labels = SLOT): SeriesByName {
  return room("files_free", "files", 1e6, percent, labels);
}

function room(free: string, total: string, size: number, percent: Course, labels: Labels): SeriesByName {
  const at = (value: (used: number) => number): Course => {
    return (second) => {
      const used = percent(second);
      return used === null ? null : Math.max(0, Math.round(value(used)));
    };
  };
  return {
    [named(`node_filesystem_${free}`, labels)]: at((used) => size * (1 - used / 100)),
    [named(`node_filesystem_${total}`, labels)]: at(() => size),
  };
}
