import { decideByRow } from "@video-storage/catalogue/decision-by-row";
import { CatalogueRefusedError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { relieve } from "@video-storage/catalogue/relief";
import { auditLag, eligibleJobs, jobTotals } from "@video-storage/catalogue/statistics";
import {
  auditOfJob,
  clockOf,
  overdueJobs,
  recentAudit,
  recentSweeps,
  silentJobs,
  sweptVolumes,
  tenantsWithJobs,
  usageOverTime,
} from "@video-storage/catalogue/status-queries";
import type { UsagePoint } from "@video-storage/catalogue/status-queries";
import { findJob } from "@video-storage/catalogue/sweeping";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { usageByTenant } from "@video-storage/catalogue/tenant-usage";
import { dueJobsInPages } from "@video-storage/catalogue/volume-jobs";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import type { JobId } from "@video-storage/contract/identity";
import { retentionFor } from "@video-storage/contract/plan";
import type { Rules } from "@video-storage/contract/plan";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { auditEntry } from "./audit.js";
import type { AuditVerifier } from "./audit.js";
import { jobsPart } from "./jobs.js";
import { NEXT_JOBS_SHOWN } from "./model.js";
import type {
  AuditEntry,
  AuditPart,
  DueJob,
  JobDetail,
  ShownVolume,
  SourceState,
  Status,
  Volume,
  VolumeDetail,
} from "./model.js";
import { ageLimits, dueJob, nextSweepPart, rulesFrom } from "./next-sweep.js";
import { levelOf, problemsOf } from "./problems.js";
import { PrometheusError, alertsOf, filesystemsOf, readFilesystems, readUsage } from "./prometheus.js";
import type { Prometheus } from "./prometheus.js";
import { Source } from "./source.js";
import type { Reading } from "./source.js";
import { sweepOf } from "./sweeps.js";
import { pageOf, pressureOf, usageOf, volumesOf, volumesPart } from "./volumes.js";
import type { VolumeQuery } from "./volumes.js";

export interface StatusSources {
  /** Connected with a login that may read only. */
  readonly catalogue: Catalogue;
  readonly contract: StackContract;
  /** The sweep's settings; undefined where they are not at hand. */
  readonly cleanup: CleanupConfig | undefined;
  readonly prometheus: Prometheus | undefined;
  readonly verifier: AuditVerifier;
}

export interface StatusQuery {
  readonly volumes: VolumeQuery;
  /** How long an answer is waited for before what was known is shown instead. */
  readonly patienceMilliseconds: number;
}

/** Of how many hours a volume's use is shown beside it. */
const HOURS = 24;
const SPARKLINE_INTERVALS = 48;
const PLOT_INTERVALS = 240;
const SWEEPS_SHOWN = 20;
const AUDIT_SHOWN = 20;
const HOUR = 3600;

const CATALOGUE_KEPT_MILLISECONDS = 2_000;
const PROMETHEUS_KEPT_MILLISECONDS = 5_000;

/** Puts together what the page and the terminal show. Its memory grows with the volumes, not with jobs or audit. */
export class StatusReader {
  readonly #catalogue: Source<CatalogueReading>;
  readonly #prometheus: Source<PrometheusReading> | undefined;
  readonly #rules: Rules;
  #usage: readonly UsagePoint[] = [];
  private readonly sources: StatusSources;

  constructor(sources: StatusSources) {
    this.sources = sources;
    const { contract, cleanup, catalogue, prometheus } = sources;
    this.#rules = rulesFrom(contract, cleanup);
    this.#catalogue = new Source(() => readCatalogue(catalogue, this.#rules), {
      keepMilliseconds: CATALOGUE_KEPT_MILLISECONDS,
      problemOf: catalogueProblem,
    });
    this.#prometheus =
      prometheus &&
      new Source(() => readPrometheus(prometheus, contract), {
        keepMilliseconds: PROMETHEUS_KEPT_MILLISECONDS,
        problemOf: (error) => (error instanceof PrometheusError ? error.message : undefined),
      });
  }

  /** The whole status. Sources that are away are said to be; only defects are thrown. */
  async status({ volumes: query, patienceMilliseconds }: StatusQuery): Promise<Status> {
    const { contract, cleanup } = this.sources;
    const deadline = performance.now() + patienceMilliseconds;
    const [catalogue, prometheus] = await this.#read(patienceMilliseconds);
    const known = catalogue.value;
    const volumes = this.#volumes(known, prometheus.value);
    const page = pageOf(volumes, query);
    if (catalogue.state === "ok") await this.#refreshUsage(page.volumes, deadline - performance.now());
    const at = timeOf(catalogue);
    const parts = {
      statusVersion: 1,
      environment: contract.environment,
      at: at.toISOString(),
      catalogue: stateOf(catalogue, at),
      prometheus: stateOf(prometheus, at),
      volumes: known
        ? volumesPart(volumes, page, this.#usage, {
            hours: HOURS,
            highWaterPercent: this.#rules.pressure?.bytes.highWaterPercent ?? null,
          })
        : null,
      next: known
        ? nextSweepPart({
            ...{ schedule: contract.cleanup.schedule, rules: this.#rules, volumes },
            rulesFrom: cleanup ? "cleanup-config" : "contract",
            ...{ eligible: known.eligible, overdue: known.overdue, silent: known.silent },
          })
        : null,
      jobs: known ? jobsPart(known.totals) : null,
      sweeps: known ? known.sweeps.map(sweepOf) : null,
      audit: this.#auditPart(known),
      alerts: prometheus.value?.alerts ?? null,
    } as const;
    const problems = problemsOf(parts, volumes);
    return { ...parts, level: levelOf(problems), problems };
  }

  /** One volume, or undefined where there is none of that name. Throws while the catalogue is away. */
  async volume(name: string, hours: number): Promise<VolumeDetail | undefined> {
    const { catalogue, contract } = this.sources;
    const [known, prometheus] = await this.#read(Infinity);
    const volume = this.#volumes(known.value, prometheus.value).find((each) => each.name === name);
    if (!volume) return undefined;
    const range = { seconds: hours * HOUR, intervals: PLOT_INTERVALS };
    const [usage, tenants, sweeps, audit, due] = await Promise.all([
      usageOverTime(catalogue, [name], range),
      usageByTenant(catalogue, name),
      recentSweeps(catalogue, { volume: name, limit: SWEEPS_SHOWN }),
      recentAudit(catalogue, { volume: name, limit: AUDIT_SHOWN }),
      this.#dueOn(name),
    ]);
    const dueBytes = due.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    return {
      ...{ at: timeOf(known).toISOString(), volume, hours },
      usage: usageOf(name, usage),
      measured: await this.#measured(
        contract.slots.find((slot) => slot.name === name),
        range,
      ),
      tenants: tenants.map(({ tenantId, jobs, bytes }) => ({ tenant: tenantId, jobs, bytes })),
      sweeps: sweeps.map(sweepOf),
      due,
      ...(await this.#evictions(volume, dueBytes)),
      audit: audit.map(auditEntry),
    };
  }

  /** One job by the catalogue, deleted or not. Throws while the catalogue is away. */
  async job(jobId: JobId): Promise<JobDetail> {
    const { catalogue } = this.sources;
    const [now, job, history] = await Promise.all([
      clockOf(catalogue),
      findJob(catalogue, jobId),
      auditOfJob(catalogue, jobId),
    ]);
    return {
      at: now.toISOString(),
      job: job ? this.#jobDetail(job) : null,
      history: history.map(auditEntry),
    };
  }

  /** A page of one volume's audit, the latest first, before that sequence number. Throws while the catalogue is away. */
  async audit(volume: string, before: number | undefined): Promise<AuditEntry[]> {
    const page = { volume, limit: AUDIT_SHOWN, ...(before !== undefined && { before }) };
    return (await recentAudit(this.sources.catalogue, page)).map(auditEntry);
  }

  #read(patience: number): Promise<[Reading<CatalogueReading>, Reading<PrometheusReading>]> {
    const none = { value: undefined, ageMilliseconds: 0, state: "not-configured", problem: null } as const;
    return Promise.all([this.#catalogue.read(patience), this.#prometheus?.read(patience) ?? none]);
  }

  #volumes(known: CatalogueReading | undefined, prometheus: PrometheusReading | undefined): Volume[] {
    return volumesOf({
      slots: this.sources.contract.slots,
      swept: known?.swept ?? [],
      filesystems: prometheus?.filesystems,
      pressure: this.#rules.pressure,
      overdueSeconds: this.sources.contract.cleanup.overdueSeconds,
      now: (known?.now ?? new Date()).getTime() / 1000,
    });
  }

  /** Kept of the volumes that were shown last, so that they stay to be seen while the catalogue is away. */
  async #refreshUsage(volumes: readonly Volume[], patience: number): Promise<void> {
    const names = volumes.map(({ name }) => name);
    const range = { seconds: HOURS * HOUR, intervals: SPARKLINE_INTERVALS };
    const source = new Source(() => usageOverTime(this.sources.catalogue, names, range), {
      ...{ keepMilliseconds: 0, problemOf: catalogueProblem },
    });
    const { value } = await source.read(patience);
    if (value) this.#usage = value;
  }

  #auditPart(known: CatalogueReading | undefined): AuditPart {
    return {
      verification: this.sources.verifier.verification,
      recent: known?.audit.map(auditEntry) ?? null,
      open: known?.lag.reduce((sum, { openIntents }) => sum + openIntents, 0) ?? 0,
      oldestOpenSeconds: Math.max(0, ...(known?.lag ?? []).map(({ oldestSeconds }) => oldestSeconds)),
    };
  }

  async #dueOn(volume: string): Promise<DueJob[]> {
    const { catalogue, contract } = this.sources;
    // The shortest time of any tenant finds them all; what is not due by its own tenant's time is left out again.
    const tenants = contract.tenants.map(({ id }) => retentionFor(this.#rules, id));
    const shortest = (
      key: "uploadedSeconds" | "failedSeconds" | "abandonedSeconds" | "completedSeconds",
    ): number => Math.min(this.#rules.retention[key], ...tenants.map((times) => times[key]));
    const [uploaded, failed] = [shortest("uploadedSeconds"), shortest("failedSeconds")];
    const ages = {
      ...{ uploaded, "handed-over": uploaded, failed, quarantined: failed },
      ...{ abandoned: shortest("abandonedSeconds"), completed: shortest("completedSeconds") },
      active: this.#rules.heartbeatTimeoutSeconds,
    };
    const found: DueJob[] = [];
    let seen = 0;
    for await (const page of dueJobsInPages(catalogue, volume, ages)) {
      for (const job of page) {
        const due = dueJob(job, decideByRow(job, this.#rules));
        if (due.action !== "keep" || due.code === "pod-unknown") found.push(due);
        if (found.length >= NEXT_JOBS_SHOWN) return found;
      }
      if ((seen += page.length) >= DUE_JOBS_READ) break;
    }
    return found;
  }

  /** As if what is due were gone already, and every job freed what its row says. */
  async #evictions(volume: Volume, dueBytes: number): Promise<Pick<VolumeDetail, "evicted" | "pressure">> {
    const pressure = pressureOf(volume, this.#rules.pressure);
    if (pressure === undefined) return { evicted: [], pressure: null };
    const enough = new AbortController();
    const evicted: DueJob[] = [];
    const used = Math.max(0, volume.usedBytes! - dueBytes);
    const space = { bytes: { used, capacity: volume.capacityBytes! }, inodes: { used: 0, capacity: 0 } };
    await relieve(
      { volume: volume.name, catalogue: this.sources.catalogue, rules: this.#rules, stop: enough.signal },
      {
        measure: async () => space,
        evict: async (job, why) => {
          const due = dueJob(job, decideByRow(job, this.#rules, why));
          evicted.push(due);
          if (evicted.length >= NEXT_JOBS_SHOWN) enough.abort();
          return { done: due.action, bytes: job.bytes ?? 0, files: 0 };
        },
      },
    );
    return { evicted, pressure };
  }

  async #measured(
    slot: StackContract["slots"][number] | undefined,
    { seconds, intervals }: { seconds: number; intervals: number },
  ): Promise<ShownVolume["usage"]> {
    const { prometheus, contract } = this.sources;
    if (!prometheus || !slot) return [];
    const to = Math.floor(Date.now() / 1000);
    const range = { from: to - seconds, to, step: Math.max(5, Math.round(seconds / intervals)) };
    try {
      return (await readUsage(prometheus, slot, contract.slots, range)) ?? [];
    } catch (error) {
      if (error instanceof PrometheusError) return [];
      throw error;
    }
  }

  #jobDetail(job: CataloguedJob): NonNullable<JobDetail["job"]> {
    const decision = decideByRow(job, this.#rules);
    return {
      ...dueJob(job, job.location === "local" ? decision : { ...decision, ...GONE[job.location] }),
      ...{ location: job.location, node: job.node, pod: `${job.namespace}/${job.pod}`, deleted: job.deleted },
      secondsInState: job.secondsInState,
      secondsSinceHeartbeat: job.secondsSinceHeartbeat,
      dueInSeconds: (job.location === "local" && decision.dueInSeconds) || null,
    };
  }
}

/** Of a volume with very many due jobs, those of several tenants with longer times could be many in a row. */
const DUE_JOBS_READ = 5_000;

const GONE = {
  object: {
    action: "keep",
    code: "not-local",
    reason: "it is in object storage, and nothing of it is on a volume",
  },
  none: { action: "keep", code: "not-local", reason: "nothing of it is left" },
} as const;

/** The catalogue's clock now. */
function timeOf({ value, ageMilliseconds }: Reading<CatalogueReading>): Date {
  return value ? new Date(value.now.getTime() + ageMilliseconds) : new Date();
}

function stateOf({ value, ageMilliseconds, state, problem }: Reading<unknown>, at: Date): SourceState {
  const readAt = value === undefined ? null : new Date(at.getTime() - ageMilliseconds).toISOString();
  return { state, problem, readAt };
}

function catalogueProblem(error: unknown): string | undefined {
  return error instanceof CatalogueUnavailableError || error instanceof CatalogueRefusedError
    ? error.message
    : undefined;
}

type CatalogueReading = Awaited<ReturnType<typeof readCatalogue>>;
type PrometheusReading = Awaited<ReturnType<typeof readPrometheus>>;

async function readCatalogue(catalogue: Catalogue, rules: Rules) {
  const tenants = await tenantsWithJobs(catalogue);
  const [now, swept, totals, eligible, overdue, silent, sweeps, audit, lag] = await Promise.all([
    clockOf(catalogue),
    sweptVolumes(catalogue),
    jobTotals(catalogue),
    eligibleJobs(catalogue, (tenantId) => retentionFor(rules, tenantId)),
    overdueJobs(catalogue, ageLimits(tenants, rules), NEXT_JOBS_SHOWN),
    silentJobs(catalogue, rules.heartbeatTimeoutSeconds),
    recentSweeps(catalogue, { limit: SWEEPS_SHOWN }),
    recentAudit(catalogue, { limit: AUDIT_SHOWN }),
    auditLag(catalogue),
  ]);
  return { now, swept, totals, eligible, overdue, silent, sweeps, audit, lag };
}

async function readPrometheus(prometheus: Prometheus, { environment, slots }: StackContract) {
  const [samples, rules] = await Promise.all([readFilesystems(prometheus), prometheus.alertingRules()]);
  return { filesystems: filesystemsOf(slots, samples), alerts: alertsOf(rules, environment) };
}
