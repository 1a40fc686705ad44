import fsSync, { constants } from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { heartbeat, recordObject, reportJob } from "@video-storage/catalogue/jobs";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import { parseJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { JobIdentity } from "@video-storage/contract/identity";
import { serializeJobRecord } from "@video-storage/contract/job-record";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, jobPrefix } from "@video-storage/contract/layout";
import { transition } from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";
import { lockShared } from "./directory-lock.js";
import { FILE_MODE, syncDirectory, writeDurably } from "./durable-files.js";
import type { Chunks } from "./durable-files.js";
import { JobExistsError, JobStateError, WritesInProgressError } from "./errors.js";
import { openDirectory } from "./new-directory.js";
import type { ObjectStorage } from "./object-storage.js";
import { sanitiseText } from "./sanitise.js";
import { stageFiles } from "./staging.js";

/** What a job needs from the storage that made it. */
export interface JobSurroundings {
  readonly directory: string;
  readonly catalogue: Catalogue;
  readonly objectStorage: () => Promise<ObjectStorage>;
  readonly heartbeatSeconds: number;
  readonly onCatalogueError: (error: unknown) => void;
  readonly onClose: (job: Job) => void;
}

/**
 * One job, by the worker that created it. While it is active the job's directory is locked for this process; the
 * lock ends when the job is completed or failed, at `close`, or with the process, however that ends.
 *
 * A change of state is durable on the volume before its call returns. The catalogue is told next: should it not
 * answer, the call succeeds all the same, and it is told again at every heartbeat and every later change.
 */
export class Job {
  readonly identity: JobIdentity;
  /** Absolute path. Everything in it is the worker's to read; write through this object. */
  readonly directory: string;
  #record: JobRecord;
  #lease: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writes = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #reportedRevision = 0;
  #unreportedObjects: StoredObject[] = [];
  readonly #files = new Map<string, FileRecord>();
  readonly #logs = new Map<string, Promise<FileHandle>>();
  readonly #surroundings: JobSurroundings;

  /** For {@link Storage.createJob}. `lease` is the descriptor that holds the directory's lock. */
  constructor(record: JobRecord, lease: number, surroundings: JobSurroundings) {
    this.identity = { tenantId: record.tenantId, jobId: record.jobId };
    this.directory = surroundings.directory;
    this.#record = record;
    this.#lease = lease;
    this.#surroundings = surroundings;
    this.#timer = setInterval(() => void this.heartbeat(), surroundings.heartbeatSeconds * 1000);
    // A job must not keep a process alive whose work is done.
    this.#timer.unref();
  }

  get state(): JobState {
    return this.#record.state;
  }

  /** Whether the catalogue has confirmed the newest state. */
  get reported(): boolean {
    return this.#reportedRevision === this.#record.revision && this.#unreportedObjects.length === 0;
  }

  /** As {@link writeStream}, from bytes or a text that are at hand. */
  async writeFile(name: string, content: Uint8Array | string): Promise<FileRecord> {
    return this.writeStream(name, [content]);
  }

  /**
   * Writes a file in the job's directory, atomically and durably: under its name there are all of its bytes or
   * none, and they survive a crash once this returns. An earlier file of that name is replaced.
   *
   * Errors: InvalidFileNameError; JobStateError when the job isn't active; ContentMismatchError when `expectedBytes`
   * is given and wrong; VolumeFullError; what the source throws. After any of them nothing of it is left.
   */
  async writeStream(
    name: string,
    source: Chunks,
    options: { readonly expectedBytes?: number } = {},
  ): Promise<FileRecord> {
    parseJobFileName(name);
    this.#requireActive("files can be written only to an active job");
    this.#writes += 1;
    try {
      const file = await writeDurably(this.directory, name, source, {
        ...options,
        beforeNaming: () => this.#requireActive("it ended while the file was being written"),
      });
      this.#files.set(name, file);
      return file;
    } finally {
      this.#writes -= 1;
    }
  }

  /**
   * Adds one line to `logs/{name}`, without secrets that can be recognised; line ends within it are escaped.
   * Visible to readers when it returns; durable at the job's next change of state.
   */
  async appendLog(name: string, line: string): Promise<void> {
    parseLogName(name);
    this.#requireActive("logs can be written only by an active job");
    const text = sanitiseText(line.replace(/\r?\n$/, ""))
      .replaceAll("\r", "\\r")
      .replaceAll("\n", "\\n");
    let opening = this.#logs.get(name);
    if (opening === undefined) {
      opening = this.#openLog(name);
      this.#logs.set(name, opening);
      opening.catch(() => this.#logs.delete(name));
    }
    // One write of an O_APPEND file: lines of concurrent calls don't mix.
    await (await opening).write(`${text}\n`);
  }

  /**
   * Tells the catalogue that the job lives, and what it wasn't told yet. Called by a timer at the stack's interval;
   * call it yourself only to be sooner. False when the catalogue couldn't be told.
   */
  async heartbeat(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (!this.reported) await this.#report();
      if (!this.reported) return false;
      if (this.state !== "active") {
        this.#stopTimer();
        return true;
      }
      try {
        const known = await heartbeat(this.#surroundings.catalogue, this.identity);
        // Restored from an older backup, perhaps.
        if (!known) await reportJob(this.#surroundings.catalogue, this.#record);
        return true;
      } catch (error) {
        this.#surroundings.onCatalogueError(error);
        return false;
      }
    });
  }

  /**
   * The job's work is done and its files are final. Durable when it returns. Errors: IllegalTransitionError;
   * WritesInProgressError while a write wasn't awaited; JobStateError after `close`.
   */
  async complete(): Promise<void> {
    await this.#inTurn(async () => {
      const state = transition(this.state, "completed");
      if (this.#writes > 0) {
        throw new WritesInProgressError(
          `${this.#writes} files are still being written: await them before complete()`,
        );
      }
      await this.#end({ state });
    });
  }

  /** The job's work can't be done. The reason is kept without secrets that can be recognised. As {@link complete}. */
  async fail(reason: string): Promise<void> {
    await this.#inTurn(async () => {
      const state = transition(this.state, "failed");
      await this.#end({ state, failure: { reason: sanitiseText(reason) } });
    });
  }

  /**
   * Copies a completed job to object storage, below its tenant's and its own prefix; the local files stay until the
   * sweep removes them. Every object is verified when it returns. May be repeated after a failure. Errors:
   * JobStateError when it isn't completed, ObjectStorageError, ContentMismatchError, DirectoryLockedError.
   */
  async stage(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.state !== "completed") {
        throw new JobStateError(
          this.identity.jobId,
          this.state,
          "only a completed job is staged, whose files are final",
        );
      }
      if (this.#record.staged !== undefined) return;
      const objectStorage = await this.#surroundings.objectStorage();
      const directory = openDirectory(this.directory);
      try {
        lockShared(directory);
        this.#unreportedObjects = await stageFiles(objectStorage, directory, this.#record);
        await this.#write({
          ...this.#record,
          revision: this.#record.revision + 1,
          staged: {
            bucket: objectStorage.bucket,
            prefix: jobPrefix(this.identity.tenantId, this.identity.jobId),
            at: new Date().toISOString(),
          },
        });
      } finally {
        fsSync.closeSync(directory);
      }
      await this.#report();
    });
  }

  /**
   * Gives the job up: the lock, the timer. An active one will be taken for abandoned by the sweep. What the catalogue
   * wasn't told is tried once more, and left to the sweep.
   */
  async close(): Promise<void> {
    this.#stopTimer();
    await this.#inTurn(async () => {
      if (!this.reported) await this.#report();
      await this.#closeLogs().finally(() => this.#releaseLease());
    }).finally(() => this.#surroundings.onClose(this));
  }

  /** For {@link Storage.createJob}: tells of the new job, and throws what the catalogue says. */
  async register(): Promise<void> {
    await this.#inTurn(async () => {
      if ((await this.#tell()) !== "unchanged") return;
      throw new JobExistsError(
        `the catalogue has had job ${this.identity.jobId} before: job ids are used once, also on other volumes`,
      );
    });
  }

  async #end(change: Pick<JobRecord, "state"> & Partial<Pick<JobRecord, "failure">>): Promise<void> {
    // Without the lock the sweep may be moving it away, and what is written now with it.
    this.#requireActive("it has ended");
    await this.#closeLogs();
    await this.#write({
      ...this.#record,
      ...change,
      revision: this.#record.revision + 1,
      stateChangedAt: new Date().toISOString(),
      files: Object.fromEntries([...this.#files].sort(([a], [b]) => (a < b ? -1 : 1))),
    });
    this.#releaseLease();
    await this.#report();
    if (this.reported) this.#stopTimer();
  }

  async #write(record: JobRecord): Promise<void> {
    await writeDurably(this.directory, METADATA_FILE, [serializeJobRecord(record)]);
    this.#record = record;
  }

  async #report(): Promise<void> {
    try {
      await this.#tell();
    } catch (error) {
      this.#surroundings.onCatalogueError(error);
    }
  }

  async #tell(): ReturnType<typeof reportJob> {
    const reported = await reportJob(this.#surroundings.catalogue, this.#record);
    this.#reportedRevision = this.#record.revision;
    for (const object of [...this.#unreportedObjects]) {
      await recordObject(this.#surroundings.catalogue, this.identity, object);
      this.#unreportedObjects = this.#unreportedObjects.filter((other) => other !== object);
    }
    return reported;
  }

  async #openLog(name: string): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const handle = await fs.open(path.join(this.directory, LOGS_DIRECTORY, name), flags, FILE_MODE);
    await handle.chmod(FILE_MODE);
    return handle;
  }

  async #closeLogs(): Promise<void> {
    const handles = await Promise.all(this.#logs.values());
    this.#logs.clear();
    for (const handle of handles) {
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    if (handles.length > 0) await syncDirectory(path.join(this.directory, LOGS_DIRECTORY));
  }

  #requireActive(wanted: string): void {
    if (this.state !== "active" || this.#lease === undefined) {
      const why = this.state === "active" ? "it was closed" : wanted;
      throw new JobStateError(this.identity.jobId, this.state, why);
    }
  }

  #releaseLease(): void {
    if (this.#lease !== undefined) fsSync.closeSync(this.#lease);
    this.#lease = undefined;
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One change at a time, in the order of the calls. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
