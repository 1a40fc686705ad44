import { METRICS } from "@video-storage/contract/metrics";
import type { Metric, MetricLabel } from "@video-storage/contract/metrics";

import { is, ours, selector } from "../alerts/promql.js";
import { volumeSeries } from "../alerts/volume-series.js";
import type { VolumeSeries } from "../alerts/volume-series.js";
import type { DashboardArgs } from "./dashboard.js";
import type { PanelDraft, RowDraft } from "./model.js";

/** A panel of a thousand lines shows none of them; of volumes it has the twenty that matter most. */
const SHOWN = 20;
/** Grafana's own: at least four scrapes, or a point of the plot where that is more. */
const RATE_WINDOW = "$__rate_interval";
/** Those chosen above the panels. */
const CHOSEN_TENANT = `tenant=~"$tenant"`;

/** By which one alert on metrics of ours is told from another of the same name. */
const ALERT_LABELS: readonly MetricLabel[] = [
  "volume",
  "node",
  "tenant",
  "action",
  "reason",
  "bucket",
  "capability",
];

/** How a volume is called where it is measured. */
const WHERE = {
  "node-exporter": "{{mountpoint}} on {{instance}}",
  kubelet: "{{persistentvolumeclaim}}",
} as const;

/** What each row shows, from the volumes to what measures them. */
export function rows(args: DashboardArgs): RowDraft[] {
  const { environment, source, sourceLabels } = args;
  const of = (metric: Metric, ...more: string[]) => ours(metric, environment, ...more);
  const ofTenant = (metric: Metric) => of(metric, CHOSEN_TENANT);
  const rate = (metric: Metric, ...more: string[]) => `rate(${of(metric, ...more)}[${RATE_WINDOW}])`;
  const series = volumeSeries(source, sourceLabels);
  const where = WHERE[source.by];
  return [
    { title: "Volumes", panels: [...measured(args, series, where), ...leftBySweeps(args, of, ofTenant)] },
    { title: "Jobs", panels: jobs(of, ofTenant) },
    { title: "Sweeps", panels: sweeps(of, rate) },
    { title: "Audit", panels: audit(of) },
    { title: "Object storage", panels: objectStorage(of, rate) },
    { title: "Workers", panels: workers(environment, rate, ofTenant) },
    { title: "Monitoring", panels: monitoring(environment, of, series) },
  ];
}

type Of = (metric: Metric, ...more: string[]) => string;

function measured(
  { nearlyFullPercent, bytes, inodes }: DashboardArgs,
  series: VolumeSeries,
  where: string,
): PanelDraft[] {
  const used = (room: VolumeSeries["bytes"]) =>
    `topk(${SHOWN}, 100 * (1 - ${room.free} / (${room.total} > 0)))`;
  const common = { type: "timeseries", width: 12, unit: "percent", minimum: 0, maximum: 100 } as const;
  return [
    {
      ...common,
      title: "In use, the fullest volumes",
      description:
        "The saw of workers that fill and sweeps that free. A sweep begins to evict at the lower line.",
      queries: [{ expr: used(series.bytes), legend: where }],
      thresholds: { warning: bytes.highPercent, critical: nearlyFullPercent },
    },
    {
      ...common,
      title: "Inodes in use, the fullest volumes",
      description: "Many small files use these up first; then writes fail although there is room.",
      queries: [{ expr: used(series.inodes), legend: where }],
      thresholds: { warning: inodes.highPercent, critical: nearlyFullPercent },
    },
    {
      type: "timeseries",
      width: 12,
      unit: "Bps",
      title: "Filling, the fastest volumes",
      description:
        "Bytes a second that are written beyond what is freed, over two minutes; below zero a sweep frees.",
      queries: [{ expr: `topk(${SHOWN}, -deriv(${series.bytes.free}[2m]))`, legend: where }],
    },
  ];
}

function leftBySweeps({ bytes, nearlyFullPercent }: DashboardArgs, of: Of, ofTenant: Of): PanelDraft[] {
  const share = (used: Metric, capacity: Metric) =>
    `topk(${SHOWN}, 100 * ${of(used)} / (${of(capacity)} > 0))`;
  return [
    {
      type: "timeseries",
      width: 12,
      unit: "percent",
      minimum: 0,
      maximum: 100,
      title: "In use after each sweep",
      description: "The feet of the saw. When they rise, more is kept than the volumes are made for.",
      queries: [
        { expr: share(METRICS.volumeUsedBytes, METRICS.volumeCapacityBytes), legend: "{{volume}}" },
        { expr: share(METRICS.volumeUsedInodes, METRICS.volumeCapacityInodes), legend: "{{volume}}, inodes" },
      ],
      thresholds: { warning: bytes.highPercent, critical: nearlyFullPercent },
    },
    {
      type: "timeseries",
      width: 12,
      unit: "bytes",
      stacked: true,
      title: "On volumes, by tenant",
      description: "Finished jobs, after each sweep.",
      queries: [{ expr: `sum by (tenant) (${ofTenant(METRICS.volumeTenantBytes)})`, legend: "{{tenant}}" }],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "short",
      stacked: true,
      title: "Jobs on volumes, by tenant",
      description: "Active ones among them, after each sweep.",
      queries: [{ expr: `sum by (tenant) (${ofTenant(METRICS.volumeTenantJobs)})`, legend: "{{tenant}}" }],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "s",
      title: "Since the last access",
      description: "What nobody has read or written for long is what a sweep under pressure takes first.",
      queries: [
        { expr: `time() - max by (tenant) (${ofTenant(METRICS.lastAccess)})`, legend: "{{tenant}}" },
        { expr: `topk(${SHOWN}, time() - (${of(METRICS.volumeLastAccess)} > 0))`, legend: "{{volume}}" },
      ],
    },
  ];
}

function jobs(of: Of, ofTenant: Of): PanelDraft[] {
  return [
    {
      type: "stat",
      width: 6,
      unit: "short",
      title: "Slots in use, of those declared",
      description: "When all are in use the next worker waits: add a node.",
      queries: [
        { expr: `max(${of(METRICS.slotsInUse)})`, legend: "in use" },
        { expr: `max(${of(METRICS.slots)})`, legend: "declared" },
      ],
    },
    {
      type: "stat",
      width: 6,
      unit: "short",
      title: "Extractions, and their limit",
      description: "Every job beyond the limit is refused.",
      queries: [
        { expr: `sum(${of(METRICS.jobs, `state="active"`)})`, legend: "active" },
        { expr: `max(${of(METRICS.extractionLimit)})`, legend: "limit" },
      ],
    },
    {
      type: "stat",
      width: 6,
      unit: "bytes",
      title: "Past their time",
      description: "What the next sweeps will free. It is never quite zero, and never more for long.",
      queries: [{ expr: `sum(${of(METRICS.eligibleBytes)}) or vector(0)`, legend: "bytes" }],
    },
    {
      type: "stat",
      width: 6,
      unit: "short",
      title: "Jobs past their time",
      description: "The same in jobs.",
      queries: [{ expr: `sum(${of(METRICS.eligibleJobs)}) or vector(0)`, legend: "jobs" }],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "short",
      stacked: true,
      title: "Jobs by state",
      description: "Of the tenants chosen above, wherever their files are.",
      queries: [
        { expr: `sum by (state, location) (${ofTenant(METRICS.jobs)})`, legend: "{{state}}, {{location}}" },
      ],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "bytes",
      stacked: true,
      title: "Bytes by state",
      description: "As recorded; an active job's count nothing yet.",
      queries: [
        {
          expr: `sum by (state, location) (${ofTenant(METRICS.jobBytes)})`,
          legend: "{{state}}, {{location}}",
        },
      ],
    },
    {
      type: "timeseries",
      width: 24,
      unit: "s",
      title: "Age of the oldest job, by state",
      description: "Beyond the state's time to live something keeps jobs that should have gone.",
      queries: [
        {
          expr: `max by (state, location) (${ofTenant(METRICS.oldestJobAge)})`,
          legend: "{{state}}, {{location}}",
        },
      ],
    },
  ];
}

function sweeps(of: Of, rate: Of): PanelDraft[] {
  return [
    {
      type: "timeseries",
      width: 12,
      unit: "s",
      title: "Since the last sweep, the longest",
      description: "It should not be more than a period of the schedule and both deadlines.",
      queries: [
        { expr: `topk(${SHOWN}, time() - ${of(METRICS.sweepLastCompletion)})`, legend: "{{volume}} ended" },
        { expr: `topk(${SHOWN}, time() - ${of(METRICS.sweepLastSuccess)})`, legend: "{{volume}} succeeded" },
      ],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "s",
      title: "Duration of the last sweep, the longest",
      description: "Near the deadline a sweep is ended, and the next one goes on where it was.",
      queries: [{ expr: `topk(${SHOWN}, ${of(METRICS.sweepDuration)})`, legend: "{{volume}}" }],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "ops",
      title: "Sweeps, by how they ended",
      description: "Of all volumes.",
      queries: [{ expr: `sum by (result) (${rate(METRICS.sweeps)})`, legend: "{{result}}" }],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "ops",
      title: "Jobs deleted, moved and failed at",
      description: "In all sweeps of the environment.",
      queries: [
        { expr: `sum(${rate(METRICS.deletedJobs)})`, legend: "deleted" },
        { expr: `sum(${rate(METRICS.tieredJobs)})`, legend: "moved to object storage" },
        { expr: `sum(${rate(METRICS.failedJobs)})`, legend: "failed at" },
      ],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "Bps",
      title: "Freed",
      description: "Bytes a second that sweeps free on volumes.",
      queries: [{ expr: `sum(${rate(METRICS.freedBytes)})`, legend: "freed" }],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "short",
      stacked: true,
      title: "What the last sweeps did with jobs",
      description: "All volumes together.",
      queries: [{ expr: `sum by (action) (${of(METRICS.sweepJobs)})`, legend: "{{action}}" }],
    },
    {
      type: "table",
      width: 12,
      unit: "short",
      title: "Volumes whose last sweep failed, and what lies in their trash",
      description:
        "Failed: some job that is due is still there. Trash: deletions that were begun and not finished.",
      queries: [
        { expr: `sum by (volume, node) (${of(METRICS.sweepFailed)}) > 0`, legend: "failed" },
        { expr: `sum by (volume, node) (${of(METRICS.trashEntries)}) > 0`, legend: "in the trash" },
      ],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "bytes",
      title: "Freed by the last sweep, the most",
      description: "By volume.",
      queries: [{ expr: `topk(${SHOWN}, ${of(METRICS.sweepFreedBytes)})`, legend: "{{volume}}" }],
    },
    {
      type: "table",
      width: 12,
      unit: "short",
      title: "Slots that were never swept",
      description: "Declared, and without a sweep that the Pushgateway knows of.",
      queries: [
        {
          expr: `sum by (volume) (${of(METRICS.slotInfo)}) unless on (volume) ${of(METRICS.sweepLastCompletion)}`,
          legend: "slots",
        },
      ],
    },
  ];
}

function audit(of: Of): PanelDraft[] {
  return [
    {
      type: "timeseries",
      width: 12,
      unit: "short",
      title: "Begun, and without an outcome",
      description: "Deletions and moves; the next sweep finishes what a killed one began.",
      queries: [{ expr: `max by (action) (${of(METRICS.auditOpenIntents)})`, legend: "{{action}}" }],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "s",
      title: "Age of the oldest of them",
      description: "The audit's lag: how long it has not been known what became of a job.",
      queries: [{ expr: `max by (action) (${of(METRICS.auditLag)})`, legend: "{{action}}" }],
    },
  ];
}

function objectStorage(of: Of, rate: Of): PanelDraft[] {
  return [
    {
      type: "stat",
      width: 6,
      unit: "short",
      title: "Volumes whose last sweep could not reach it",
      description: "Their completed jobs stay on them past their time.",
      queries: [{ expr: `sum(${of(METRICS.objectStorageAway)}) or vector(0)`, legend: "volumes" }],
      thresholds: { warning: 1 },
    },
    {
      type: "stat",
      width: 6,
      unit: "s",
      title: "Since the bucket was looked through",
      description: "Unfinished uploads and objects past their time go when it is.",
      queries: [
        { expr: `time() - max by (bucket) (${of(METRICS.janitorLastSuccess)})`, legend: "{{bucket}}" },
      ],
    },
    {
      type: "table",
      width: 12,
      unit: "bool_yes_no",
      title: "What the endpoint was found to do",
      description: "By the probe of the last deployment.",
      queries: [{ expr: `max by (bucket, capability) (${of(METRICS.capability)})`, legend: "held" }],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "bytes",
      stacked: true,
      title: "In object storage, by tenant",
      description: "As recorded.",
      queries: [
        {
          expr: `sum by (tenant) (${of(METRICS.jobBytes, `location="object"`, CHOSEN_TENANT)})`,
          legend: "{{tenant}}",
        },
      ],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "Bps",
      title: "Staged by workers",
      description: "Copied and verified while the job runs or when it ends.",
      queries: [
        { expr: `sum by (tenant) (${rate(METRICS.workerStagedBytes, CHOSEN_TENANT)})`, legend: "{{tenant}}" },
      ],
    },
    {
      type: "timeseries",
      width: 12,
      unit: "s",
      title: "Age of the oldest job there",
      description: "By state.",
      queries: [
        {
          expr: `max by (state) (${of(METRICS.oldestJobAge, `location="object"`, CHOSEN_TENANT)})`,
          legend: "{{state}}",
        },
      ],
    },
  ];
}

function workers(environment: string, rate: Of, ofTenant: Of): PanelDraft[] {
  const durations = selector(`${METRICS.workerWriteDuration.name}_bucket`, [
    is("environment", environment),
    CHOSEN_TENANT,
  ]);
  const quantile = (share: number) =>
    `histogram_quantile(${share}, sum by (le) (rate(${durations}[${RATE_WINDOW}])))`;
  return [
    {
      type: "timeseries",
      width: 8,
      unit: "short",
      stacked: true,
      title: "Active jobs",
      description: "Whose lease a worker that is scraped holds.",
      queries: [{ expr: `sum by (tenant) (${ofTenant(METRICS.workerActiveJobs)})`, legend: "{{tenant}}" }],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "ops",
      title: "Jobs, by how they ended",
      description: "In workers that are scraped.",
      queries: [
        { expr: `sum by (outcome) (${rate(METRICS.workerJobs, CHOSEN_TENANT)})`, legend: "{{outcome}}" },
      ],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "Bps",
      title: "Written",
      description: "Bytes a second that became durable under their final names.",
      queries: [
        {
          expr: `sum by (tenant) (${rate(METRICS.workerWrittenBytes, CHOSEN_TENANT)})`,
          legend: "{{tenant}}",
        },
      ],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "s",
      title: "Time to write a file",
      description: "Until its final name is durable.",
      queries: [
        { expr: quantile(0.5), legend: "half of them" },
        { expr: quantile(0.95), legend: "95 %" },
        { expr: quantile(0.99), legend: "99 %" },
      ],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "ops",
      title: "Refused, and failed",
      description: "Refusals by their reason, operations that failed by the error's name.",
      queries: [
        {
          expr: `sum by (reason) (${rate(METRICS.workerRefusals, CHOSEN_TENANT)})`,
          legend: "refused: {{reason}}",
        },
        { expr: `sum by (reason) (${rate(METRICS.workerErrors, CHOSEN_TENANT)})`, legend: "{{reason}}" },
      ],
    },
    {
      type: "timeseries",
      width: 8,
      unit: "short",
      title: "Changes that the catalogue doesn't have yet",
      description: "They are durable on the volumes, and replayed once it answers.",
      queries: [
        { expr: `sum by (tenant) (${ofTenant(METRICS.workerSpooledRecords)})`, legend: "{{tenant}}" },
      ],
    },
  ];
}

function monitoring(environment: string, of: Of, series: VolumeSeries): PanelDraft[] {
  const told = ["alertname", "severity", ...series.labels, ...ALERT_LABELS].join(", ");
  return [
    {
      type: "stat",
      width: 6,
      unit: "bool_yes_no",
      title: "Does the catalogue answer?",
      description: "While it doesn't, nothing is deleted.",
      queries: [{ expr: `max(${of(METRICS.catalogueUp)})`, legend: "catalogue" }],
    },
    {
      type: "stat",
      width: 6,
      unit: "s",
      title: "How long it takes to ask it",
      description: "For one scrape.",
      queries: [{ expr: `max(${of(METRICS.exporterDuration)})`, legend: "exporter" }],
    },
    {
      type: "table",
      width: 12,
      unit: "short",
      title: "Alerts",
      description: "Those that fire, each of what it is about in a line of its own.",
      queries: [
        {
          expr: `sum by (${told}) (${selector("ALERTS", [
            `alertstate="firing"`,
            `environment="${environment}"`,
          ])})`,
          legend: "firing",
        },
      ],
    },
  ];
}
