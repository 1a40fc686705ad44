import { createHash } from "node:crypto";
import type { JobId, TenantId } from "@video-storage/contract/identity";
import type { JsonValue } from "@video-storage/contract/json-value";
import type { Queryable, Row } from "./connection.js";
import type { AuditAction } from "./sweeping.js";

/** One row of the audit, with the link that ties it to the row before it on the same volume. */
export interface AuditEntry {
  readonly volume: string;
  /** 1, 2, 3, … on each volume. */
  readonly sequence: number;
  readonly tenantId: TenantId | null;
  readonly jobId: JobId;
  readonly phase: "intent" | "outcome";
  readonly action: AuditAction;
  readonly reason: string;
  readonly details: Readonly<Record<string, JsonValue>>;
  readonly bytes: number | null;
  readonly files: number | null;
  readonly actor: string;
  /** The database login that wrote it. */
  readonly login: string;
  readonly recordedAt: Date;
  /** What was hashed when the row was written. */
  readonly payload: string;
  /** The same, made now from the row's columns. */
  readonly content: string;
  /** Lower-case hexadecimal, like {@link hash}. */
  readonly previousHash: string;
  readonly hash: string;
}

/** The last row of a volume as someone noted it earlier, outside the database. */
export interface AuditAnchor {
  readonly volume: string;
  readonly sequence: number;
  readonly hash: string;
}

export interface AuditProblem {
  readonly volume: string;
  readonly sequence: number;
  readonly problem: string;
}

export interface AuditVerification {
  readonly intact: boolean;
  readonly entries: number;
  readonly problems: readonly AuditProblem[];
  /** The last row of every volume: keep it elsewhere, and pass it to the next verification. */
  readonly anchors: readonly AuditAnchor[];
}

/** All rows, or one volume's, by volume and sequence. */
export async function readAudit(catalogue: Queryable, volume?: string): Promise<AuditEntry[]> {
  return catalogue.query<AuditEntry & Row>(
    `SELECT volume, sequence, tenant_id AS "tenantId", job_id AS "jobId", phase, action, reason, details, bytes, files,
       actor, login, recorded_at AS "recordedAt", payload, storage.audit_payload(a) AS content,
       encode(previous_hash, 'hex') AS "previousHash", encode(hash, 'hex') AS hash
     FROM storage.audit a WHERE $1::text IS NULL OR volume = $1 ORDER BY volume COLLATE "C", sequence`,
    [volume ?? null],
  );
}

/**
 * Proves every chain: nothing changed, taken out or put in between. Rows taken from the end leave a chain that
 * is whole in itself: only an anchor kept from an earlier verification shows that.
 */
export function verifyChain(
  entries: readonly AuditEntry[],
  anchors: readonly AuditAnchor[] = [],
): AuditVerification {
  const problems: AuditProblem[] = [];
  const heads = new Map<string, AuditAnchor>();
  const hashes = new Map<string, string>();
  for (const entry of entries) {
    const { volume, sequence } = entry;
    const report = (problem: string): number => problems.push({ volume, sequence, problem });
    const before = heads.get(volume) ?? { volume, sequence: 0, hash: "0".repeat(64) };
    if (sequence !== before.sequence + 1) report(`follows row ${before.sequence}: rows between are missing`);
    if (entry.previousHash !== before.hash) report("doesn't link to the row before it");
    if (entry.content !== entry.payload) report("its columns don't say what was hashed");
    if (entry.hash !== chainHash(entry.previousHash, entry.payload))
      report("its hash is not that of its content");
    heads.set(volume, { volume, sequence, hash: entry.hash });
    hashes.set(`${sequence} ${volume}`, entry.hash);
  }
  for (const { volume, sequence, hash } of anchors) {
    const found = hashes.get(`${sequence} ${volume}`);
    if (found !== hash) {
      problems.push({
        volume,
        sequence,
        problem: found === undefined ? "is missing, and was there" : "differs from what was there",
      });
    }
  }
  return { intact: problems.length === 0, entries: entries.length, problems, anchors: [...heads.values()] };
}

function chainHash(previousHash: string, payload: string): string {
  return createHash("sha256").update(Buffer.from(previousHash, "hex")).update(payload, "utf8").digest("hex");
}
