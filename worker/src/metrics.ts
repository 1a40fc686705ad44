import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { definitionOf } from "@video-storage/contract/exposition";
import { METRICS, WORKER_METRICS_PORT } from "@video-storage/contract/metrics";
import type { Metric } from "@video-storage/contract/metrics";
import { serveScrapes } from "@video-storage/contract/scrape-server";
import type { Storage } from "./storage.js";

export type { Registry } from "prom-client";

export interface ServeMetricsOptions {
  /** Default: every address of the pod. */
  readonly host?: string;
  /** Default: the contract's `metrics.port`, else 9401. 0 for any that is free. */
  readonly port?: number;
  /** Where the worker has metrics of its own, theirs. Default: a new one. */
  readonly registry?: Registry;
  /** Told why a scrape could not be answered. Default: nobody. */
  readonly onError?: (error: unknown) => void;
}

/** A worker's metrics, for Prometheus to scrape. */
export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Files of a worker are from a thumbnail to a film, and a disk takes 100 MB to some GB in a second. */
const WRITE_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800];
/** Errors with names of their own; a label must not grow with what a source throws. */
const MOST_REASONS = 40;
const OTHER_REASON = "other";

/**
 * Serves the metrics of a storage: `GET /metrics`, and `GET /healthz`. They count from this call on. It doesn't keep
 * the process alive. Rejects when the port can't be had.
 */
export async function serveMetrics(
  storage: Storage,
  options: ServeMetricsOptions = {},
): Promise<MetricsServer> {
  const registry = options.registry ?? new Registry();
  registerMetrics(storage, registry);
  const { host, onError } = options;
  const server = await serveScrapes({
    ...(host !== undefined && { host }),
    ...(onError && { onError }),
    port: options.port ?? storage.contract.metrics?.port ?? WORKER_METRICS_PORT,
    metrics: () => registry.metrics(),
  });
  server.unref();
  return server;
}

/** For a worker that serves metrics already: adds those of a storage, of several tenants as of one, to its registry. */
export function registerMetrics(storage: Storage, registry: Registry): void {
  const { environment } = storage.contract;
  const labels = { environment, tenant: storage.tenantId };
  const { jobs, refusals, writtenBytes, writeDuration, errors, stagedBytes, storages } = metricsIn(registry);
  const reasons = new Set<string>();
  storages.add(storage);
  // What has not happened yet is 0, so that the first time is seen as an increase.
  for (const outcome of ["completed", "failed", "handed-over", "quarantined", "uploaded"]) {
    jobs.inc({ ...labels, outcome }, 0);
  }
  for (const reason of ["space", "concurrency", "busy"]) refusals.inc({ ...labels, reason }, 0);
  for (const counter of [writtenBytes, stagedBytes]) counter.inc(labels, 0);
  writeDuration.zero(labels);
  storage.observe({
    ended: (outcome) => jobs.inc({ ...labels, outcome }),
    refused: (reason) => refusals.inc({ ...labels, reason }),
    failed: (error) => errors.inc({ ...labels, reason: reasonOf(error, reasons) }),
    wrote(bytes, seconds) {
      writtenBytes.inc(labels, bytes);
      writeDuration.observe(labels, seconds);
    },
    staged: (bytes) => stagedBytes.inc(labels, bytes),
  });
}

interface WorkerMetrics {
  readonly jobs: Counter;
  readonly refusals: Counter;
  readonly writtenBytes: Counter;
  readonly writeDuration: Histogram;
  readonly errors: Counter;
  readonly stagedBytes: Counter;
  readonly storages: Set<Storage>;
}

/** A registry takes a name once. */
const known = new WeakMap<Registry, WorkerMetrics>();

function metricsIn(registry: Registry): WorkerMetrics {
  const found = known.get(registry);
  if (found) return found;
  const storages = new Set<Storage>();
  const defined = (metric: Metric) => {
    const { name, help, labelNames } = definitionOf(metric);
    return { name, help, labelNames: [...labelNames, "environment"], registers: [registry] };
  };
  const counter = (metric: Metric): Counter => new Counter(defined(metric));
  const ofActivity = (metric: Metric, value: (storage: Storage) => number): void => {
    new Gauge({
      ...defined(metric),
      collect() {
        this.reset();
        for (const storage of storages) {
          this.inc({ environment: storage.contract.environment, tenant: storage.tenantId }, value(storage));
        }
      },
    });
  };
  ofActivity(METRICS.workerActiveJobs, (storage) => storage.activity().activeJobs);
  ofActivity(METRICS.workerSpooledRecords, (storage) => storage.activity().unreportedJobs);
  const made = {
    jobs: counter(METRICS.workerJobs),
    refusals: counter(METRICS.workerRefusals),
    writtenBytes: counter(METRICS.workerWrittenBytes),
    writeDuration: new Histogram({ ...defined(METRICS.workerWriteDuration), buckets: WRITE_SECONDS }),
    errors: counter(METRICS.workerErrors),
    stagedBytes: counter(METRICS.workerStagedBytes),
    storages,
  };
  known.set(registry, made);
  return made;
}

function reasonOf(error: unknown, seen: Set<string>): string {
  const name = error instanceof Error ? error.name : OTHER_REASON;
  if (!/^[A-Za-z]{1,60}$/.test(name)) return OTHER_REASON;
  if (!seen.has(name) && seen.size >= MOST_REASONS) return OTHER_REASON;
  seen.add(name);
  return name;
}
