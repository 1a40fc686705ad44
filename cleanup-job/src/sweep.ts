import { CatalogueBusyError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import {
  beginSweep,
  finishSweep,
  jobsOnVolume,
  markContradiction,
  openIntents,
} from "@video-storage/catalogue/sweeping";
import type { CataloguedJob, SweepResult } from "@video-storage/catalogue/sweeping";
import type { JobId } from "@video-storage/contract/identity";
import { tryLockExclusive, unlock } from "@video-storage/worker/directory-lock";
import type { SweepContext } from "./context.js";
import { openChildAsItIs } from "./deletion/handles.js";
import { openTrash } from "./deletion/trash.js";
import { execute, guarded } from "./execution.js";
import type { Effect } from "./execution.js";
import { catalogued, catalogueFacts, decideAsking, inspectRecord, misplaced } from "./inspection.js";
import { decide } from "./plan.js";
import type { Decision } from "./plan.js";
import { recover } from "./recovery.js";
import { listVolume, usageOf } from "./volume.js";

/** What a sweep came to; metrics are made of this. */
export interface SweepSummary extends Omit<SweepResult, "result"> {
  readonly result: SweepResult["result"] | "skipped" | "interrupted";
  readonly abandoned: number;
  /** Looked at and left for people. */
  readonly reported: number;
  /** How many jobs were left alone, by the decision's code. */
  readonly keptBecause: Readonly<Record<string, number>>;
}

/**
 * Sweeps one volume once. Two never do so at the same time: the second one is skipped.
 *
 * Throws CatalogueUnavailableError when the catalogue can't be reached: then nothing is deleted from that
 * moment on. A job that fails is reported, and the others go on.
 */
export async function sweep(context: SweepContext): Promise<SweepSummary> {
  const { root, volume, catalogue, actor, report } = context;
  const trash = await openTrash(root);
  try {
    if (!tryLockExclusive(trash.fd)) {
      report({ event: "skipped", level: "warning", reason: "another sweep of this volume is running" });
      return summaryOf(new Counts(), { usageBytes: 0, capacityBytes: 0 }, "skipped");
    }
    const id = await beginSweep(catalogue, volume, actor);
    const counts = new Counts();
    const recovered = await recover(context, trash);
    for (const effect of recovered.values()) counts.effect(effect);
    for await (const { jobId, decision } of decisions(context, recovered)) {
      if (context.stop.aborted) break;
      if (decision.action === "keep" || decision.action === "report") {
        if (decision.action === "report") warn(context, jobId, decision);
        counts.left(decision);
        continue;
      }
      counts.effect(await guarded(context, jobId, () => execute(context, trash, jobId)));
    }
    const summary = summaryOf(
      counts,
      await usageOf(root),
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

/** Says what a sweep would do now, and does nothing: no row is written, no directory made or changed. */
export async function dryRun(context: SweepContext): Promise<SweepSummary> {
  const counts = new Counts();
  const here = new Set((await listVolume(context.root)).jobs);
  const unfinished = new Map<JobId, unknown>();
  for (const { jobId, tenantId, action, reason } of await openIntents(context.catalogue, context.volume)) {
    if (here.has(jobId)) continue;
    unfinished.set(jobId, action);
    context.report({ event: "would", job: jobId, tenant: tenantId, action: "finish", code: "begun", reason });
    counts.effect({ done: action, bytes: 0, files: 0 });
  }
  for await (const { jobId, decision, job } of decisions(context, unfinished, false)) {
    if (context.stop.aborted) break;
    const { action, code, reason, dueInSeconds } = decision;
    const acts = action !== "keep" && action !== "report";
    const held = acts && (await leaseHeld(context, jobId));
    const shown = held
      ? { action: "keep", code: "lease-held", reason: "a worker or uploader holds the lock on its directory" }
      : {
          action,
          code,
          reason,
          ...(dueInSeconds !== undefined && { dueInSeconds: Math.ceil(dueInSeconds) }),
        };
    context.report({ event: "would", job: jobId, tenant: job?.tenantId, state: decision.state, ...shown });
    if (held || !acts) counts.left({ ...decision, code: shown.code });
    else counts.effect({ done: action, bytes: job?.bytes ?? 0, files: 0 });
  }
  const summary = summaryOf(counts, await usageOf(context.root), "ok");
  context.report({ event: "would-sweep", volume: context.volume, ...summary });
  return summary;
}

interface Decided {
  readonly jobId: JobId;
  readonly decision: Decision;
  readonly job: CataloguedJob | undefined;
}

/** A decision about every job of the volume: each directory, and each row without one. Nothing is locked yet. */
async function* decisions(
  context: SweepContext,
  dealtWith: ReadonlyMap<JobId, unknown>,
  replay = true,
): AsyncGenerator<Decided> {
  const { root, volume, catalogue, report } = context;
  const rows = new Map((await jobsOnVolume(catalogue, volume)).map((job) => [job.jobId, job]));
  const { jobs, foreign } = await listVolume(root);
  for (const name of foreign) {
    report({ event: "foreign", level: "warning", name, reason: "it is no job's name, so it is left alone" });
  }
  const here = new Set(jobs);
  // The longest unused first, as the catalogue lists them; then what it doesn't know.
  for (const jobId of new Set([...rows.keys(), ...jobs])) {
    if (dealtWith.has(jobId)) continue;
    if (!here.has(jobId)) {
      const row = rows.get(jobId)!;
      const facts = {
        jobId,
        record: undefined,
        catalogue: catalogueFacts(row),
        leaseHeld: false,
        pod: undefined,
      };
      yield { jobId, job: row, decision: decide(facts, context.rules) };
      continue;
    }
    const decided = await guardedDecision(context, jobId, async () => {
      const read = await inspectRecord(root, jobId);
      const job = await catalogued(context, jobId, rows.get(jobId), replay ? read?.record : undefined);
      const facts = { jobId, record: read?.facts, catalogue: job && catalogueFacts(job), leaseHeld: false };
      const decision = misplaced(job, volume) ?? (await decideAsking(facts, job, context));
      if (decision.contradiction && job && replay) await markContradiction(catalogue, job);
      return { jobId, job, decision };
    });
    yield decided;
  }
}

async function guardedDecision(
  context: SweepContext,
  jobId: JobId,
  work: () => Promise<Decided>,
): Promise<Decided> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CatalogueUnavailableError && !(error instanceof CatalogueBusyError)) throw error;
    const reason = `it can't be looked at: ${(error as Error).message}`;
    context.report({ event: "failed", level: "error", job: jobId, reason });
    return {
      jobId,
      job: undefined,
      decision: { action: "report", code: "unreadable", reason, contradiction: false },
    };
  }
}

function warn(context: SweepContext, jobId: JobId, { code, reason }: Decision): void {
  context.report({ event: "attention", level: "warning", job: jobId, code, reason });
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

class Counts {
  deleted = 0;
  tiered = 0;
  abandoned = 0;
  kept = 0;
  reported = 0;
  failed = 0;
  freedBytes = 0;
  readonly keptBecause: Record<string, number> = {};

  left({ action, code }: Decision): void {
    if (action === "report") this.reported++;
    this.kept++;
    this.keptBecause[code] = (this.keptBecause[code] ?? 0) + 1;
  }

  effect({ done, bytes }: Effect): void {
    this.freedBytes += bytes;
    if (done === "delete") this.deleted++;
    else if (done === "tier") this.tiered++;
    else if (done === "abandon") this.abandoned++;
    else if (done === "failed") this.failed++;
    else this.kept++;
  }
}

function summaryOf(
  counts: Counts,
  usage: { usageBytes: number; capacityBytes: number },
  result: SweepSummary["result"],
): SweepSummary {
  const { deleted, tiered, abandoned, kept, reported, failed, freedBytes, keptBecause } = counts;
  return { result, deleted, tiered, abandoned, kept, reported, failed, freedBytes, keptBecause, ...usage };
}
