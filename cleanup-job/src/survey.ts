import { CatalogueBusyError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { catalogueFacts, decideByRow } from "@video-storage/catalogue/decision-by-row";
import { findJobs, markContradiction } from "@video-storage/catalogue/sweeping";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { jobsOnVolumeInPages } from "@video-storage/catalogue/volume-jobs";
import type { JobId } from "@video-storage/contract/identity";
import { decide } from "@video-storage/contract/plan";
import type { Decision, JobFacts } from "@video-storage/contract/plan";
import type { SweepContext } from "./context.js";
import { catalogued, decideAsking, inspectRecord, misplaced } from "./inspection.js";
import { JobFilter } from "./job-filter.js";
import { entriesOf, hasEntry } from "./volume.js";

/** A job that the volume or the catalogue has. */
export interface Surveyed {
  readonly jobId: JobId;
  readonly job: CataloguedJob | undefined;
  /** Undefined where the catalogue alone doesn't decide, and the job itself has to be looked at. */
  readonly decision: Decision | undefined;
}

/** A job with what the sweep would do with it. Nothing is locked yet. */
export interface Decided extends Surveyed {
  readonly decision: Decision;
}

const UNKNOWN_AT_ONCE = 500;
const FOREIGN_SHOWN = 20;

/**
 * Every job of the volume: each row of the catalogue, the oldest job first, then each directory that the catalogue
 * doesn't have there.
 *
 * A job that its row alone keeps costs that one row and no system call of its own: the directory isn't opened, the
 * record not read. Memory doesn't grow with the number of jobs.
 */
export async function* survey(context: SweepContext): AsyncGenerator<Surveyed, void, undefined> {
  const { root, volume, catalogue } = context;
  const here = await jobsHere(context);
  const known = new JobFilter();
  for await (const page of jobsOnVolumeInPages(catalogue, volume)) {
    for (const job of page) {
      known.add(job.jobId);
      const decision = await byRow(context, job, here.mayHave(job.jobId));
      yield { jobId: job.jobId, job, decision };
    }
  }
  let unknown: JobId[] = [];
  for await (const { jobId } of entriesOf(root)) {
    if (jobId === undefined || known.mayHave(jobId)) continue;
    unknown.push(jobId);
    if (unknown.length < UNKNOWN_AT_ONCE) continue;
    yield* withRows(context, unknown);
    unknown = [];
  }
  yield* withRows(context, unknown);
}

async function jobsHere({ root, report }: SweepContext): Promise<JobFilter> {
  const here = new JobFilter();
  let foreign = 0;
  for await (const entry of entriesOf(root)) {
    if (entry.jobId !== undefined) here.add(entry.jobId);
    else if (++foreign <= FOREIGN_SHOWN) {
      const reason = "it is no job's name, so it is left alone";
      report({ event: "foreign", level: "warning", name: entry.foreign, reason });
    }
  }
  if (foreign > FOREIGN_SHOWN) {
    const reason = "names that are no job's are left alone; only some are shown";
    report({ event: "foreign", level: "warning", reason, count: foreign });
  }
  return here;
}

async function* withRows(
  { catalogue }: SweepContext,
  ids: readonly JobId[],
): AsyncGenerator<Surveyed, void, undefined> {
  if (ids.length === 0) return;
  const rows = new Map((await findJobs(catalogue, ids)).map((job) => [job.jobId, job]));
  for (const jobId of ids) yield { jobId, job: rows.get(jobId), decision: undefined };
}

/** What the row decides if the record agrees with it. Only what would keep the job is final. */
async function byRow(
  { root, rules }: SweepContext,
  job: CataloguedJob,
  seen: boolean,
): Promise<Decision | undefined> {
  const facts = (record: JobFacts["record"]): JobFacts => {
    const { jobId } = job;
    return { jobId, record, catalogue: catalogueFacts(job), leaseHeld: false, pod: undefined };
  };
  if (job.location !== "local") return seen ? undefined : decide(facts(undefined), rules);
  // It may have been made since the volume was listed.
  if (!seen && !(await hasEntry(root, job.jobId))) return decide(facts(undefined), rules);
  const decision = decideByRow(job, rules);
  // When nobody has been asked about the pod, the heartbeat is lost: the record may know that the job has ended.
  return decision.action === "keep" && decision.code !== "pod-unknown" ? decision : undefined;
}

/**
 * Looks at the job itself: reads its record, tells the catalogue what it didn't know, and decides. With `replay`
 * false nothing is written.
 */
export async function look(
  context: SweepContext,
  { jobId, job: row }: Surveyed,
  { replay }: { readonly replay: boolean },
): Promise<Decided> {
  const { root, volume, catalogue } = context;
  try {
    const read = await inspectRecord(root, jobId);
    const job = await catalogued(context, jobId, row, replay ? read?.record : undefined);
    const facts = { jobId, record: read?.facts, catalogue: job && catalogueFacts(job), leaseHeld: false };
    const decision = (read && misplaced(job, volume)) ?? (await decideAsking(facts, job, context));
    if (decision.contradiction && job && replay) await markContradiction(catalogue, job);
    return { jobId, job, decision };
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
