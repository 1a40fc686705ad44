import { reportJob } from "@video-storage/catalogue/jobs";
import { findJob, provesRecord } from "@video-storage/catalogue/sweeping";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import type { JobId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import { decide } from "@video-storage/contract/plan";
import type { Decision, JobFacts } from "@video-storage/contract/plan";
import type { JobState } from "@video-storage/contract/states";
import type { SweepContext } from "./context.js";
import { openChildAsItIs } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { readRecord, unreadable } from "./record-file.js";
import type { RecordRead } from "./record-file.js";

/** Uploaded is the uploader's to say, abandoned the sweep's. */
const STATES_OF_WORKERS: ReadonlySet<JobState> = new Set([
  ...(["active", "completed", "failed", "handed-over", "quarantined"] as const),
]);

/** The record of a job without touching its directory; undefined when there is none of that name. */
export async function inspectRecord(root: Directory, jobId: JobId): Promise<RecordRead | undefined> {
  const directory = await openChildAsItIs(root, jobId);
  if (directory === "absent") return undefined;
  if (directory === "mount") return unreadable("a mount lies in its place");
  if (directory === "no-access") return unreadable("its owner closed its directory");
  if (directory === "not-a-directory") return unreadable("it is no directory");
  try {
    return await readRecord(directory, jobId);
  } finally {
    await directory.close();
  }
}

/**
 * The catalogue's row for a directory. A record that the catalogue hasn't got, or has an older revision of,
 * is reported first: so nothing that a worker couldn't report during an outage is lost, or counted twice.
 *
 * But whoever ran on the volume before can have written the record. So it makes no state that isn't a worker's to
 * make, changes no job that is on another volume, and begins none for a tenant that it doesn't prove to be its own.
 */
export async function catalogued(
  context: Pick<SweepContext, "catalogue" | "volume" | "report">,
  jobId: JobId,
  known: CataloguedJob | undefined,
  record: JobRecord | undefined,
): Promise<CataloguedJob | undefined> {
  const { catalogue, volume, report } = context;
  const job = known ?? (await findJob(catalogue, jobId));
  if (!record || record.owner.volume !== volume || !STATES_OF_WORKERS.has(record.state)) return job;
  if (
    job &&
    (job.tenantId !== record.tenantId || misplaced(job, volume) || job.revision >= record.revision)
  ) {
    return job;
  }
  if (!job && !(await provesRecord(catalogue, record))) return undefined;
  const reported = await reportJob(catalogue, record);
  if (reported === "unchanged") return job;
  report({ event: "replayed", job: jobId, tenant: record.tenantId, state: record.state, reported });
  return findJob(catalogue, jobId);
}

/** Decides, asking Kubernetes only about a job that nothing else keeps. */
export async function decideAsking(
  facts: Omit<JobFacts, "pod">,
  job: CataloguedJob | undefined,
  { rules, pods }: Pick<SweepContext, "rules" | "pods">,
): Promise<Decision> {
  const decision = decide({ ...facts, pod: undefined }, rules);
  if (decision.code !== "pod-unknown" || !pods || !job) return decision;
  return decide({ ...facts, pod: await pods.liveness(job.namespace, job.pod) }, rules);
}

/** Where a row is of no use to this sweep: gone by the audit, or somewhere else. */
export function misplaced(job: CataloguedJob | undefined, volume: string): Decision | undefined {
  const problem = (code: string, reason: string): Decision => ({
    action: "report",
    code,
    reason,
    contradiction: true,
  });
  if (job?.deleted) return problem("deleted-but-present", "the audit says it was deleted, and it is here");
  if (job && job.location !== "local") {
    return problem("moved-but-present", "it was moved to object storage, and something of its name is here");
  }
  if (job && job.volume !== volume) {
    return problem("other-volume", `the catalogue has it on volume ${job.volume}, and it is here`);
  }
  return undefined;
}
