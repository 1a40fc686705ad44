import type { AuditRow, Claim, Evidence, JobRow, Violation } from "./evidence.js";
import { contentOf } from "./contents.js";
import { Findings, placeOf } from "./findings.js";
import { hadItsTime } from "./timeline.js";

/** No job that was begun is lost, none that is worked on is touched, and what was acknowledged can be read. */
export function checkJobs(evidence: Evidence): Violation[] {
  const findings = new Findings(evidence);
  for (const claim of evidence.run.claims) checkClaim(evidence, findings, claim);
  for (const row of evidence.catalogue.jobs) checkRow(evidence, findings, row);
  return findings.violations;
}

function checkClaim(evidence: Evidence, findings: Findings, claim: Claim): void {
  const { run, catalogue } = evidence;
  const { jobId } = claim;
  const row = findings.rows.get(jobId);
  const place = placeOf(findings, claim.volume, jobId);
  const audit = findings.auditOf(jobId);
  const end = endOfWork(run.endedPods, claim);
  for (const entry of audit) {
    if (entry.action !== "expire" && entry.recordedAt < end)
      findings.add(
        "active-job-touched",
        jobId,
        `row ${nameOf(entry)} was written while its worker was at it`,
      );
  }
  if (row === undefined) {
    if (place === "nowhere") findings.add("job-lost", jobId, "its worker began it, and nothing has it now");
    else if (hadItsTime(run, findings.nodeOf(claim.volume), claim.createdAt, catalogue.now))
      findings.add("job-unknown", jobId, "it is on its volume, and no sweep has told the catalogue");
    return;
  }
  if (row.tenantId !== claim.tenantId)
    findings.add(
      "job-of-another",
      jobId,
      `${claim.tenantId} began it, and the catalogue says ${row.tenantId}`,
    );
  if (end === Infinity) {
    const { state, location, deletedAt } = row;
    const record = findings.recordOf(claim.volume, jobId);
    if (state !== "active" || location !== "local" || deletedAt !== null || place !== "in its place")
      findings.add(
        "active-job-lost",
        jobId,
        `its worker is at it; the catalogue says ${state}, ${location}, and its directory is ${place}`,
      );
    else if (record?.state !== "active")
      findings.add("active-job-lost", jobId, `its worker is at it, and its record says ${record?.state}`);
  }
  const uploaded = row.state === "uploaded" || claim.uploadedAt !== undefined;
  if (claim.completedAt !== undefined && !uploaded) {
    const gone = audit.find(({ action }) => action === "delete" || action === "expire");
    if (gone)
      findings.add(
        "unuploaded-job-deleted",
        jobId,
        `it was completed and nobody uploaded it; row ${nameOf(gone)} says: ${gone.reason}`,
      );
  }
  const kept = end === Infinity || (claim.completedAt !== undefined && row.location !== "none");
  if (kept) checkContent(evidence, findings, claim);
}

/** What the worker was told to be durable is there, to the byte. */
function checkContent(evidence: Evidence, findings: Findings, claim: Claim): void {
  for (const [name, { bytes, sha256 }] of Object.entries(claim.files)) {
    const found = contentOf(evidence, findings, claim, name);
    if (found === undefined)
      findings.add(
        "content-lost",
        claim.jobId,
        `${name}, ${bytes} bytes, is neither on its volume nor an object`,
      );
    else if (found !== sha256)
      findings.add(
        "content-differs",
        claim.jobId,
        `${name} has SHA-256 ${found}, its worker wrote ${sha256}`,
      );
  }
}

function checkRow({ run, catalogue }: Evidence, findings: Findings, row: JobRow): void {
  const { jobId, location, deletedAt, volume } = row;
  const place = placeOf(findings, volume, jobId);
  const outcomes = findings.auditOf(jobId).filter(({ phase }) => phase === "outcome");
  const has = (...actions: string[]): boolean => outcomes.some(({ action }) => actions.includes(action));
  if (location === "local" && place === "nowhere" && !has("delete", "tier")) {
    const begun = findings.auditOf(jobId).find(({ action }) => action === "delete" || action === "tier");
    if (begun === undefined)
      findings.add(
        "deleted-without-row",
        jobId,
        `its directory on ${volume} is gone, and no audit row says so`,
      );
    else if (hadItsTime(run, findings.nodeOf(volume), begun.recordedAt, catalogue.now))
      findings.add(
        "deletion-unfinished",
        jobId,
        `row ${nameOf(begun)} has no outcome, and its directory is gone`,
      );
  }
  if ((location === "none" || deletedAt !== null) && !has("delete", "expire"))
    findings.add(
      "deleted-without-row",
      jobId,
      "the catalogue says that it is deleted, and no audit row does",
    );
  if (location === "object" && !has("tier"))
    findings.add("deleted-without-row", jobId, "the catalogue says that it was moved, and no audit row does");
}

/** When a job was no longer being worked on; Infinity when it still is. */
function endOfWork(endedPods: ReadonlyMap<string, number>, { endingAt, pod }: Claim): number {
  return Math.min(endingAt ?? Infinity, endedPods.get(pod) ?? Infinity);
}

function nameOf({ volume, sequence, action, phase }: AuditRow): string {
  return `${volume} ${sequence} (${action} ${phase})`;
}
