import { createHash } from "node:crypto";

import type { AuditRow, Evidence, Violation } from "./evidence.js";
import { sha256OfPart } from "./contents.js";
import { Findings, groupedBy, placeOf } from "./findings.js";
import { hadItsTime } from "./timeline.js";

/** Every chain is whole, every deletion has one intent and one outcome, and every outcome its deletion. */
export function checkAudit(evidence: Evidence): Violation[] {
  const findings = new Findings(evidence);
  checkChains(evidence, findings);
  checkPairs(evidence, findings);
  checkEffects(evidence, findings);
  checkObjects(evidence, findings);
  return findings.violations;
}

function checkChains({ catalogue, run }: Evidence, findings: Findings): void {
  const chains = groupedBy(catalogue.audit, ({ volume }) => volume);
  for (const [volume, rows] of chains) {
    let previous = "0".repeat(64);
    for (const [index, row] of rows.entries()) {
      const subject = `${volume} ${row.sequence}`;
      if (row.sequence !== index + 1) {
        findings.add("chain-broken", subject, `row ${index + 1} is missing`);
        break;
      }
      if (row.previousHash !== previous)
        findings.add("chain-broken", subject, "it isn't linked to the row before");
      const hash = createHash("sha256").update(Buffer.from(row.previousHash, "hex")).update(row.payload);
      if (row.hash !== hash.digest("hex"))
        findings.add("chain-broken", subject, "its hash is not that of its payload");
      for (const field of differing(row))
        findings.add("row-differs", subject, `${field} is not what was hashed`);
      previous = row.hash;
    }
  }
  for (const { volume, sequence, hash } of run.anchors) {
    const row = chains.get(volume)?.find((candidate) => candidate.sequence === sequence);
    if (row?.hash !== hash)
      findings.add(
        "chain-broken",
        `${volume} ${sequence}`,
        "it was seen during the run, and is not there as it was",
      );
  }
}

/** Columns that say something else than the text that the chain was made of. */
function differing(row: AuditRow): string[] {
  const said = JSON.parse(row.payload) as Record<string, unknown>;
  const { volume, sequence, tenantId, jobId, phase, action, reason, details } = row;
  const { bytes, files, actor, login, recordedAt } = row;
  const columns = { volume, sequence, tenantId, jobId, phase, action, reason, details };
  const fields = Object.entries({ ...columns, bytes, files, actor, login });
  const wrong = fields.filter(([field, value]) => canonical(said[field]) !== canonical(value));
  // The text has microseconds.
  const moment = Date.parse(String(said["recordedAt"]).replace(/(\.\d{3})\d*/, "$1"));
  return [...wrong.map(([field]) => field), ...(Math.abs(moment - recordedAt) < 2 ? [] : ["recordedAt"])];
}

function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`)
    .sort()
    .join()}}`;
}

function checkPairs({ catalogue }: Evidence, findings: Findings): void {
  const pairs = groupedBy(catalogue.audit, ({ jobId, action }) => `${action} of ${jobId}`);
  for (const [subject, rows] of pairs) {
    // What no row is about can come again.
    const repeats = rows[0]!.action === "orphan";
    const intents = rows.filter(({ phase }) => phase === "intent");
    const outcomes = rows.filter(({ phase }) => phase === "outcome");
    if (!repeats && intents.length > 1) findings.add("two-intents", subject, `${intents.length} rows`);
    if (!repeats && outcomes.length > 1) findings.add("two-outcomes", subject, `${outcomes.length} rows`);
    for (const [index, outcome] of outcomes.entries()) {
      const intent = intents[repeats ? index : 0];
      const before =
        intent !== undefined && intent.volume === outcome.volume && intent.sequence < outcome.sequence;
      if (!before)
        findings.add(
          "outcome-without-intent",
          subject,
          `row ${outcome.volume} ${outcome.sequence} has no intent before it`,
        );
    }
  }
}

/** A row without its deletion. */
function checkEffects(evidence: Evidence, findings: Findings): void {
  for (const { phase, action, jobId, volume, sequence } of evidence.catalogue.audit) {
    if (phase !== "outcome") continue;
    const row = findings.rows.get(jobId);
    const said = `row ${volume} ${sequence} says ${action}`;
    if (action === "delete" || action === "tier") {
      const place = placeOf(findings, volume, jobId);
      if (place !== "nowhere")
        findings.add("row-without-deletion", jobId, `${said}, and its directory is ${place}`);
      if (row && row.volume === volume && row.location === "local")
        findings.add("row-without-deletion", jobId, `${said}, and the catalogue has it on its volume`);
    }
    if (action === "expire") {
      const left = evidence.objects.filter(({ key }) => key.split("/")[3] === jobId);
      if (left.length > 0)
        findings.add("row-without-deletion", jobId, `${said}, and ${left.length} of its objects are there`);
    }
  }
}

/** What the catalogue says is in the bucket is there, whole; what it says is removed has a row that says why. */
function checkObjects(evidence: Evidence, findings: Findings): void {
  const { catalogue, objects, bucket, run } = evidence;
  const byKey = new Map(objects.map((object) => [object.key, object]));
  for (const row of catalogue.objects) {
    if (row.bucket !== bucket) continue;
    const expiry = findings.auditOf(row.jobId).filter(({ action }) => action === "expire");
    if (row.removedAt !== null) {
      if (!expiry.some(({ phase }) => phase === "outcome"))
        findings.add(
          "deleted-without-row",
          row.key,
          "the catalogue says that it was removed, and no audit row does",
        );
      continue;
    }
    const object = byKey.get(row.packKey ?? row.key);
    if (object === undefined) {
      const begun = expiry[0];
      if (begun === undefined)
        findings.add("object-missing", row.key, "the catalogue has it, the bucket doesn't");
      else if (
        hadItsTime(
          run,
          undefined,
          begun.recordedAt,
          catalogue.now,
          run.times.janitorPeriod + run.times.period,
        )
      )
        findings.add(
          "deletion-unfinished",
          row.key,
          `expiry was begun by row ${begun.volume} ${begun.sequence}`,
        );
    } else if (sha256OfPart(object, row) !== row.sha256) {
      findings.add("object-differs", row.key, "its content is not what the catalogue says");
    }
  }
}
