import { createHash } from "node:crypto";
import fsSync from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { jobStatus, markQuarantined, objectsOf, touch } from "@video-storage/catalogue/jobs";
import { ownCleanScan } from "@video-storage/catalogue/scans";
import type { JobIdentity } from "@video-storage/contract/identity";
import { InvalidRecordError } from "@video-storage/contract/job-record";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, jobDirectory, jobPrefix } from "@video-storage/contract/layout";
import type { ScanSettings } from "@video-storage/contract/schemas";
import { reconcile } from "@video-storage/contract/states";
import { beginScan } from "./antivirus.js";
import type { Verdict } from "./antivirus.js";
import { DirectoryLockedError, lockShared } from "./directory-lock.js";
import {
  ContentMismatchError,
  JobNotFoundError,
  JobStateError,
  WrongTenantError,
  errorCode,
} from "./errors.js";
import { readRecord } from "./job-directory.js";
import { openJobFile } from "./job-files.js";
import { requireHarmless, tellCatalogue } from "./leaving-gate.js";
import { openDirectory } from "./new-directory.js";
import type { ObjectStorage } from "./object-storage.js";
import { isPackName } from "./pack.js";

/** A completed job to read from; whether it is on the volume or in object storage makes no difference. */
export interface UploadView {
  /** Whose job it is, and which. */
  readonly identity: JobIdentity;
  /** Where the record was read from; a file may be elsewhere all the same. */
  readonly location: "local" | "object";
  /** By name: the files that the worker wrote, and `logs/…` and the record of a staged job. */
  readonly files: Readonly<Record<string, FileRecord>>;
  /**
   * The file's bytes. The stream ends with a ContentMismatchError when they aren't those that were recorded: until
   * it has ended well, nothing that was read is certain. UnsafeFileError when the file isn't what a worker writes.
   */
  open(name: string): Promise<Readable>;
  /** Lets the sweep have the job. Streams that are still open read on. */
  close(): void;
}

interface Source {
  readonly root: string;
  readonly catalogue: Catalogue;
  readonly objectStorage: () => Promise<ObjectStorage>;
  /** Null where the stack has no scanner. */
  readonly scan: ScanSettings | null;
  readonly onCatalogueError: (error: unknown) => void;
}

/** How long a scan of the same content is good: signatures are new about once a day. */
const SCAN_VALID_SECONDS = 86_400;

export async function openUploadView(source: Source, identity: JobIdentity): Promise<UploadView> {
  const { tenantId, jobId } = identity;
  const local = await openLocal(source.root, identity);
  try {
    // The record lies where a worker may write what it likes: the catalogue says whose the job is.
    const status = await jobStatus(source.catalogue, identity);
    if (status === undefined)
      throw new JobNotFoundError(`the catalogue knows no job ${jobId} of tenant ${tenantId}`);
    const state = local ? reconcile(local.record.state, status.state).state : status.state;
    if (state !== "completed" && state !== "uploaded") {
      throw new JobStateError(jobId, state, "only a completed job is uploaded");
    }
    const view = local
      ? localView(identity, local, source.objectStorage)
      : await objectView(identity, source.catalogue, await source.objectStorage());
    if (source.scan && state === "completed") await requireScanned(source, source.scan, view);
    // For eviction by last access; an upload doesn't fail for it.
    await touch(source.catalogue, identity).catch(() => undefined);
    return view;
  } catch (error) {
    if (local) fsSync.closeSync(local.directory);
    throw error;
  }
}

export interface LocalJob {
  /** Open and locked: the sweep leaves the job while it is. */
  readonly directory: number;
  readonly record: JobRecord;
}

/** The uploader's own scan: what a tenant's worker says of its files is no word for whoever carries them on. */
async function requireScanned(source: Source, scan: ScanSettings, view: UploadView): Promise<void> {
  const { catalogue } = source;
  const { identity } = view;
  for (const [name, expected] of Object.entries(view.files)) {
    if (name === METADATA_FILE || name.startsWith(`${LOGS_DIRECTORY}/`)) continue;
    if (await ownCleanScan(catalogue, identity, expected.sha256, SCAN_VALID_SECONDS)) continue;
    const verdict = await scanContent(scan, view, name);
    await tellCatalogue(catalogue, identity, name, expected, verdict);
    if (verdict.verdict === "infected") await markQuarantined(catalogue, identity);
    requireHarmless(identity, name, verdict, scan);
  }
}

async function scanContent(scan: ScanSettings, view: UploadView, name: string): Promise<Verdict> {
  const { bytes } = view.files[name]!;
  if (bytes > scan.maxBytes) {
    return {
      verdict: "undecided",
      detail: `it has ${bytes} bytes, and ${scan.maxBytes} are scanned at most`,
    };
  }
  const scanning = beginScan(scan);
  try {
    for await (const chunk of await view.open(name)) await scanning.send(Buffer.from(chunk as Buffer));
    return await scanning.verdict();
  } finally {
    scanning.abort();
  }
}

export async function openLocal(
  root: string,
  { tenantId, jobId }: JobIdentity,
): Promise<LocalJob | undefined> {
  const directory = openIfThere(jobDirectory(root, jobId));
  if (directory === undefined) return undefined;
  try {
    await lockBriefly(directory);
    // Between open and lock the sweep may have moved it to its trash.
    const named = fsSync.statSync(jobDirectory(root, jobId), { throwIfNoEntry: false });
    if (named?.ino !== fsSync.fstatSync(directory).ino)
      throw new DirectoryLockedError("the directory was moved");
    const record = await readRecord(directory);
    if (record.tenantId !== tenantId) throw new WrongTenantError(`job ${jobId}`, tenantId);
    if (record.jobId !== jobId)
      throw new InvalidRecordError(`the record in job ${jobId} is that of another job`);
    return { directory, record };
  } catch (error) {
    fsSync.closeSync(directory);
    // The sweep is removing it; if it went to object storage, it is read from there.
    if (error instanceof DirectoryLockedError) return undefined;
    throw error;
  }
}

/** Another worker that looks whether a job lives holds its lock for a moment; a sweep that removes it, for longer. */
async function lockBriefly(directory: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return lockShared(directory);
    } catch (error) {
      if (!(error instanceof DirectoryLockedError) || attempt === 5) throw error;
      await sleep(10 * attempt);
    }
  }
}

function openIfThere(directory: string): number | undefined {
  try {
    return openDirectory(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function localView(
  identity: JobIdentity,
  { directory, record }: LocalJob,
  objectStorage: () => Promise<ObjectStorage>,
): UploadView {
  const prefix = jobPrefix(identity.tenantId, identity.jobId);
  let open = true;
  return {
    identity,
    location: "local",
    files: record.files,
    async open(name) {
      const expected = fileOf(record.files, name, identity);
      if (!open) throw new Error(`the view of job ${identity.jobId} was closed`);
      // The volume had no room for it.
      if (expected.location === "object") {
        return checked(name, await (await objectStorage()).open(`${prefix}${name}`), expected);
      }
      const file = await openJobFile(directory, name);
      const { size } = await file.stat();
      if (size !== expected.bytes) {
        await file.close();
        throw mismatch(name, `has ${size} bytes, and ${expected.bytes} were recorded`);
      }
      return checked(name, file.createReadStream(), expected);
    },
    close() {
      if (open) fsSync.closeSync(directory);
      open = false;
    },
  };
}

export async function objectView(
  identity: JobIdentity,
  catalogue: Catalogue,
  objectStorage: ObjectStorage,
): Promise<UploadView> {
  const { tenantId, jobId } = identity;
  const prefix = jobPrefix(tenantId, jobId);
  const objects = (await objectsOf(catalogue, identity)).filter(
    (object) => object.objectKey.startsWith(prefix) && object.bucket === objectStorage.bucket,
  );
  if (objects.length === 0) {
    throw new JobNotFoundError(
      `job ${jobId} of tenant ${tenantId} is neither on this volume nor in bucket ${objectStorage.bucket}`,
    );
  }
  const named = objects
    .map((object) => ({ ...object, name: object.objectKey.slice(prefix.length) }))
    .filter(({ name }) => !isPackName(name));
  const files = Object.fromEntries(named.map(({ name, bytes, sha256 }) => [name, { bytes, sha256 }]));
  const packs = new Map(named.map(({ name, pack }) => [name, pack]));
  return {
    identity,
    location: "object",
    files,
    async open(name) {
      const expected = fileOf(files, name, identity);
      const pack = packs.get(name);
      const source = pack
        ? await objectStorage.open(pack.objectKey, { offset: pack.offset, bytes: expected.bytes })
        : await objectStorage.open(`${prefix}${name}`);
      return checked(name, source, expected);
    },
    close: () => undefined,
  };
}

function fileOf(
  files: Readonly<Record<string, FileRecord>>,
  name: string,
  { jobId }: JobIdentity,
): FileRecord {
  if (Object.hasOwn(files, name)) return files[name]!;
  throw new JobNotFoundError(
    `job ${jobId} has no file ${JSON.stringify(name)}, but ${Object.keys(files).join(", ")}`,
  );
}

function checked(name: string, source: Readable, expected: FileRecord): Readable {
  const check = async function* (): AsyncGenerator<Buffer> {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of source as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      hash.update(chunk);
      yield chunk;
    }
    const sha256 = hash.digest("hex");
    if (bytes !== expected.bytes || sha256 !== expected.sha256) {
      throw mismatch(
        name,
        `has ${bytes} bytes with SHA-256 ${sha256}; ${expected.bytes} with ${expected.sha256} were recorded`,
      );
    }
  };
  const stream = Readable.from(check(), { objectMode: false });
  // A generator that was never begun has no finally to close the source.
  stream.once("close", () => source.destroy());
  return stream;
}

function mismatch(name: string, what: string): ContentMismatchError {
  return new ContentMismatchError(`file ${name} ${what}: it was changed after the job was completed`);
}
