import { createHash } from "node:crypto";
import { opendir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { objectsOf, recordObject, recordPack } from "@video-storage/catalogue/jobs";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import type { Queryable } from "@video-storage/catalogue/connection";
import type { TieringSettings } from "@video-storage/contract/cleanup-config";
import { isJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { jobPrefix, LOGS_DIRECTORY, METADATA_FILE, TEMPORARY_SUFFIX } from "@video-storage/contract/layout";
import { ContentMismatchError, UnsafeFileError, errorCode } from "@video-storage/worker/errors";
import { openJobFile, readPart } from "@video-storage/worker/job-files";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { PackBuilder, packKey } from "@video-storage/worker/pack";
import { digest } from "@video-storage/worker/staging";
import { openChildAsItIs, shownName } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";

/** A job that can't be copied as it is. Nothing of it was removed. */
export class NotTierableError extends Error {
  override readonly name = "NotTierableError";
}

/** A pack is in memory while it grows. */
const PACK_BYTES = 8 * 1024 * 1024;

/** Told of what is stored and verified, and what is there from an earlier attempt. */
export interface TieringNotes {
  /** By key; undefined where there is none. */
  known(objectKey: string): StoredObject | undefined;
  stored(object: StoredObject): Promise<void>;
  packed(pack: StoredObject, files: readonly StoredObject[]): Promise<void>;
}

/** What is held in memory of one job: its files are as many as its tenant makes. */
const MOST_FILES = 100_000;

/**
 * Copies every file of a job to object storage, verifies each, and records each. The record itself goes last and is
 * never packed, so that a prefix with a record is whole. Returns the objects, packs among them.
 */
export async function tier(
  directory: Directory,
  record: JobRecord,
  store: ObjectStorage,
  catalogue: Queryable,
  signal: AbortSignal,
  settings?: TieringSettings,
): Promise<StoredObject[]> {
  const objects = await objectsOf(catalogue, record, MOST_FILES + 1);
  if (objects.length > MOST_FILES) throw tooMany("objects are recorded of it");
  const known = new Map(objects.map((object) => [object.objectKey, object]));
  return copyJob(directory, record, store, signal, settings?.packBelowBytes ?? 0, {
    known: (key) => known.get(key),
    stored: (object) => recordObject(catalogue, record, object),
    packed: (pack, files) => recordPack(catalogue, record, pack, files),
  });
}

/** As {@link tier}, and whoever calls keeps the notes. */
export async function copyJob(
  directory: Directory,
  record: JobRecord,
  store: ObjectStorage,
  signal: AbortSignal,
  packBelowBytes: number,
  notes: TieringNotes,
): Promise<StoredObject[]> {
  const logs = await openChildAsItIs(directory, LOGS_DIRECTORY);
  try {
    const { files, hasLogs } = await filesOf(directory);
    requireAll(record, files);
    const packer = new Packer(record, store, signal, notes);
    const objects: StoredObject[] = [];
    const copy = async (from: Directory, name: string, inJob: string): Promise<void> => {
      const object = await copyFile(from, name, inJob, {
        record,
        store,
        signal,
        packBelowBytes,
        notes,
        packer,
      });
      if (object) objects.push(object);
    };
    if (hasLogs) {
      if (typeof logs === "string") throw new NotTierableError(`${LOGS_DIRECTORY} can't be opened: ${logs}`);
      for (const name of await logsOf(logs)) await copy(logs, name, `${LOGS_DIRECTORY}/${name}`);
    }
    for (const name of files) await copy(directory, name, name);
    objects.push(...(await adoptFiles(record, store, notes)));
    await packer.flush();
    await copy(directory, METADATA_FILE, METADATA_FILE).catch((error: unknown) => {
      // What its worker staged is the record as it was before it said that it is staged.
      if (!(error instanceof ContentMismatchError) || record.staged?.bucket !== store.bucket) throw error;
    });
    return [...objects, ...packer.packs];
  } finally {
    if (typeof logs !== "string") await logs.close();
  }
}

function requireAll(record: JobRecord, files: readonly string[]): void {
  const here = new Set(files);
  const local = Object.entries(record.files).filter(([, file]) => file.location !== "object");
  const missing = local.map(([name]) => name).filter((name) => !here.has(name));
  if (missing.length === 0) return;
  throw new NotTierableError(
    `${missing.length} recorded files are missing: ${missing.slice(0, 5).join(", ")}`,
  );
}

/**
 * Files that their worker wrote to object storage because the volume had no room. Their rows are the worker's to write;
 * where the catalogue was away until that had ended there are none, and what has no row is taken for nobody's one day.
 */
async function adoptFiles(
  record: JobRecord,
  store: ObjectStorage,
  notes: TieringNotes,
): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for (const [name, expected] of Object.entries(record.files)) {
    if (expected.location !== "object") continue;
    const objectKey = `${jobPrefix(record.tenantId, record.jobId)}${name}`;
    let object = notes.known(objectKey);
    if (object === undefined) {
      const { bytes, sha256 } = await contentOf(await store.open(objectKey));
      if (bytes !== expected.bytes || sha256 !== expected.sha256) {
        throw new NotTierableError(`${name} in object storage is not what its record says`);
      }
      object = { bucket: store.bucket, objectKey, bytes, sha256 };
      await notes.stored(object);
    }
    objects.push(object);
  }
  return objects;
}

async function contentOf(stream: Readable): Promise<FileRecord> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).byteLength;
    hash.update(chunk as Buffer);
  }
  return { bytes, sha256: hash.digest("hex") };
}

async function filesOf(directory: Directory): Promise<{ files: string[]; hasLogs: boolean }> {
  const names = await namesIn(directory);
  const files = names.filter((name) => name !== METADATA_FILE && name !== LOGS_DIRECTORY);
  for (const name of files) {
    if (!isJobFileName(name)) throw new NotTierableError(`${shownName(name)} is no name of a job's file`);
  }
  return { files, hasLogs: names.includes(LOGS_DIRECTORY) };
}

async function logsOf(logs: Directory): Promise<string[]> {
  return (await namesIn(logs)).map(parseLogName);
}

/** Half-written files are not the job's; everything else has to be copied or nothing is. */
async function namesIn({ fd }: Directory): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of await opendir(`/proc/self/fd/${fd}`)) {
    if (name.endsWith(TEMPORARY_SUFFIX)) continue;
    if (names.length === MOST_FILES) throw tooMany("files are in one directory of it");
    names.push(name);
  }
  return names.sort();
}

function tooMany(what: string): NotTierableError {
  return new NotTierableError(`more than ${MOST_FILES} ${what}, and so many are copied by nobody`);
}

interface Copying {
  readonly record: JobRecord;
  readonly store: ObjectStorage;
  readonly signal: AbortSignal;
  readonly packBelowBytes: number;
  readonly notes: TieringNotes;
  readonly packer: Packer;
}

/** Undefined when the file waits in a pack. */
async function copyFile(
  directory: Directory,
  name: string,
  inJob: string,
  { record, store, signal, packBelowBytes, notes, packer }: Copying,
): Promise<StoredObject | undefined> {
  const objectKey = `${jobPrefix(record.tenantId, record.jobId)}${inJob}`;
  const handle = await openSafely(directory, name);
  try {
    const { size } = await handle.stat();
    const recorded = inJob === name && Object.hasOwn(record.files, name) ? record.files[name] : undefined;
    if (recorded && recorded.bytes !== size) throw changed(name);
    // What its worker staged, or an earlier attempt wrote, as an object of its own is one already.
    const known = notes.known(objectKey);
    const alone = known !== undefined && known.pack === undefined;
    if (size < packBelowBytes && inJob !== METADATA_FILE && !alone) {
      const content = await readPart(handle, 0, Buffer.allocUnsafe(size));
      await packer.add(inJob, content, recorded);
      return undefined;
    }
    // Where the record says what it must be, it is hashed while it is sent, and read only once.
    const expected = recorded ?? (await digest(handle));
    const object = await store.putFile(objectKey, handle, expected, signal).catch((error: unknown) => {
      if (recorded && error instanceof ContentMismatchError && /as recorded/.test(error.message))
        throw changed(name);
      throw error;
    });
    await notes.stored(object);
    return object;
  } finally {
    await handle.close();
  }
}

function changed(name: string): NotTierableError {
  return new NotTierableError(`${name} is not what its record says: it was changed after completion`);
}

/** A link or another name of somebody else's file must not be carried into this tenant's prefix. */
async function openSafely(directory: Directory, name: string): Promise<FileHandle> {
  try {
    return await openJobFile(directory.fd, name);
  } catch (error) {
    if (!(error instanceof UnsafeFileError) && errorCode(error) === undefined) throw error;
    throw new NotTierableError(`${shownName(name)} can't be copied: ${(error as Error).message}`);
  }
}

/** Gathers small files and stores them together. */
class Packer {
  readonly packs: StoredObject[] = [];
  #pack = new PackBuilder();
  private readonly record: JobRecord;
  private readonly store: ObjectStorage;
  private readonly signal: AbortSignal;
  private readonly notes: TieringNotes;

  constructor(record: JobRecord, store: ObjectStorage, signal: AbortSignal, notes: TieringNotes) {
    this.record = record;
    this.store = store;
    this.signal = signal;
    this.notes = notes;
  }

  async add(inJob: string, content: Buffer, recorded: FileRecord | undefined): Promise<void> {
    const { sha256 } = this.#pack.add(inJob, content);
    if (recorded && recorded.sha256 !== sha256) throw changed(inJob);
    if (this.#pack.length >= PACK_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const { files } = this.#pack;
    if (files.length === 0) return;
    const content = this.#pack.finish();
    const prefix = jobPrefix(this.record.tenantId, this.record.jobId);
    const pack = await this.store.putBytes(packKey(this.record, content), content, this.signal);
    const { bucket, objectKey } = pack;
    const stored = files.map(({ name, offset, bytes, sha256 }) => {
      return { bucket, objectKey: `${prefix}${name}`, bytes, sha256, pack: { objectKey, offset } };
    });
    await this.notes.packed(pack, stored);
    this.packs.push(pack);
    this.#pack = new PackBuilder();
  }
}
