import { catalogueFacts } from "@video-storage/catalogue/decision-by-row";
import { historyOf } from "@video-storage/catalogue/job-history";
import type { HistoryEntry } from "@video-storage/catalogue/job-history";
import { findJob } from "@video-storage/catalogue/sweeping";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { formatDuration } from "@video-storage/contract/durations";
import type { JobId } from "@video-storage/contract/identity";
import type { Decision, RecordFacts } from "@video-storage/contract/plan";
import { escapedLines } from "@video-storage/contract/shown-text";
import type { SweepContext } from "./context.js";
import { decideAsking, inspectRecord, misplaced } from "./inspection.js";
import { leaseHeld } from "./sweep.js";

/** All that the sweep knows about one job, and what it would do now. */
export interface Explanation {
  readonly job: JobId;
  readonly volume: string;
  readonly decision: Decision;
  readonly record: RecordFacts | null;
  readonly catalogue: CataloguedJob | null;
  readonly leaseHeld: boolean;
  readonly history: readonly HistoryEntry[];
}

/** Looks at one job and changes nothing. */
export async function explain(context: SweepContext, jobId: JobId): Promise<Explanation> {
  const { root, catalogue, volume } = context;
  const read = await inspectRecord(root, jobId);
  const job = await findJob(catalogue, jobId);
  const held = read !== undefined && (await leaseHeld(context, jobId));
  const facts = { jobId, record: read?.facts, catalogue: job && catalogueFacts(job), leaseHeld: held };
  const decision = (read ? misplaced(job, volume) : undefined) ?? (await decideAsking(facts, job, context));
  return {
    ...{ job: jobId, volume, decision, record: read?.facts ?? null, catalogue: job ?? null },
    ...{ leaseHeld: held, history: await historyOf(catalogue, jobId) },
  };
}

/** Below the values, so that no line can be taken for one of ours. */
const CONTINUED = " ".repeat(13);

/** The explanation for people. */
export function formatExplanation(explanation: Explanation): string {
  const { job, volume, decision, record, catalogue, history } = explanation;
  const lines = [
    `${job} on volume ${volume}: ${decision.action}`,
    `  because    ${decision.reason} (${decision.code})`,
    ...(decision.dueInSeconds === undefined ? [] : [`  due in     ${shown(decision.dueInSeconds)}`]),
    `  record     ${record === null ? "no directory here" : record.readable ? `${record.state}, tenant ${record.tenantId}` : `can't be read: ${record.problem}`}`,
    `  catalogue  ${catalogue === null ? "doesn't know it" : rowOf(catalogue)}`,
    `  lock       ${explanation.leaseHeld ? "held by a worker or uploader" : "free"}`,
    ...history.map(
      (entry) =>
        `  audit      ${entry.recordedAt.toISOString()} ${entry.phase} to ${entry.action}: ${entry.reason}` +
        (entry.phase === "outcome" ? `; ${entry.bytes} bytes, ${entry.files} files` : "") +
        ` (${entry.actor})`,
    ),
  ];
  return lines.map((line) => `${escapedLines(line, CONTINUED)}\n`).join("");
}

function rowOf(job: CataloguedJob): string {
  const since = `${job.state} for ${shown(job.secondsInState)}`;
  const heartbeat = `last heartbeat ${shown(job.secondsSinceHeartbeat)} ago`;
  return `${since}, ${heartbeat}, pod ${job.namespace}/${job.pod} on ${job.node}, location ${job.location}`;
}

function shown(seconds: number): string {
  return seconds < 0 ? `-${formatDuration(Math.ceil(-seconds))}` : formatDuration(Math.floor(seconds));
}
