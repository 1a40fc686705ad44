import { lstat } from "node:fs/promises";
import { findJob, openIntents, recordIntent } from "@video-storage/catalogue/sweeping";
import type { Intent } from "@video-storage/catalogue/sweeping";
import type { JobId } from "@video-storage/contract/identity";
import type { SweepContext } from "./context.js";
import { childPath } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { listTrash } from "./deletion/trash.js";
import { finish, guarded } from "./execution.js";
import type { Effect } from "./execution.js";

/**
 * Finishes what an earlier sweep began and didn't end, before anything new is begun. Returns what was done,
 * by job; the plan leaves these jobs alone.
 *
 * An intent without an outcome means one of three things: the job is in the trash (finish it), it is nowhere
 * (only the outcome is missing), or it is still in its place (decide afresh, as for any other).
 */
export async function recover(context: SweepContext, trash: Directory): Promise<Map<JobId, Effect>> {
  const effects = new Map<JobId, Effect>();
  const intents = await openIntents(context.catalogue, context.volume);
  const { jobs: trashed, foreign } = await listTrash(trash);
  const intended = new Map(intents.map((intent) => [intent.jobId, intent]));
  for (const intent of intended.values()) {
    if (context.stop.aborted) return effects;
    if (!trashed.includes(intent.jobId) && (await exists(context.root, intent.jobId))) continue;
    effects.set(
      intent.jobId,
      await guarded(context, intent.jobId, () => finish(context, trash, intent, true)),
    );
  }
  for (const jobId of trashed) {
    if (context.stop.aborted) return effects;
    if (!intended.has(jobId))
      effects.set(jobId, await guarded(context, jobId, () => withoutIntent(context, trash, jobId)));
  }
  if (foreign.length > 0) {
    context.report({
      event: "foreign",
      level: "warning",
      reason: "names in the trash that are no job's are left alone",
      count: foreign.length,
    });
  }
  return effects;
}

/** Nobody said that this should go: it waits, and then somebody says so first. */
async function withoutIntent(context: SweepContext, trash: Directory, jobId: JobId): Promise<Effect> {
  const { report, volume, actor, catalogue, trashSeconds } = context;
  const left: Effect = { done: "report", bytes: 0, files: 0 };
  // The one age that no database knows: when the name came here, by the filesystem's clock.
  const { ctimeMs } = await lstat(childPath(trash.fd, jobId));
  const age = (Date.now() - ctimeMs) / 1000;
  if (age < trashSeconds) {
    report({
      event: "kept",
      level: "warning",
      job: jobId,
      code: "trash-young",
      reason: "it lies in the trash and no intent says why",
    });
    return left;
  }
  const job = await findJob(catalogue, jobId);
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
    return left;
  }
  return finish(context, trash, intent, true);
}

async function exists(root: Directory, jobId: JobId): Promise<boolean> {
  return lstat(childPath(root.fd, jobId)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}
