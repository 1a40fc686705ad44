import { lstat } from "node:fs/promises";
import { findJob, openIntents, recordIntent } from "@video-storage/catalogue/sweeping";
import type { CataloguedJob, Intent } from "@video-storage/catalogue/sweeping";
import type { JobId } from "@video-storage/contract/identity";
import { tryLockExclusive } from "@video-storage/worker/directory-lock";
import { forEachConcurrently, JOBS_IN_HAND } from "./concurrency.js";
import type { SweepContext } from "./context.js";
import { childPath, openChild } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { deleteTree } from "./deletion/tree.js";
import { finish, guarded } from "./execution.js";
import type { Effect } from "./execution.js";
import { misplaced } from "./inspection.js";
import { entriesOf, hasEntry } from "./volume.js";

/**
 * Finishes what an earlier sweep began and didn't end, before anything new is begun. Returns what was done,
 * by job; the plan leaves these jobs alone.
 *
 * An intent without an outcome means one of three things: the job is in the trash (finish it), it is nowhere
 * (only the outcome is missing), or it is still in its place (decide afresh, as for any other). In its place and in
 * the trash it is only when somebody made one of the two: what is in the trash goes, and is no outcome.
 */
export async function recover(context: SweepContext, trash: Directory): Promise<Map<JobId, Effect>> {
  const effects = new Map<JobId, Effect>();
  const intents = await openIntents(context.catalogue, context.volume);
  const intended = new Map(intents.map((intent) => [intent.jobId, intent]));
  await forEachConcurrently(each(intended.values()), JOBS_IN_HAND, context.stop, async (intent) => {
    const { jobId } = intent;
    if (!(await hasEntry(context.root, jobId))) {
      effects.set(jobId, await guarded(context, jobId, () => finish(context, trash, intent, true)));
    } else if (await hasEntry(trash, jobId)) {
      await guarded(context, jobId, () => clear(context, trash, jobId));
    }
  });
  let foreign = 0;
  const unexplained = async function* (): AsyncGenerator<JobId, void, undefined> {
    for await (const { jobId } of entriesOf(trash)) {
      if (jobId === undefined) foreign++;
      else if (!intended.has(jobId)) yield jobId;
    }
  };
  await forEachConcurrently(unexplained(), JOBS_IN_HAND, context.stop, async (jobId) => {
    const effect = await guarded(context, jobId, () => withoutIntent(context, trash, jobId));
    if (effects.size < REMEMBERED) effects.set(jobId, effect);
  });
  if (foreign > 0) {
    context.report({
      event: "foreign",
      level: "warning",
      reason: "names in the trash that are no job's are left alone",
      count: foreign,
    });
  }
  return effects;
}

/** What lies in the trash unexplained is remembered up to here, so that it can't be made to fill the memory. */
const REMEMBERED = 10_000;

async function* each<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}

async function clear({ report, stopNow }: SweepContext, trash: Directory, jobId: JobId): Promise<Effect> {
  report({
    event: "attention",
    level: "warning",
    job: jobId,
    code: "decoy",
    reason: "the job is in its place and something of its name in the trash, which is removed",
  });
  const { bytes, files } = await deleteTree(trash, jobId, { signal: stopNow });
  return { done: "report", bytes, files };
}

/** Nobody said that this should go: it waits, and then somebody says so first. */
async function withoutIntent(context: SweepContext, trash: Directory, jobId: JobId): Promise<Effect> {
  const { report, volume, catalogue, trashSeconds } = context;
  const left: Effect = { done: "report", bytes: 0, files: 0 };
  // The one age that no database knows: when the name came here, by the filesystem's clock.
  const { ctimeMs } = await lstat(childPath(trash.fd, jobId));
  const age = (Date.now() - ctimeMs) / 1000;
  const kept = (code: string, reason: string): Effect => {
    report({ event: "kept", level: "warning", job: jobId, code, reason });
    return left;
  };
  if (age < trashSeconds) return kept("trash-young", "it lies in the trash and no intent says why");
  const job = await findJob(catalogue, jobId);
  const objection = misplaced(job, volume) ?? unfinished(job);
  if (objection) return kept(objection.code, objection.reason);
  // Held until the descriptor is closed, after everything below.
  const directory = await openChild(trash, jobId);
  try {
    if (typeof directory !== "string" && !tryLockExclusive(directory.fd)) {
      return kept("lease-held", "it lies in the trash, and somebody holds the lock on it");
    }
    if (await hasEntry(context.root, jobId)) return await clear(context, trash, jobId);
    return await withNewIntent(context, trash, jobId, job);
  } finally {
    if (typeof directory !== "string") await directory.close();
  }
}

/** The sweep moves nothing of these without an intent: somebody else did, and it may be all there is of the job. */
function unfinished(job: CataloguedJob | undefined): { code: string; reason: string } | undefined {
  if (job?.state !== "active" && job?.state !== "completed") return undefined;
  return {
    code: "trash-unfinished",
    reason: `it lies in the trash, no intent says why, and the catalogue has it as ${job.state}`,
  };
}

async function withNewIntent(
  context: SweepContext,
  trash: Directory,
  jobId: JobId,
  job: CataloguedJob | undefined,
): Promise<Effect> {
  const { report, volume, actor, catalogue } = context;
  const intent: Intent = {
    ...{ volume, actor, jobId, tenantId: job?.tenantId ?? null, action: "delete" },
    reason: "it lay in the trash, and no intent said why",
    details: { code: "trash-expired" },
  };
  if (!(await recordIntent(catalogue, intent))) {
    report({
      event: "kept",
      level: "error",
      job: jobId,
      code: "deleted-but-present",
      reason: "the audit says it was deleted, and it lies in the trash",
    });
    return { done: "report", bytes: 0, files: 0 };
  }
  return finish(context, trash, intent, true);
}
