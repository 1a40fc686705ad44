import { catalogueFacts } from "@video-storage/catalogue/decision-by-row";
import { relieve } from "@video-storage/catalogue/relief";
import type { Relief } from "@video-storage/catalogue/relief";
import { beginSweep, finishSweep, openIntents } from "@video-storage/catalogue/sweeping";
import type { SweepResult } from "@video-storage/catalogue/sweeping";
import type { JobId } from "@video-storage/contract/identity";
import { decide } from "@video-storage/contract/plan";
import type { Decision } from "@video-storage/contract/plan";
import type { Space } from "@video-storage/contract/pressure";
import { tryLockExclusive, unlock } from "@video-storage/worker/directory-lock";
import { forEachConcurrently, JOBS_IN_HAND } from "./concurrency.js";
import type { SweepContext } from "./context.js";
import { openChildAsItIs } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { openTrash } from "./deletion/trash.js";
import { execute, guarded } from "./execution.js";
import type { Effect } from "./execution.js";
import { recover } from "./recovery.js";
import { spaceOf } from "./space.js";
import { look, survey } from "./survey.js";
import type { Decided, Surveyed } from "./survey.js";
import { hasEntry } from "./volume.js";

/** What a sweep came to; metrics are made of this. */
export interface SweepSummary extends Omit<SweepResult, "result"> {
  readonly result: SweepResult["result"] | "skipped" | "interrupted";
  readonly abandoned: number;
  /** Looked at and left for people. */
  readonly reported: number;
  /** Of those deleted and tiered, how many went before their time because the volume was full. */
  readonly evicted: number;
  readonly usageInodes: number;
  /** 0 where the filesystem has no limit. */
  readonly capacityInodes: number;
  /** How many jobs were left alone, by the decision's code. */
  readonly keptBecause: Readonly<Record<string, number>>;
}

/** The log is no place for a million lines: of each kind so many jobs are named, and all are counted. */
const SHOWN_PER_CODE = 100;

/**
 * Sweeps one volume once. Two never do so at the same time: the second one is skipped.
 *
 * Throws CatalogueUnavailableError when the catalogue can't be reached: then nothing is deleted from that
 * moment on. A job that fails is reported, and the others go on. What was done until then is in `counts`.
 */
export async function sweep(context: SweepContext, counts = new Counts()): Promise<SweepSummary> {
  const { root, volume, catalogue, actor, report } = context;
  const trash = await openTrash(root);
  try {
    if (!tryLockExclusive(trash.fd)) {
      report({ event: "skipped", level: "warning", reason: "another sweep of this volume is running" });
      return summaryOf(counts, await spaceOf(root), "skipped");
    }
    const id = await beginSweep(catalogue, volume, actor);
    const recovered = await recover(context, trash);
    for (const effect of recovered.values()) counts.effect(effect);
    await carryOut(context, trash, watched(context, survey(context)), recovered, counts);
    const relief = await relieve(context, {
      measure: () => spaceOf(root),
      async evict({ jobId }, pressure) {
        const effect = await guarded(context, jobId, () => execute({ ...context, pressure }, trash, jobId));
        counts.effect(effect);
        return effect;
      },
    });
    counts.evicted = relief.evicted;
    if (!relief.relieved) warnOfPressure(context, relief);
    const summary = summaryOf(
      counts,
      await spaceOf(root),
      context.stop.aborted ? "interrupted" : counts.failed > 0 ? "partial" : "ok",
    );
    const { result } = summary;
    await finishSweep(catalogue, id, {
      ...summary,
      result: result === "ok" ? "ok" : "partial",
    });
    report({ event: "swept", volume, ...summary });
    return summary;
  } finally {
    await trash.close();
  }
}

/** Everything that may go is gone, and the volume is still too full: somebody has to look. */
function warnOfPressure({ report, volume, stop }: SweepContext, { pressure, evicted }: Relief): void {
  if (stop.aborted) return;
  report({ event: "attention", level: "warning", code: "still-full", volume, evicted, reason: pressure });
}

/** Decides about each of the jobs and does it, a few at a time. Those in `dealtWith` are left out. */
async function carryOut(
  context: SweepContext,
  trash: Directory,
  jobs: AsyncIterable<Surveyed>,
  dealtWith: ReadonlyMap<JobId, unknown>,
  counts: Counts,
): Promise<void> {
  await forEachConcurrently(undecided(jobs, dealtWith, counts), JOBS_IN_HAND, context.stop, async (job) => {
    const { jobId, decision } = await look(context, job, { replay: true });
    if (decision.action === "keep" || decision.action === "report") {
      counts.left(decision);
      if (decision.action === "report") warn(context, jobId, decision, counts);
    } else counts.effect(await guarded(context, jobId, () => execute(context, trash, jobId)));
  });
}

async function* watched<T>(
  { progress }: SweepContext,
  jobs: AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  for await (const job of jobs) {
    progress?.();
    yield job;
  }
}

/** Counts what is decided already, which is nearly everything, and passes on the rest. */
async function* undecided(
  jobs: AsyncIterable<Surveyed>,
  dealtWith: ReadonlyMap<JobId, unknown>,
  counts: Counts,
): AsyncGenerator<Surveyed, void, undefined> {
  for await (const job of jobs) {
    if (dealtWith.has(job.jobId)) continue;
    if (job.decision?.action === "keep") counts.left(job.decision);
    else yield job;
  }
}

/** Says what a sweep would do now, and does nothing: no row is written, no directory made or changed. */
export async function dryRun(context: SweepContext): Promise<SweepSummary> {
  const counts = new Counts();
  const unfinished = new Map<JobId, unknown>();
  for (const { jobId, tenantId, action, reason } of await openIntents(context.catalogue, context.volume)) {
    if (await hasEntry(context.root, jobId)) continue;
    unfinished.set(jobId, action);
    context.report({ event: "would", job: jobId, tenant: tenantId, action: "finish", code: "begun", reason });
    counts.effect({ done: action, bytes: 0, files: 0 });
  }
  for await (const surveyed of survey(context)) {
    if (context.stop.aborted) break;
    if (unfinished.has(surveyed.jobId)) continue;
    const decided = surveyed.decision ? surveyed : await look(context, surveyed, { replay: false });
    await wouldDo(context, decided as Decided, counts);
  }
  await wouldEvict(context, counts);
  const summary = summaryOf(counts, await spaceOf(context.root), "ok");
  context.report({ event: "would-sweep", volume: context.volume, ...summary });
  return summary;
}

/** As if what is due were gone already; what a job frees is taken from its row. */
async function wouldEvict(context: SweepContext, counts: Counts): Promise<void> {
  const space = await spaceOf(context.root);
  const bytes = { ...space.bytes, used: Math.max(0, space.bytes.used - counts.freedBytes) };
  const { evicted } = await relieve(context, {
    measure: async () => ({ ...space, bytes }),
    async evict(job, pressure) {
      const look = { readable: true, tenantId: job.tenantId, state: job.state } as const;
      const facts = { jobId: job.jobId, record: look, catalogue: catalogueFacts(job), pressure };
      const decision = decide(
        { ...facts, leaseHeld: await leaseHeld(context, job.jobId), pod: undefined },
        context.rules,
      );
      const { action, code, reason, state } = decision;
      context.report({ event: "would", job: job.jobId, tenant: job.tenantId, state, action, code, reason });
      const effect: Effect = { done: action, bytes: job.bytes ?? 0, files: 0 };
      if (action === "delete" || action === "tier") counts.effect(effect);
      return effect;
    },
  });
  counts.evicted = evicted;
}

async function wouldDo(
  context: SweepContext,
  { jobId, job, decision }: Decided,
  counts: Counts,
): Promise<void> {
  const { action, code, reason, dueInSeconds } = decision;
  const acts = action !== "keep" && action !== "report";
  const held = acts && (await leaseHeld(context, jobId));
  const shown = held
    ? { action: "keep", code: "lease-held", reason: "a worker or uploader holds the lock on its directory" }
    : { action, code, reason, ...(dueInSeconds !== undefined && { dueInSeconds: Math.ceil(dueInSeconds) }) };
  context.report({ event: "would", job: jobId, tenant: job?.tenantId, state: decision.state, ...shown });
  if (held || !acts) counts.left({ ...decision, code: shown.code });
  else counts.effect({ done: action, bytes: job?.bytes ?? 0, files: 0 });
}

function warn(context: SweepContext, jobId: JobId, { code, reason }: Decision, counts: Counts): void {
  const count = counts.keptBecause[code]!;
  if (count <= SHOWN_PER_CODE) {
    context.report({ event: "attention", level: "warning", job: jobId, code, reason });
  } else if (count === SHOWN_PER_CODE + 1) {
    const more = "there are more of this kind, which are counted and not shown";
    context.report({ event: "attention", level: "warning", code, reason: more });
  }
}

/** Takes the lock for a moment to see whether anybody has it. */
export async function leaseHeld({ root }: Pick<SweepContext, "root">, jobId: JobId): Promise<boolean> {
  const directory = await openChildAsItIs(root, jobId);
  if (typeof directory === "string") return false;
  try {
    if (!tryLockExclusive(directory.fd)) return true;
    unlock(directory.fd);
    return false;
  } finally {
    await directory.close();
  }
}

/** What a sweep has done so far. */
export class Counts {
  deleted = 0;
  tiered = 0;
  abandoned = 0;
  kept = 0;
  evicted = 0;
  reported = 0;
  failed = 0;
  freedBytes = 0;
  readonly keptBecause: Record<string, number> = {};

  left({ action, code }: Decision): void {
    if (action === "report") this.reported++;
    this.kept++;
    this.keptBecause[code] = (this.keptBecause[code] ?? 0) + 1;
  }

  effect({ done, bytes, code }: Effect): void {
    this.freedBytes += bytes;
    if (code !== undefined) this.keptBecause[code] = (this.keptBecause[code] ?? 0) + 1;
    if (done === "delete") this.deleted++;
    else if (done === "tier") this.tiered++;
    else if (done === "abandon") this.abandoned++;
    else if (done === "failed") this.failed++;
    else this.kept++;
  }
}

function summaryOf(counts: Counts, { bytes, inodes }: Space, result: SweepSummary["result"]): SweepSummary {
  const { deleted, tiered, evicted, abandoned, kept, reported, failed, freedBytes, keptBecause } = counts;
  return {
    ...{ result, deleted, tiered, evicted, abandoned, kept, reported, failed, freedBytes, keptBecause },
    ...{ usageBytes: bytes.used, capacityBytes: bytes.capacity },
    ...{ usageInodes: inodes.used, capacityInodes: inodes.capacity },
  };
}
