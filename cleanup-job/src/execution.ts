import { CatalogueBusyError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { catalogueFacts } from "@video-storage/catalogue/decision-by-row";
import {
  findJob,
  markAbandoned,
  markContradiction,
  progressOf,
  recordIntent,
  recordOutcome,
  saveProgress,
} from "@video-storage/catalogue/sweeping";
import type { AuditAction, CataloguedJob, DeletionProgress, Intent } from "@video-storage/catalogue/sweeping";
import type { Queryable } from "@video-storage/catalogue/connection";
import type { JobId } from "@video-storage/contract/identity";
import type { Action, Decision } from "@video-storage/contract/plan";
import { tryLockExclusive } from "@video-storage/worker/directory-lock";
import { LatestOnly } from "./concurrency.js";
import type { SweepContext } from "./context.js";
import { openChild } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { moveToTrash } from "./deletion/trash.js";
import { deleteTree } from "./deletion/tree.js";
import type { TreeDeletion } from "./deletion/tree.js";
import { decideAsking, misplaced } from "./inspection.js";
import { readRecord } from "./record-file.js";

/** What became of one job. */
export interface Effect {
  readonly done: Action | AuditAction | "failed" | "interrupted";
  /** Why it was left alone after all, where it was. */
  readonly code?: string;
  readonly bytes: number;
  readonly files: number;
}

const NOTHING = { bytes: 0, files: 0 };

/** One job's trouble is that job's; a catalogue that is away is everybody's. */
export async function guarded(
  context: SweepContext,
  jobId: JobId,
  work: () => Promise<Effect>,
): Promise<Effect> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CatalogueUnavailableError && !(error instanceof CatalogueBusyError)) throw error;
    if (context.stopNow.aborted) return { done: "interrupted", bytes: 0, files: 0 };
    context.report({ event: "failed", level: "error", job: jobId, reason: (error as Error).message });
    return { done: "failed", bytes: 0, files: 0 };
  }
}

/** Does what was decided, if it is still so once the lock is held. */
export async function execute(context: SweepContext, trash: Directory, jobId: JobId): Promise<Effect> {
  const { report, root } = context;
  const directory = await openChild(root, jobId);
  if (typeof directory === "string") {
    report({
      event: "failed",
      level: "error",
      job: jobId,
      reason: `its directory can't be opened: ${directory}`,
    });
    return { done: "failed", ...NOTHING };
  }
  try {
    // The lock lasts until the descriptor is closed, after everything below.
    const leaseHeld = !tryLockExclusive(directory.fd);
    return await executeLocked(context, trash, jobId, directory, leaseHeld);
  } finally {
    await directory.close();
  }
}

async function executeLocked(
  context: SweepContext,
  trash: Directory,
  jobId: JobId,
  directory: Directory,
  leaseHeld: boolean,
): Promise<Effect> {
  const { catalogue, report, volume } = context;
  const read = await readRecord(directory, jobId);
  const job = await findJob(catalogue, jobId);
  const look = (current: CataloguedJob | undefined): Promise<Decision> => {
    const facts = { jobId, record: read.facts, catalogue: current && catalogueFacts(current), leaseHeld };
    return decideAsking({ ...facts, pressure: context.pressure }, current, context);
  };
  const decision = misplaced(job, volume) ?? (await look(job));
  const fields = { job: jobId, tenant: job?.tenantId, code: decision.code, reason: decision.reason };
  if (!job || decision.action === "keep" || decision.action === "report") {
    report({ event: "kept", ...fields });
    return { done: "keep", code: decision.code, ...NOTHING };
  }
  if (decision.contradiction) await markContradiction(catalogue, job);
  if (decision.action === "abandon") {
    await markAbandoned(catalogue, job);
    report({ event: "abandoned", level: "warning", ...fields });
    return { done: "abandon", ...NOTHING };
  }

  const details: Record<string, string | number | boolean> = {
    code: decision.code,
    state: decision.state ?? job.state,
    secondsInState: Math.floor(job.secondsInState),
    contradiction: decision.contradiction,
  };
  if (decision.action === "tier") {
    if (!context.store || !read.record)
      throw new Error("to be tiered a job needs a store and a readable record");
    const { store, stopNow, tiering } = context;
    const { tier } = await import("./tiering.js"); // with its client, which few sweeps need
    const objects = await tier(directory, read.record, store, catalogue, stopNow, tiering);
    details["bucket"] = context.store.bucket;
    details["objects"] = objects.length;
    details["objectBytes"] = objects.reduce((sum, { bytes }) => sum + bytes, 0);
    report({ event: "copied", ...fields, objects: objects.length, bytes: details["objectBytes"] });
  }
  const intent = intentOf(context, job, decision.action, decision.reason, details);
  if (!(await recordIntent(catalogue, intent))) {
    const reason = `the audit says that this was done to it or begun elsewhere, and it is here`;
    report({ event: "kept", level: "error", ...fields, code: "deleted-but-present", reason });
    return { done: "keep", code: "deleted-but-present", ...NOTHING };
  }

  // The point of no return: once more, with what is true now.
  const again = await findJob(catalogue, jobId);
  const still = misplaced(again, volume) ?? (await look(again));
  if (still.action !== decision.action) {
    report({ event: "kept", level: "warning", ...fields, code: still.code, reason: still.reason });
    return { done: "keep", code: still.code, ...NOTHING };
  }
  await moveToTrash(context.root, trash, jobId, directory);
  return finish(context, trash, intent);
}

function intentOf(
  { volume, actor }: SweepContext,
  job: CataloguedJob,
  action: AuditAction,
  reason: string,
  details: Intent["details"] & object,
): Intent {
  return { volume, tenantId: job.tenantId, jobId: job.jobId, action, reason, actor, details };
}

/** Deletes what lies in the trash under the job's name, then records the outcome. */
export async function finish(
  context: SweepContext,
  trash: Directory,
  intent: Intent,
  resumed = false,
): Promise<Effect> {
  const { catalogue, report, stopNow } = context;
  const { jobId, tenantId } = intent;
  const before = resumed ? await resume(catalogue, intent) : NOTHING_FREED;
  const saving = new LatestOnly((sofar: Freed) =>
    // It only makes the audit's numbers better: without it the deletion goes on.
    saveProgress(catalogue, intent, { ...sum(before, sofar), exact: false }).catch(() => undefined),
  );
  const deletion = await deleteTree(trash, jobId, {
    signal: stopNow,
    onProgress: (progress) => saving.give(progress),
  });
  await saving.ended();
  const freed = sum(before, deletion);
  const fields = { job: jobId, tenant: tenantId, ...measured(deletion) };
  if (!deletion.complete) {
    await saveProgress(catalogue, intent, freed).catch(() => undefined);
    const done = deletion.interrupted ? "interrupted" : "failed";
    report({
      event: done,
      level: deletion.interrupted ? "warning" : "error",
      ...fields,
      reason: deletion.interrupted
        ? "it was asked to stop; the next sweep finishes it"
        : "something in it can't be removed; the next sweep tries again",
      remaining: deletion.remaining,
    });
    return { done, bytes: deletion.bytes, files: deletion.files };
  }
  await recordOutcome(catalogue, {
    ...intent,
    actor: context.actor,
    details: {
      ...intent.details,
      resumed,
      directories: freed.directories,
      // Nothing is found when the killed sweep had finished, or when somebody else took it away.
      found: freed.directories + freed.files > 0,
      // A sweep that was killed freed up to a second's work more than it had noted.
      counted: freed.exact ? "exactly" : "at least",
    },
    bytes: freed.bytes,
    files: freed.files,
  });
  report({
    event: intent.action === "tier" ? "tiered" : "deleted",
    ...fields,
    reason: intent.reason,
    resumed,
  });
  return { done: intent.action, bytes: deletion.bytes, files: deletion.files };
}

type Freed = Pick<TreeDeletion, "bytes" | "files" | "directories">;

const NOTHING_FREED: DeletionProgress = { bytes: 0, files: 0, directories: 0, exact: true };

/** What the sweeps before have freed; from now on that isn't all. */
async function resume(catalogue: Queryable, intent: Intent): Promise<DeletionProgress> {
  const before = (await progressOf(catalogue, intent)) ?? { ...NOTHING_FREED, exact: false };
  await saveProgress(catalogue, intent, { ...before, exact: false });
  return before;
}

function sum(before: DeletionProgress, { bytes, files, directories }: Freed): DeletionProgress {
  return {
    bytes: before.bytes + bytes,
    files: before.files + files,
    directories: before.directories + directories,
    exact: before.exact,
  };
}

function measured({ bytes, files, directories }: TreeDeletion): {
  bytes: number;
  files: number;
  directories: number;
} {
  return { bytes, files, directories };
}
