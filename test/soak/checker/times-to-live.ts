import { ADMISSION_DIRECTORY, TRASH_DIRECTORY } from "@video-storage/contract/layout";

import type { Evidence, JobRow, Times, Violation } from "./evidence.js";
import { Findings, placeOf } from "./findings.js";
import { hadItsTime, longestUndisturbed } from "./timeline.js";

/** Codes of what went before its time because its volume was full end so; the policy allows it. */
const EVICTED = /-evicted$/;

/** Clocks of the database and of a statement's beginning differ by what the statement takes. */
const TOLERANCE = 1_000;

/** Nothing stays beyond its time and a period, but for what outages excuse; and nothing goes before its time. */
export function checkTimesToLive(evidence: Evidence): Violation[] {
  const findings = new Findings(evidence);
  for (const row of evidence.catalogue.jobs) {
    checkDeletion(evidence, findings, row);
    checkObjects(evidence, findings, row);
  }
  checkDebris(evidence, findings);
  return findings.violations;
}

function checkDeletion({ run, catalogue }: Evidence, findings: Findings, row: JobRow): void {
  const { jobId, volume, state } = row;
  const due = dueAt(row, run.times, endOfWorker(run, jobId));
  if (due === undefined) return;
  const audit = findings.auditOf(jobId);
  const local = audit.filter(({ action }) => action === "delete" || action === "tier");
  const outcome = local.find(({ phase }) => phase === "outcome");
  const goneAt =
    outcome?.recordedAt ?? (placeOf(findings, volume, jobId) === "nowhere" ? due : catalogue.now);
  const shown = `${state}, due ${time(due)}`;
  if (hadItsTime(run, findings.nodeOf(volume), due, goneAt))
    findings.add(
      "overdue",
      jobId,
      `${shown}, ${outcome ? `gone ${time(goneAt)}` : "and still on its volume"}, with an undisturbed period between`,
    );
  // Sweeps that began after it was due, and say that they left nothing undone, have passed it by. One may find that
  // an upload process reads the job just then.
  const [, passedBy] = catalogue.sweeps.filter(
    (sweep) =>
      sweep.volume === volume && sweep.result === "ok" && sweep.startedAt > due && sweep.finishedAt < goneAt,
  );
  // What is abandoned is only marked by the sweep that finds it.
  if (passedBy && state !== "active")
    findings.add(
      "passed-by",
      jobId,
      `${shown}; two sweeps left it, the last ended ${time(passedBy.finishedAt)}`,
    );
  // After it was moved, an upload changes its state and with it what was due then.
  const intent = local.find(({ phase, action }) => phase === "intent" && action === "delete");
  if (intent && !EVICTED.test(String(intent.details["code"])) && intent.recordedAt < due - TOLERANCE)
    findings.add("deleted-early", jobId, `${shown}, deleted ${time(intent.recordedAt)}: ${intent.reason}`);
}

/** How long after it was due a job left its volume at the latest, in seconds, of those that nothing disturbed. */
export function latestOf(evidence: Evidence): number {
  const findings = new Findings(evidence);
  const { run, catalogue } = evidence;
  let latest = 0;
  for (const row of catalogue.jobs) {
    const due = dueAt(row, run.times, endOfWorker(run, row.jobId));
    const gone = findings
      .auditOf(row.jobId)
      .find(({ phase, action }) => phase === "outcome" && (action === "delete" || action === "tier"));
    if (due === undefined || gone === undefined) continue;
    const late = gone.recordedAt - due;
    const node = findings.nodeOf(row.volume);
    if (longestUndisturbed(run.outages, node, due, gone.recordedAt) === late) latest = Math.max(latest, late);
  }
  return Math.round(latest / 100) / 10;
}

/** When a job is to leave its volume, or to be found abandoned; undefined while its worker is at it. */
function dueAt(row: JobRow, times: Times, workerEndedAt: number): number | undefined {
  const since = (seconds: number): number => row.stateChangedAt + seconds * 1000;
  switch (row.state) {
    case "completed":
      return since(times.completed);
    case "uploaded":
    case "handed-over":
      return since(times.uploaded);
    case "failed":
    case "quarantined":
      return since(times.failed);
    case "abandoned":
      return Math.max(row.stateChangedAt, row.heartbeatAt + times.abandoned * 1000);
    default:
      if (workerEndedAt === Infinity) return undefined;
      return Math.max(workerEndedAt, row.heartbeatAt + times.heartbeatTimeout * 1000);
  }
}

function endOfWorker({ claims, endedPods }: Evidence["run"], jobId: string): number {
  const claim = claims.find((candidate) => candidate.jobId === jobId);
  return claim ? (endedPods.get(claim.pod) ?? Infinity) : Infinity;
}

/** What lies in object storage for good is what nobody uploaded; of the rest, each has its time. */
function checkObjects({ run, catalogue }: Evidence, findings: Findings, row: JobRow): void {
  if (row.state !== "uploaded" || row.location !== "object") return;
  const live = catalogue.objects.filter((object) => object.jobId === row.jobId && object.removedAt === null);
  if (live.length === 0) return;
  const { staged, janitorPeriod, period } = run.times;
  const used = Math.max(row.stateChangedAt, row.lastAccessAt, ...live.map(({ verifiedAt }) => verifiedAt));
  const due = used + staged * 1000;
  if (hadItsTime(run, undefined, due, catalogue.now, janitorPeriod + period))
    findings.add("staged-overdue", row.jobId, `${live.length} objects, due ${time(due)}, are still there`);
}

/** Directories that nobody answers for, objects without a row. */
function checkDebris(evidence: Evidence, findings: Findings): void {
  const { disks, run, catalogue, objects } = evidence;
  for (const { volume, entries } of disks) {
    for (const { path, changedAt } of entries) {
      const [first, second, ...deeper] = path.split("/");
      const inTrash = first === TRASH_DIRECTORY;
      if (deeper.length > 0 || (second !== undefined) !== inTrash) continue;
      const name = inTrash ? second! : first!;
      if (name === "." || name === ADMISSION_DIRECTORY || name.startsWith(".new-")) continue;
      const known = findings.rows.has(name);
      const due = changedAt + (inTrash ? run.times.trash * 1000 : 0);
      if ((inTrash || !known) && hadItsTime(run, volume.node, due, catalogue.now))
        findings.add(
          inTrash ? "left-in-trash" : "unknown-directory",
          `${volume.name}/${path}`,
          `it is there since ${time(changedAt)}`,
        );
    }
  }
  const known = new Set(
    catalogue.objects.filter(({ removedAt }) => removedAt === null).map(({ packKey, key }) => packKey ?? key),
  );
  const { orphaned, janitorPeriod, period } = run.times;
  for (const { key, writtenAt } of objects) {
    if (known.has(key)) continue;
    const row = findings.rows.get(key.split("/")[3] ?? "");
    // What a job has that is still on its volume may get its row yet.
    if (row && row.deletedAt === null && (row.state === "active" || row.location === "local")) continue;
    if (hadItsTime(run, undefined, writtenAt + orphaned * 1000, catalogue.now, janitorPeriod + period))
      findings.add("object-left", key, `no row is about it, since ${time(writtenAt)}`);
  }
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(11, 23);
}
