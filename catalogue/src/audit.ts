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
  /** Rows that were looked at, those in archives among them. */
  readonly entries: number;
  /** The first thousand. */
  readonly problems: readonly AuditProblem[];
  readonly problemsFound: number;
  /** The last row of every volume: keep it elsewhere, and pass it to the next verification. */
  readonly anchors: readonly AuditAnchor[];
  /** Rows that lie in archives which were not at hand: only that the chain goes on behind them was proven. */
  readonly unchecked: number;
}

const MAXIMUM_PROBLEMS = 1_000;
const PAGE_SIZE = 1_000;
const COLUMNS = `volume, sequence, tenant_id AS "tenantId", job_id AS "jobId", phase, action, reason, details, bytes, files,
  actor, login, recorded_at AS "recordedAt", payload, storage.audit_payload(a) AS content,
  encode(previous_hash, 'hex') AS "previousHash", encode(hash, 'hex') AS hash`;

/** One volume's rows after a sequence number, in pages: memory doesn't grow with the audit. */
export async function* auditPages(
  catalogue: Queryable,
  volume: string,
  { after = 0, until = Number.MAX_SAFE_INTEGER, pageSize = PAGE_SIZE } = {},
): AsyncGenerator<AuditEntry[], void, undefined> {
  for (;;) {
    const page = await catalogue.query<AuditEntry & Row>(
      `SELECT ${COLUMNS} FROM storage.audit a
       WHERE volume = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence LIMIT $4`,
      [volume, after, until, pageSize],
    );
    if (page.length > 0) yield page;
    if (page.length < pageSize) return;
    after = page.at(-1)!.sequence;
  }
}

/** Every volume that has or had a chain, by name. */
export async function auditedVolumes(catalogue: Queryable): Promise<string[]> {
  const rows = await catalogue.query<{ volume: string }>(
    `WITH RECURSIVE live AS (
       (SELECT volume FROM storage.audit ORDER BY volume LIMIT 1)
       UNION ALL
       SELECT (SELECT a.volume FROM storage.audit a WHERE a.volume > l.volume ORDER BY a.volume LIMIT 1)
       FROM live l WHERE l.volume IS NOT NULL)
     SELECT volume FROM live WHERE volume IS NOT NULL
     UNION SELECT volume FROM storage.audit_chains UNION SELECT volume FROM storage.audit_archives`,
  );
  return rows.map(({ volume }) => volume).sort();
}

/** All rows that are not archived, or one volume's, by volume and sequence, a page in memory at a time. */
export async function* streamAudit(
  catalogue: Queryable,
  volume?: string,
): AsyncGenerator<AuditEntry, void, undefined> {
  for (const name of volume === undefined ? await auditedVolumes(catalogue) : [volume]) {
    for await (const page of auditPages(catalogue, name)) yield* page;
  }
}

/** What {@link streamAudit} yields, all at once: for few rows. */
export async function readAudit(catalogue: Queryable, volume?: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for await (const entry of streamAudit(catalogue, volume)) entries.push(entry);
  return entries;
}

/** What of a row ties it to the one before. */
export type ChainLink = Pick<AuditEntry, "volume" | "sequence" | "payload" | "previousHash" | "hash"> & {
  readonly content?: string;
};

/** Follows chains row by row. Rows of one volume must come in order, those of several one volume after another. */
export class ChainVerifier {
  #entries = 0;
  #unchecked = 0;
  #problemsFound = 0;
  readonly #problems: AuditProblem[] = [];
  readonly #heads = new Map<string, AuditAnchor>();
  readonly #expected = new Map<string, string>();

  constructor(anchors: readonly AuditAnchor[] = []) {
    for (const { volume, sequence, hash } of anchors) this.#expected.set(`${sequence} ${volume}`, hash);
  }

  /** The last row of the volume that was seen. */
  head(volume: string): AuditAnchor {
    return this.#heads.get(volume) ?? { volume, sequence: 0, hash: "0".repeat(64) };
  }

  report(volume: string, sequence: number, problem: string): void {
    this.#problemsFound += 1;
    if (this.#problems.length < MAXIMUM_PROBLEMS) this.#problems.push({ volume, sequence, problem });
  }

  add({ volume, sequence, previousHash, hash, payload, content }: ChainLink): void {
    const report = (problem: string): void => this.report(volume, sequence, problem);
    const before = this.head(volume);
    if (sequence !== before.sequence + 1) report(`follows row ${before.sequence}: rows between are missing`);
    if (previousHash !== before.hash) report("doesn't link to the row before it");
    if (content !== undefined && content !== payload) report("its columns don't say what was hashed");
    if (hash !== chainHash(previousHash, payload)) report("its hash is not that of its content");
    this.#entries += 1;
    this.#moveTo({ volume, sequence, hash });
  }

  /** Goes on behind rows that are not at hand. */
  skip(end: AuditAnchor): void {
    const { volume } = end;
    const from = this.head(volume).sequence;
    this.#unchecked += end.sequence - from;
    for (const key of [...this.#expected.keys()]) {
      const sequence = Number(key.slice(0, key.indexOf(" ")));
      // Neither proven nor disproven.
      if (key === `${sequence} ${volume}` && sequence > from && sequence < end.sequence)
        this.#expected.delete(key);
    }
    this.#moveTo(end);
  }

  /** To be called once, at the end. */
  result(): AuditVerification {
    for (const key of this.#expected.keys()) {
      const separator = key.indexOf(" ");
      this.report(key.slice(separator + 1), Number(key.slice(0, separator)), "is missing, and was there");
    }
    return {
      intact: this.#problemsFound === 0,
      entries: this.#entries,
      problems: this.#problems,
      problemsFound: this.#problemsFound,
      anchors: [...this.#heads.values()],
      unchecked: this.#unchecked,
    };
  }

  #moveTo(head: AuditAnchor): void {
    const key = `${head.sequence} ${head.volume}`;
    const expected = this.#expected.get(key);
    if (expected !== undefined && expected !== head.hash)
      this.report(head.volume, head.sequence, "differs from what was there");
    this.#expected.delete(key);
    this.#heads.set(head.volume, head);
  }
}

/**
 * Proves every chain: nothing changed, taken out or put in between. Rows taken from the end leave a chain that
 * is whole in itself: only an anchor kept from an earlier verification shows that.
 */
export function verifyChain(
  entries: Iterable<AuditEntry>,
  anchors: readonly AuditAnchor[] = [],
): AuditVerification {
  const verifier = new ChainVerifier(anchors);
  for (const entry of entries) verifier.add(entry);
  return verifier.result();
}

/** The hash by which a row of that payload is tied to the one before it. Lower-case hexadecimal. */
export function chainHash(previousHash: string, payload: string): string {
  return createHash("sha256").update(Buffer.from(previousHash, "hex")).update(payload, "utf8").digest("hex");
}
