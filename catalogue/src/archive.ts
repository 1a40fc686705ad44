import path from "node:path";
import { InvalidArchiveError, archiveFileName, readArchiveFile, writeArchiveFile } from "./archive-file.js";
import { ChainVerifier, auditPages, auditedVolumes, chainHash } from "./audit.js";
import type { AuditAnchor, AuditVerification } from "./audit.js";
import type { Catalogue, Queryable, Row } from "./connection.js";

/** Rows in one file, and in the one transaction that takes them out of the catalogue. */
const ROWS_IN_A_PART = 20_000;

/** What storage.audit_archives says of one part; those of a volume are chained. */
export interface ArchivedPart {
  readonly volume: string;
  /** 1, 2, 3, … on each volume. */
  readonly part: number;
  readonly fromSequence: number;
  readonly toSequence: number;
  /** Lower-case hexadecimal, as the others. */
  readonly firstPreviousHash: string;
  readonly lastHash: string;
  /** Name in the directory of archives. */
  readonly file: string;
  readonly sha256: string;
}

type PartRow = ArchivedPart &
  Row & {
    readonly payload: string;
    readonly content: string;
    readonly previousHash: string;
    readonly hash: string;
  };

async function partsOf(catalogue: Queryable, volume: string): Promise<PartRow[]> {
  return catalogue.query<PartRow>(
    `SELECT volume, part, from_sequence AS "fromSequence", to_sequence AS "toSequence", file, sha256,
       encode(first_previous_hash, 'hex') AS "firstPreviousHash", encode(last_hash, 'hex') AS "lastHash",
       payload, storage.audit_archive_payload(p) AS content, encode(previous_hash, 'hex') AS "previousHash",
       encode(hash, 'hex') AS hash
     FROM storage.audit_archives p WHERE volume = $1 ORDER BY part`,
    [volume],
  );
}

/** An audit that is not whole is not archived: the evidence would leave the catalogue. */
export class BrokenAuditError extends Error {
  override readonly name = "BrokenAuditError";
}

export interface ArchiveOptions {
  /** Where the files go. It must be there, and what it is on must keep them. */
  readonly directory: string;
  /** One volume's only. Default: all. */
  readonly volume?: string;
  readonly rowsInAPart?: number;
  readonly onPart?: (part: ArchivedPart) => void;
}

/**
 * Moves the oldest rows of the audit into files, for a login of the role `archivist`: those that are old enough
 * (storage.archive_policy), up to what has no outcome yet, and never the last of a chain. Each part is written, read
 * back and proven before its rows leave the catalogue, in the one transaction that records the part. Killed at any
 * point, it leaves every row in the catalogue, in a recorded file, or in both; to call it again goes on from there.
 * Returns how many rows were moved. Throws {@link BrokenAuditError} before anything of a broken chain is moved.
 */
export async function archiveAudit(catalogue: Catalogue, options: ArchiveOptions): Promise<number> {
  let moved = 0;
  const volumes = options.volume === undefined ? await auditedVolumes(catalogue) : [options.volume];
  for (const volume of volumes) {
    for (;;) {
      const part = await archiveNextPart(catalogue, volume, options);
      if (!part) break;
      moved += part.toSequence - part.fromSequence + 1;
      options.onPart?.(part);
    }
  }
  return moved;
}

async function archiveNextPart(
  catalogue: Catalogue,
  volume: string,
  { directory, rowsInAPart = ROWS_IN_A_PART }: ArchiveOptions,
): Promise<ArchivedPart | undefined> {
  const [last] = (await partsOf(catalogue, volume)).slice(-1);
  const fromSequence = (last?.toSequence ?? 0) + 1;
  const [row] = await catalogue.query<{ until: number | null }>(
    `SELECT least(
       (SELECT max(sequence) - 1 FROM storage.audit WHERE volume = $1),
       (SELECT min(sequence) - 1 FROM storage.open_intents WHERE volume = $1),
       (SELECT sequence - 1 FROM storage.audit
        WHERE volume = $1 AND recorded_at > clock_timestamp() - (SELECT minimum_age FROM storage.archive_policy)
        ORDER BY sequence LIMIT 1)) AS until`,
    [volume],
  );
  const toSequence = Math.min(row!.until ?? 0, fromSequence + rowsInAPart - 1);
  if (toSequence < fromSequence) return undefined;
  const range = { volume, fromSequence, toSequence };
  const file = archiveFileName(volume, fromSequence, toSequence);
  const pages = auditPages(catalogue, volume, { after: fromSequence - 1, until: toSequence });
  const sha256 = await writeArchiveFile(directory, file, range, pages);

  const verifier = new ChainVerifier();
  if (last) verifier.skip({ volume, sequence: last.toSequence, hash: last.lastHash });
  await verifyFile(verifier, directory, { ...range, file, sha256 });
  const head = verifier.head(volume);
  const { problems } = verifier.result();
  if (problems[0]) {
    throw new BrokenAuditError(
      `row ${problems[0].sequence} of volume ${volume} ${problems[0].problem}: nothing of it was archived`,
    );
  }
  return catalogue.transaction(async (connection) => {
    await connection.query(
      `INSERT INTO storage.audit_archives (volume, to_sequence, file, sha256) VALUES ($1, $2, $3, $4)`,
      [volume, toSequence, file, sha256],
    );
    const part = (await partsOf(connection, volume)).at(-1)!;
    if (part.fromSequence !== fromSequence || part.lastHash !== head.hash)
      throw new BrokenAuditError(`volume ${volume} changed while it was archived: try again`);
    await connection.query(`DELETE FROM storage.audit WHERE volume = $1 AND sequence BETWEEN $2 AND $3`, [
      ...[volume, fromSequence, toSequence],
    ]);
    return part;
  });
}

async function verifyFile(
  verifier: ChainVerifier,
  directory: string,
  part: Pick<ArchivedPart, "volume" | "fromSequence" | "toSequence" | "file" | "sha256">,
): Promise<void> {
  const rows = readArchiveFile(path.join(directory, path.basename(part.file)), part);
  for (;;) {
    const next = await rows.next();
    if (next.done) {
      if (next.value !== part.sha256)
        verifier.report(
          part.volume,
          part.fromSequence,
          `its archive ${part.file} is not the one that was recorded`,
        );
      return;
    }
    verifier.add(next.value);
  }
}

export interface VerifyOptions {
  /** One volume's chain only. Default: all. */
  readonly volume?: string;
  /** What earlier verifications left: shows whether ends were cut off. */
  readonly anchors?: readonly AuditAnchor[];
  /** Where the archives are. Without it their rows count as unchecked, and that the chain goes on from them is proven. */
  readonly archiveDirectory?: string;
}

/**
 * Proves every chain from its first row, through its archives, to its last, as {@link ChainVerifier} says, with memory
 * that doesn't grow with the audit. Each chain is read as it was at one moment.
 */
export async function verifyAudit(
  catalogue: Catalogue,
  { volume: only, anchors = [], archiveDirectory }: VerifyOptions = {},
): Promise<AuditVerification> {
  const verifier = new ChainVerifier(anchors.filter(({ volume }) => only === undefined || volume === only));
  for (const volume of only === undefined ? await auditedVolumes(catalogue) : [only]) {
    await catalogue.transaction(async (connection) => {
      await connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
      const parts = await partsOf(connection, volume);
      await verifyParts(verifier, volume, parts, archiveDirectory);
      let live = 0;
      for await (const page of auditPages(connection, volume)) {
        live += page.length;
        for (const entry of page) verifier.add(entry);
      }
      const { sequence } = verifier.head(volume);
      const [chain] = await connection.query(`SELECT 1 FROM storage.audit_chains WHERE volume = $1`, [
        volume,
      ]);
      // The last row is never archived.
      if (live === 0 && (chain || parts.length > 0))
        verifier.report(volume, sequence + 1, "and all rows after it are missing");
    });
  }
  return verifier.result();
}

async function verifyParts(
  verifier: ChainVerifier,
  volume: string,
  parts: readonly PartRow[],
  directory: string | undefined,
): Promise<void> {
  let previous = "0".repeat(64);
  for (const [index, part] of parts.entries()) {
    const head = verifier.head(volume);
    const report = (problem: string): void => verifier.report(volume, part.fromSequence, problem);
    if (part.part !== index + 1) report(`archive part ${index + 1} of the volume is missing`);
    if (part.content !== part.payload || part.hash !== chainHash(part.previousHash, part.payload))
      report(`what is recorded of archive part ${part.part} was changed`);
    if (part.previousHash !== previous) report(`archive part ${part.part} doesn't link to the one before`);
    if (part.fromSequence !== head.sequence + 1 || part.firstPreviousHash !== head.hash)
      report(`archive part ${part.part} doesn't go on where the one before ends`);
    previous = part.hash;
    const end = { volume, sequence: part.toSequence, hash: part.lastHash };
    if (directory === undefined) {
      verifier.skip(end);
      continue;
    }
    try {
      await verifyFile(verifier, directory, part);
      if (verifier.head(volume).hash !== part.lastHash) report(`its archive ${part.file} ends differently`);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!missing && !(error instanceof InvalidArchiveError)) throw error;
      report(missing ? `its archive ${part.file} is missing` : (error as Error).message);
      verifier.skip(end);
    }
  }
}

/** What left the catalogue's other tables. */
export interface Pruned {
  readonly jobs: number;
  readonly objects: number;
  readonly scans: number;
  readonly sweeps: number;
}

/**
 * Removes what has been over for longer than storage.archive_policy says, for a login of the role `archivist`: deleted
 * jobs that have nothing left in object storage, and then what was noted about them, and old sweeps. What was deleted
 * and why stays in the audit. Safe to repeat and to interrupt.
 */
export async function pruneCatalogue(catalogue: Queryable, batch = 2_000): Promise<Pruned> {
  const old = `now() - (SELECT minimum_age FROM storage.archive_policy)`;
  const all = async (statement: string): Promise<number> => {
    for (let total = 0; ;) {
      const [row] = await catalogue.query<{ count: number }>(
        `WITH gone AS (${statement} RETURNING 1) SELECT count(*)::int AS count FROM gone`,
        [batch],
      );
      total += row!.count;
      if (row!.count < batch) return total;
    }
  };
  const jobs = await all(
    `DELETE FROM storage.jobs WHERE job_id IN (
       SELECT j.job_id FROM storage.jobs j WHERE j.deleted_at < ${old}
         AND NOT EXISTS (SELECT FROM storage.objects o
           WHERE o.tenant_id = j.tenant_id AND o.job_id = j.job_id AND o.removed_at IS NULL)
         AND NOT EXISTS (SELECT FROM storage.jobs c WHERE c.tenant_id = j.tenant_id AND c.continued_by = j.job_id)
       ORDER BY j.deleted_at LIMIT $1)`,
  );
  const orphaned = (table: string, time: string): Promise<number> =>
    all(
      `DELETE FROM storage.${table} WHERE ctid IN (
         SELECT t.ctid FROM storage.${table} t WHERE t.${time} < ${old}
           AND NOT EXISTS (SELECT FROM storage.jobs j WHERE j.tenant_id = t.tenant_id AND j.job_id = t.job_id)
         LIMIT $1)`,
    );
  return {
    jobs,
    objects: await orphaned("objects", "removed_at"),
    scans: await orphaned("scans", "scanned_at"),
    sweeps: await all(
      `DELETE FROM storage.sweeps WHERE id IN (
         SELECT id FROM storage.sweeps WHERE started_at < ${old} ORDER BY started_at LIMIT $1)`,
    ),
  };
}
