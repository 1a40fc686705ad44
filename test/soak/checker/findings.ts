import { TRASH_DIRECTORY } from "@video-storage/contract/layout";

import type { Code } from "./codes.js";
import type { AuditRow, DiskEvidence, Entry, Evidence, JobRow, RecordOnDisk, Violation } from "./evidence.js";

/** The evidence by what it is asked for, and what was found wrong with it. */
export class Findings {
  readonly violations: Violation[] = [];
  readonly rows: ReadonlyMap<string, JobRow>;
  readonly #audit: ReadonlyMap<string, AuditRow[]>;
  readonly #disks: ReadonlyMap<string, DiskEvidence>;
  readonly #entries = new Map<string, ReadonlyMap<string, Entry>>();

  constructor({ catalogue, disks }: Evidence) {
    this.rows = new Map(catalogue.jobs.map((row) => [row.jobId, row]));
    this.#disks = new Map(disks.map((disk) => [disk.volume.name, disk]));
    for (const disk of disks)
      this.#entries.set(disk.volume.name, new Map(disk.entries.map((entry) => [entry.path, entry])));
    this.#audit = groupedBy(catalogue.audit, ({ jobId }) => jobId);
  }

  add(code: Code, subject: string, detail: string): void {
    this.violations.push({ code, subject, detail });
  }

  /** What the audit has of a job, in the order in which it was written. */
  auditOf(jobId: string): readonly AuditRow[] {
    return (this.#audit.get(jobId) ?? []).toSorted((a, b) => a.recordedAt - b.recordedAt);
  }

  nodeOf(volume: string): string | undefined {
    return this.#disks.get(volume)?.volume.node;
  }

  entryOf(volume: string, path: string): Entry | undefined {
    return this.#entries.get(volume)?.get(path);
  }

  recordOf(volume: string, jobId: string): RecordOnDisk | undefined {
    return this.#disks.get(volume)?.records.get(jobId);
  }
}

/** Where a job's directory is on its volume. */
export function placeOf(
  findings: Findings,
  volume: string,
  jobId: string,
): "in its place" | "in the trash" | "nowhere" {
  if (findings.entryOf(volume, jobId)) return "in its place";
  return findings.entryOf(volume, `${TRASH_DIRECTORY}/${jobId}`) ? "in the trash" : "nowhere";
}

/** In the order in which they come. */
export function groupedBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
