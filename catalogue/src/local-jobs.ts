import type { Queryable, Row } from "./connection.js";
import { JOB_COLUMNS } from "./job-columns.js";
import type { CataloguedJob } from "./job-columns.js";

/** Every job that lies on a volume, or on one of them, in pages by id, in memory that doesn't grow with their number. */
export async function* localJobsInPages(
  catalogue: Queryable,
  volume?: string,
  pageSize = 500,
): AsyncGenerator<CataloguedJob[], void, undefined> {
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const page = await catalogue.query<CataloguedJob & Row>(
      `SELECT ${JOB_COLUMNS} FROM storage.jobs
       WHERE ($1::text IS NULL OR volume = $1) AND deleted_at IS NULL AND location = 'local' AND job_id > $2
       ORDER BY job_id LIMIT $3`,
      [volume ?? null, after, pageSize],
    );
    if (page.length > 0) yield page;
    if (page.length < pageSize) return;
    after = page.at(-1)!.jobId;
  }
}
