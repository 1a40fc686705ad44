/**
 * Every metric of ours, said once: the programs that export them, the alerts, the dashboard and the documents take
 * names, labels and units from here. Names and units follow Prometheus' conventions (base units, `_total` for
 * counters). No label takes a value that a tenant chooses freely or that grows with the jobs: a job's id is in the
 * logs and the audit, never here. Each series has the label `environment` besides.
 */

export interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  /** Beside `environment`. */
  readonly labels: readonly MetricLabel[];
  readonly source: MetricSource;
}

/** Who exports it. */
export type MetricSource =
  /**
   * Pushed to the Pushgateway at the end of a sweep: how the last one of each volume went. What a failed sweep couldn't
   * find out keeps the value that the one before it pushed.
   */
  | "sweep"
  /** Scraped from the exporter, which asks the catalogue. */
  | "exporter"
  /** Scraped from a worker or an upload worker. */
  | "worker";

export type MetricLabel =
  | "volume"
  | "node"
  | "tenant"
  | "state"
  | "location"
  | "action"
  | "result"
  | "reason"
  | "outcome"
  | "capability"
  | "bucket";

const PREFIX = "video_storage_";

function metric(
  source: MetricSource,
  type: Metric["type"],
  name: string,
  help: string,
  labels: readonly MetricLabel[] = [],
): Metric {
  return { name: `${PREFIX}${name}`, type, help, labels, source };
}

/**
 * Groups of the Pushgateway: `job` with this value, then `environment` and `volume`; what is the bucket's, and the same
 * from whichever sweep, has `bucket` in the place of `volume`.
 */
export const PUSH_JOB = "video-storage-cleanup";

/** Where programs of ours answer scrapes, unless they are told otherwise. */
export const EXPORTER_PORT = 9400;
export const WORKER_METRICS_PORT = 9401;

export const METRICS = {
  // Of the last sweep of each volume.
  sweepLastCompletion: metric(
    "sweep",
    "gauge",
    "sweep_last_completion_timestamp_seconds",
    "When the last sweep of the volume ended, however it went.",
    ["volume", "node"],
  ),
  sweepLastSuccess: metric(
    "sweep",
    "gauge",
    "sweep_last_success_timestamp_seconds",
    "When the last sweep of the volume ended with every due job dealt with.",
    ["volume", "node"],
  ),
  sweepDuration: metric("sweep", "gauge", "sweep_duration_seconds", "How long the last sweep took.", [
    "volume",
    "node",
  ]),
  sweepFailed: metric(
    "sweep",
    "gauge",
    "sweep_failed",
    "1 when the last sweep could not deal with every due job, or had to end early; else 0.",
    ["volume", "node"],
  ),
  sweepJobs: metric(
    "sweep",
    "gauge",
    "sweep_jobs",
    "Jobs that the last sweep dealt with, by what it did; those evicted are among the deleted and tiered, those reported among the kept.",
    ["volume", "node", "action"],
  ),
  sweepFreedBytes: metric("sweep", "gauge", "sweep_freed_bytes", "Bytes that the last sweep freed.", [
    "volume",
    "node",
  ]),
  volumeUsedBytes: metric(
    "sweep",
    "gauge",
    "volume_used_bytes",
    "Bytes in use on the volume, after the sweep.",
    ["volume", "node"],
  ),
  volumeCapacityBytes: metric(
    "sweep",
    "gauge",
    "volume_capacity_bytes",
    "Bytes that the volume can hold: its quota.",
    ["volume", "node"],
  ),
  volumeUsedInodes: metric(
    "sweep",
    "gauge",
    "volume_used_inodes",
    "Inodes in use on the volume, after the sweep.",
    ["volume", "node"],
  ),
  volumeCapacityInodes: metric(
    "sweep",
    "gauge",
    "volume_capacity_inodes",
    "Inodes that the volume can hold; 0 where its filesystem has no limit.",
    ["volume", "node"],
  ),
  volumeLastAccess: metric(
    "sweep",
    "gauge",
    "volume_last_access_timestamp_seconds",
    "When a job on the volume was last read or written, as the catalogue knows.",
    ["volume", "node"],
  ),
  volumeTenantBytes: metric(
    "sweep",
    "gauge",
    "volume_tenant_bytes",
    "Bytes of a tenant's finished jobs on the volume after the sweep, as recorded.",
    ["volume", "node", "tenant"],
  ),
  volumeTenantJobs: metric(
    "sweep",
    "gauge",
    "volume_tenant_jobs",
    "Jobs of a tenant on the volume after the sweep, active ones among them.",
    ["volume", "node", "tenant"],
  ),
  lastAccess: metric(
    "sweep",
    "gauge",
    "last_access_timestamp_seconds",
    "When a job of the tenant on the volume was last read or written, as the catalogue knows.",
    ["volume", "node", "tenant"],
  ),
  trashEntries: metric(
    "sweep",
    "gauge",
    "volume_trash_entries",
    "What lies in the volume's trash after the sweep: deletions that were begun and not finished.",
    ["volume", "node"],
  ),
  objectStorageAway: metric(
    "sweep",
    "gauge",
    "sweep_object_storage_away",
    "1 when the last sweep could not reach the object storage; else 0.",
    ["volume", "node"],
  ),
  capability: metric(
    "sweep",
    "gauge",
    "object_storage_capability",
    "Whether the bucket's endpoint was found to do what is named, at the last deployment: 1 or 0.",
    ["bucket", "capability"],
  ),

  // As the catalogue has it.
  catalogueUp: metric(
    "exporter",
    "gauge",
    "catalogue_up",
    "1 when the catalogue answered the exporter; then everything else it exports is there too.",
  ),
  jobs: metric("exporter", "gauge", "jobs", "Jobs that are not deleted.", ["tenant", "location", "state"]),
  jobBytes: metric(
    "exporter",
    "gauge",
    "job_bytes",
    "Bytes of the files of jobs that are not deleted, as recorded; an active job's count nothing.",
    ["tenant", "location", "state"],
  ),
  oldestJobAge: metric(
    "exporter",
    "gauge",
    "oldest_job_age_seconds",
    "How long the oldest job has been in its state, by the database's clock.",
    ["tenant", "location", "state"],
  ),
  eligibleJobs: metric(
    "exporter",
    "gauge",
    "eligible_jobs",
    "Jobs on volumes whose time has run out and that no sweep has dealt with yet.",
    ["tenant", "state"],
  ),
  eligibleBytes: metric("exporter", "gauge", "eligible_bytes", "Bytes of the eligible jobs.", [
    "tenant",
    "state",
  ]),
  sweeps: metric("exporter", "counter", "sweeps_total", "Sweeps that ended.", ["result"]),
  deletedJobs: metric(
    "exporter",
    "counter",
    "deleted_jobs_total",
    "Jobs deleted from volumes by sweeps.",
    [],
  ),
  tieredJobs: metric(
    "exporter",
    "counter",
    "tiered_jobs_total",
    "Jobs moved to object storage by sweeps.",
    [],
  ),
  failedJobs: metric(
    "exporter",
    "counter",
    "sweep_failures_total",
    "Times that a sweep failed at one job.",
    [],
  ),
  freedBytes: metric("exporter", "counter", "freed_bytes_total", "Bytes freed on volumes by sweeps.", []),
  auditOpenIntents: metric(
    "exporter",
    "gauge",
    "audit_open_intents",
    "Deletions and moves that were begun and whose outcome is not recorded yet.",
    ["action"],
  ),
  auditLag: metric(
    "exporter",
    "gauge",
    "audit_lag_seconds",
    "Age of the oldest deletion or move whose outcome is not recorded yet; 0 when there is none.",
    ["action"],
  ),
  extractionLimit: metric(
    "exporter",
    "gauge",
    "extraction_limit",
    "Extractions that may run at once in the whole environment: slots times jobs per slot. No series without a limit.",
  ),
  slots: metric("exporter", "gauge", "slots", "Slots that the stack declares."),
  slotInfo: metric(
    "exporter",
    "gauge",
    "slot_info",
    "1 for each slot that the stack declares. A Pushgateway keeps what was pushed of a slot that is gone: join with this.",
    ["volume"],
  ),
  slotsInUse: metric("exporter", "gauge", "slots_in_use", "Slots with at least one active job."),
  janitorLastSuccess: metric(
    "exporter",
    "gauge",
    "janitor_last_success_timestamp_seconds",
    "When the bucket was last looked through with nothing failed.",
    ["bucket"],
  ),
  exporterDuration: metric(
    "exporter",
    "gauge",
    "exporter_duration_seconds",
    "How long the catalogue took to answer for this scrape.",
  ),

  // Of each worker and upload worker.
  workerJobs: metric("worker", "counter", "worker_jobs_total", "Jobs that came to an end in this process.", [
    "tenant",
    "outcome",
  ]),
  workerActiveJobs: metric("worker", "gauge", "worker_active_jobs", "Jobs whose lease this process holds.", [
    "tenant",
  ]),
  workerRefusals: metric(
    "worker",
    "counter",
    "worker_refusals_total",
    "Jobs that were refused at their creation, by the reason's code.",
    ["tenant", "reason"],
  ),
  workerWrittenBytes: metric(
    "worker",
    "counter",
    "worker_written_bytes_total",
    "Bytes made durable under their final names.",
    ["tenant"],
  ),
  workerWriteDuration: metric(
    "worker",
    "histogram",
    "worker_write_duration_seconds",
    "How long it took to write a file, until its final name was durable; the wait for its source counts.",
    ["tenant"],
  ),
  workerErrors: metric(
    "worker",
    "counter",
    "worker_errors_total",
    "Operations that failed, by the error's name.",
    ["tenant", "reason"],
  ),
  workerSpooledRecords: metric(
    "worker",
    "gauge",
    "worker_unreplayed_records",
    "Changes of state that are durable on the volume and that the catalogue does not have yet.",
    ["tenant"],
  ),
  workerStagedBytes: metric(
    "worker",
    "counter",
    "worker_staged_bytes_total",
    "Bytes copied to object storage and verified.",
    ["tenant"],
  ),
} as const satisfies Record<string, Metric>;

export type MetricName = (typeof METRICS)[keyof typeof METRICS]["name"];
