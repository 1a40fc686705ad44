import type { FileHandle } from "node:fs/promises";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { recordScan } from "@video-storage/catalogue/scans";
import type { JobIdentity } from "@video-storage/contract/identity";
import type { FileRecord, ScanRecord } from "@video-storage/contract/job-record";
import type { ScanSettings } from "@video-storage/contract/schemas";
import { scanFile } from "./antivirus.js";
import type { Verdict } from "./antivirus.js";
import { InfectedFileError, ScanUndecidedError } from "./errors.js";

/** A verdict about content that is to leave the volume, for the record and the catalogue. */
export function scanRecordOf({ verdict, detail }: Verdict, { sha256 }: FileRecord): ScanRecord {
  const at = new Date().toISOString();
  return { verdict, sha256, at, ...(detail === undefined ? {} : { detail }) };
}

/** Throws {@link InfectedFileError} or, where the stack refuses what isn't decided, {@link ScanUndecidedError}. */
export function requireHarmless(
  { jobId }: JobIdentity,
  name: string,
  { verdict, detail }: Verdict,
  { whenUndecided }: ScanSettings,
): void {
  if (verdict === "infected") throw new InfectedFileError(jobId, name, detail ?? "unnamed");
  if (verdict === "undecided" && whenUndecided === "refuse") {
    throw new ScanUndecidedError(
      `file ${name} of job ${jobId} couldn't be decided about (${detail ?? "no reason given"}), and the stack refuses ` +
        `such files: it stays on its volume; raise the scan limits and clamd's, or set scan.whenUndecided to "allow"`,
    );
  }
}

/**
 * Has a file scanned and the verdict noted before anything is done with it: by `note` in the job's record, and in the
 * catalogue, which may be away. Throws as {@link requireHarmless}, and ScannerUnavailableError: then nothing was noted.
 */
export async function scanBeforeLeaving(
  scan: ScanSettings,
  { catalogue, onCatalogueError }: { catalogue: Catalogue; onCatalogueError: (error: unknown) => void },
  identity: JobIdentity,
  name: string,
  file: FileHandle,
  expected: FileRecord,
  note: (scanned: ScanRecord) => Promise<void>,
): Promise<void> {
  const verdict = await scanFile(scan, file, expected);
  await note(scanRecordOf(verdict, expected));
  await tellCatalogue(catalogue, identity, name, expected, verdict).catch(onCatalogueError);
  requireHarmless(identity, name, verdict, scan);
}

/** Adds a verdict to the catalogue. Errors are the catalogue's. */
export async function tellCatalogue(
  catalogue: Catalogue,
  identity: JobIdentity,
  file: string,
  { sha256 }: FileRecord,
  { verdict, detail }: Verdict,
): Promise<void> {
  await recordScan(catalogue, identity, { file, sha256, verdict, detail: detail ?? null });
}
