import type { JobState } from "@video-storage/contract/states";
import type { Queryable, Row } from "./connection.js";
import { JOB_COLUMNS } from "./job-columns.js";
import type { CataloguedJob } from "./job-columns.js";

/**
 * A volume's jobs in pages, for a sweep whose memory doesn't grow with the number of jobs. Each page is a statement of
 * its own that begins where the last one ended: nothing is held in the database while the sweep works on a page, and
 * what it changes there moves no other job into or out of the pages to come.
 */
export interface PageOptions {
  /** Jobs in one page. Default 500. */
  readonly pageSize?: number;
}

const PAGE_SIZE = 500;

// What needs nothing but to be deleted goes first: it makes room soonest.
const DUE_ORDER = [
  ...(["uploaded", "failed", "quarantined", "abandoned"] as const),
  ...(["completed", "handed-over", "active"] as const),
];

type Positioned = CataloguedJob & Row & { position?: string };

/** All of the volume's jobs that are not deleted, by their ids and hence by their age. */
export async function* jobsOnVolumeInPages(
  catalogue: Queryable,
  volume: string,
  { pageSize = PAGE_SIZE }: PageOptions = {},
): AsyncGenerator<CataloguedJob[], void, undefined> {
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const page = await catalogue.query<CataloguedJob & Row>(
      `SELECT ${JOB_COLUMNS} FROM storage.jobs
       WHERE volume = $1 AND deleted_at IS NULL AND job_id > $2 ORDER BY job_id LIMIT $3`,
      [volume, after, pageSize],
    );
    if (page.length > 0) yield page;
    if (page.length < pageSize) return;
    after = page.at(-1)!.jobId;
  }
}

/** Ages in seconds from which a job of that state is due; a state that isn't named never is. */
export interface DueAges {
  /** Since the last heartbeat, as for `abandoned`: then the sweep asks whether its worker is gone. */
  readonly active?: number;
  readonly abandoned?: number;
  /** Since it came into its state, as for the others below. */
  readonly uploaded?: number;
  readonly failed?: number;
  readonly quarantined?: number;
  readonly "handed-over"?: number;
  readonly completed?: number;
}

/**
 * The volume's local jobs that are due, first those that can be deleted at once; of each state, the oldest first. Where
 * tenants have times of their own, pass the shortest: the plan decides about each.
 */
export async function* dueJobsInPages(
  catalogue: Queryable,
  volume: string,
  due: DueAges,
  { pageSize = PAGE_SIZE }: PageOptions = {},
): AsyncGenerator<CataloguedJob[], void, undefined> {
  for (const state of DUE_ORDER) {
    const seconds = due[state];
    if (seconds === undefined) continue;
    // heartbeat_at is in no index: see migration 0004. The jobs in these two states are few.
    const age = state === "active" || state === "abandoned" ? "heartbeat_at" : "state_changed_at";
    yield* inOrderOf(catalogue, "state_changed_at", pageSize, {
      where: `volume = $1 AND deleted_at IS NULL AND location = 'local' AND state = $2
        AND ${age} <= now() - make_interval(secs => $3)`,
      values: [volume, state, seconds],
    });
  }
}

/** The volume's local jobs in these states, the longest unused first: what goes under disk pressure. */
export async function* leastRecentlyUsedInPages(
  catalogue: Queryable,
  volume: string,
  states: readonly Exclude<JobState, "active">[],
  { pageSize = PAGE_SIZE }: PageOptions = {},
): AsyncGenerator<CataloguedJob[], void, undefined> {
  yield* inOrderOf(catalogue, "last_access_at", pageSize, {
    where: `volume = $1 AND deleted_at IS NULL AND location = 'local' AND state <> 'active' AND state = ANY ($2)`,
    values: [volume, [...states]],
  });
}

/** Every tenant's jobs that are in object storage, what has been longest in its state first. */
export async function* jobsInObjectStorageInPages(
  catalogue: Queryable,
  { minimumSecondsInState = 0, pageSize = PAGE_SIZE }: PageOptions & { minimumSecondsInState?: number } = {},
): AsyncGenerator<CataloguedJob[], void, undefined> {
  yield* inOrderOf(catalogue, "state_changed_at", pageSize, {
    where: `deleted_at IS NULL AND location = 'object' AND state_changed_at <= now() - make_interval(secs => $1)`,
    values: [minimumSecondsInState],
  });
}

async function* inOrderOf(
  catalogue: Queryable,
  column: "state_changed_at" | "last_access_at",
  pageSize: number,
  { where, values }: { where: string; values: readonly unknown[] },
): AsyncGenerator<CataloguedJob[], void, undefined> {
  const parameter = (offset: number): string => `$${values.length + offset}`;
  // As text: a Date of JavaScript's has milliseconds only, and would skip or repeat jobs of the same one.
  let after = ["-infinity", "00000000-0000-0000-0000-000000000000"];
  for (;;) {
    const page = await catalogue.query<Positioned>(
      `SELECT ${JOB_COLUMNS}, ${column}::text AS position FROM storage.jobs
       WHERE ${where} AND (${column}, job_id) > (${parameter(1)}::timestamptz, ${parameter(2)}::uuid)
       ORDER BY ${column}, job_id LIMIT ${parameter(3)}`,
      [...values, ...after, pageSize],
    );
    const last = page.at(-1);
    if (last) after = [last.position!, last.jobId];
    for (const job of page) delete job.position;
    if (page.length > 0) yield page;
    if (page.length < pageSize) return;
  }
}
