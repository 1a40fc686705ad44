import { createHash } from "node:crypto";
import fsSync from "node:fs";
import { Readable } from "node:stream";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { jobStatus, objectsOf, touch } from "@video-storage/catalogue/jobs";
import type { JobIdentity } from "@video-storage/contract/identity";
import { InvalidRecordError, MAXIMUM_RECORD_BYTES, parseJobRecord } from "@video-storage/contract/job-record";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { METADATA_FILE, jobDirectory, jobPrefix } from "@video-storage/contract/layout";
import { reconcile } from "@video-storage/contract/states";
import { DirectoryLockedError, lockShared } from "./directory-lock.js";
import {
  ContentMismatchError,
  JobNotFoundError,
  JobStateError,
  WrongTenantError,
  errorCode,
} from "./errors.js";
import { openJobFile } from "./job-files.js";
import { openDirectory } from "./new-directory.js";
import type { ObjectStorage } from "./object-storage.js";

/** A completed job to read from; whether it is on the volume or in object storage makes no difference. */
export interface UploadView {
  readonly identity: JobIdentity;
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
}

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
      ? localView(identity, local)
      : await objectView(identity, source.catalogue, await source.objectStorage());
    // For eviction by last access; an upload doesn't fail for it.
    await touch(source.catalogue, identity).catch(() => undefined);
    return view;
  } catch (error) {
    if (local) fsSync.closeSync(local.directory);
    throw error;
  }
}

interface LocalJob {
  /** Open and locked: the sweep leaves the job while it is. */
  readonly directory: number;
  readonly record: JobRecord;
}

async function openLocal(root: string, { tenantId, jobId }: JobIdentity): Promise<LocalJob | undefined> {
  const directory = openIfThere(jobDirectory(root, jobId));
  if (directory === undefined) return undefined;
  try {
    lockShared(directory);
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

function openIfThere(directory: string): number | undefined {
  try {
    return openDirectory(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function readRecord(directory: number): Promise<JobRecord> {
  const file = await openJobFile(directory, METADATA_FILE);
  try {
    const { size } = await file.stat();
    if (size > MAXIMUM_RECORD_BYTES) throw new InvalidRecordError(`the job record has ${size} bytes`);
    return parseJobRecord(await file.readFile("utf8"));
  } finally {
    await file.close();
  }
}

function localView(identity: JobIdentity, { directory, record }: LocalJob): UploadView {
  let open = true;
  return {
    identity,
    location: "local",
    files: record.files,
    async open(name) {
      const expected = fileOf(record.files, name, identity);
      if (!open) throw new Error(`the view of job ${identity.jobId} was closed`);
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

async function objectView(
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
  const files = Object.fromEntries(
    objects.map(({ objectKey, bytes, sha256 }) => [objectKey.slice(prefix.length), { bytes, sha256 }]),
  );
  return {
    identity,
    location: "object",
    files,
    async open(name) {
      const expected = fileOf(files, name, identity);
      return checked(name, await objectStorage.open(`${prefix}${name}`), expected);
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
