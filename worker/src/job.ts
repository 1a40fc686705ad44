import { setMaxListeners } from "node:events";
import fsSync, { constants } from "node:fs";
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { heartbeat, recordObject, reportJob } from "@video-storage/catalogue/jobs";
import type { StoredObject } from "@video-storage/catalogue/jobs";
import { parseJobFileName, parseLogName } from "@video-storage/contract/file-names";
import type { JobIdentity } from "@video-storage/contract/identity";
import { InvalidRecordError, parseJobRecord, serializeJobRecord } from "@video-storage/contract/job-record";
import type { FileRecord, JobRecord } from "@video-storage/contract/job-record";
import type { ScanSettings } from "@video-storage/contract/schemas";
import { LOGS_DIRECTORY, METADATA_FILE, jobPrefix } from "@video-storage/contract/layout";
import { transition } from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";
import { endPlace, leavePlace, lockPatiently } from "./admission.js";
import type { Place } from "./admission.js";
import { beginScan } from "./antivirus.js";
import { FILE_MODE, syncDirectory, writeDurably } from "./durable-files.js";
import type { Chunks } from "./durable-files.js";
import {
  InfectedFileError,
  JobExistsError,
  JobStateError,
  ObjectStorageError,
  WritesInProgressError,
} from "./errors.js";
import { exclusively, readRecord, recordStamp, settleFiles, sortedByName } from "./job-directory.js";
import { requireHarmless, scanBeforeLeaving, tellCatalogue } from "./leaving-gate.js";
import { openJobFile, readJobFileSync } from "./job-files.js";
import { openDirectory } from "./new-directory.js";
import type { ObjectStorage } from "./object-storage.js";
import type { Observers } from "./observer.js";
import { sanitiseText } from "./sanitise.js";
import { stageFile, stageFiles } from "./staging.js";
import type { LeavingGate } from "./staging.js";
import { decideStaging } from "./staging-decision.js";
import type { StagingReason } from "./staging-decision.js";

/** What a job needs from the storage that made it. */
export interface JobSurroundings {
  readonly root: string;
  readonly directory: string;
  readonly catalogue: Catalogue;
  /** Null where the stack has none. */
  readonly objectStorage: (() => Promise<ObjectStorage>) | null;
  readonly heartbeatSeconds: number;
  readonly reserveBytes: number;
  readonly maxLocalSeconds: number | null;
  readonly scan: ScanSettings | null;
  readonly onCatalogueError: (error: unknown) => void;
  readonly onStagingError: (error: unknown) => void;
  readonly observers: Observers;
  readonly onClose: (job: Job) => void;
}

/** What keeps an active job from the sweep and counts for admission; a completed job has none. */
export interface Lease {
  /** Open on the job's directory, whose lock it holds. */
  readonly directory: number;
  readonly place: Place;
}

/**
 * One job, by a process of the worker that created it. While it is active its directory is locked for this process;
 * the lock ends when the job does, at `close`, or with the process, however that ends.
 *
 * A change of state is durable on the volume before its call returns. The catalogue is told next: should it not
 * answer, the call succeeds all the same, and it is told again at every heartbeat and every later change.
 *
 * Several processes of one worker may have the same job open. What one of them ends is ended for all.
 */
export class Job {
  /** Whose job it is, and which. */
  readonly identity: JobIdentity;
  /**
   * Absolute path. A program may write files there by itself, under names that a job's file may have: `complete`
   * makes them durable and records them. What the client wrote must not be changed any more.
   */
  readonly directory: string;
  #record: JobRecord;
  #stamp: string | undefined;
  #lease: Lease | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writes = new Set<Promise<unknown>>();
  #turn: Promise<unknown> = Promise.resolve();
  #reportedRevision = 0;
  #unreportedObjects: StoredObject[] = [];
  #checkpointing: Promise<void> | undefined;
  readonly #draining = new AbortController();
  readonly #files = new Map<string, FileRecord>();
  readonly #staged = new Map<string, StoredObject>();
  /** Keys of the objects that were told of: a file that is staged again is there already. */
  readonly #toldOf = new Set<string>();
  readonly #logs = new Map<string, Promise<FileHandle>>();
  readonly #surroundings: JobSurroundings;

  /** For {@link Storage}, which makes and opens jobs. `knownRevision` is the catalogue's, 0 where it has none. */
  constructor(
    record: JobRecord,
    lease: Lease | undefined,
    surroundings: JobSurroundings,
    knownRevision: number,
  ) {
    this.identity = { tenantId: record.tenantId, jobId: record.jobId };
    this.directory = surroundings.directory;
    this.#record = record;
    this.#lease = lease;
    this.#surroundings = surroundings;
    setMaxListeners(0, this.#draining.signal);
    if (knownRevision >= record.revision) this.#reportedRevision = record.revision;
    if (lease === undefined && this.reported) return;
    this.#timer = setInterval(() => this.#beatAlone(), surroundings.heartbeatSeconds * 1000);
    // A job must not keep a process alive whose work is done.
    this.#timer.unref();
  }

  /** Also when another process changed it. */
  get state(): JobState {
    this.#look();
    return this.#record.state;
  }

  /** Whether the catalogue has confirmed the newest state. */
  get reported(): boolean {
    return this.#reportedRevision === this.#record.revision && this.#unreportedObjects.length === 0;
  }

  /** By name, what was written so far, with bytes and SHA-256; for a job that goes on with another, its files too. */
  get files(): Readonly<Record<string, FileRecord>> {
    return this.#allFiles();
  }

  /** The job's record as it is now, without what was written since its last change. */
  get record(): JobRecord {
    this.#look();
    return this.#record;
  }

  /** As {@link writeStream}, from bytes or a text that are at hand. */
  async writeFile(name: string, content: Uint8Array | string): Promise<FileRecord> {
    return this.writeStream(name, [content]);
  }

  /**
   * Writes a file in the job's directory, atomically and durably: under its name there are all of its bytes or
   * none, and they survive a crash once this returns. An earlier file of that name is replaced. `expectedBytes` is
   * the file's whole size. `continuing` names a file of the job that this one begins with, `{name}.part` of a job
   * that was handed over; it is gone once this one is there.
   *
   * Where the volume has no room and the stack has object storage, the file goes there, whole, and is `location:
   * "object"`: then it is not in the directory, and an upload gets it all the same.
   *
   * Errors: InvalidFileNameError; JobStateError when the job isn't active, or the file is staged already;
   * ContentMismatchError when `expectedBytes` is given and wrong; VolumeFullError; DrainedError; InfectedFileError,
   * ScanUndecidedError and ScannerUnavailableError on the way to object storage; what the source throws. After any
   * of them but DrainedError nothing of it is left.
   */
  async writeStream(
    name: string,
    source: Chunks,
    options: { readonly expectedBytes?: number; readonly continuing?: string } = {},
  ): Promise<FileRecord> {
    parseJobFileName(name);
    if (options.continuing !== undefined) parseJobFileName(options.continuing);
    this.#requireActive("files can be written only to an active job");
    this.#requireUnstaged(name);
    const writing = this.#told(this.#writeTimed(name, source, options));
    const settled = writing.catch(() => undefined);
    this.#writes.add(settled);
    try {
      return await writing;
    } finally {
      this.#writes.delete(settled);
    }
  }

  /**
   * Adds one line to `logs/{name}`, without secrets that can be recognised; line ends within it are escaped.
   * Visible to readers when it returns; durable at the job's next change of state, and at `close`.
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
   * The job's work is done and its files are final. Durable when it returns. Files that a program wrote into the
   * directory by itself are made durable and recorded first. A job that ran for longer than the stack lets a node be
   * its only place is staged then; that this failed is told to `onStagingError`. Errors: IllegalTransitionError;
   * WritesInProgressError while a write wasn't awaited, in this process or another; ContentMismatchError when a file
   * was changed or removed after it was written; UnsafeFileError for links and the like; JobStateError after `close`.
   */
  async complete(): Promise<void> {
    const longRunning = this.#stagingDecision(0n, 0n) === "long-running";
    await this.#operation(async () => {
      transition(this.state, "completed");
      if (this.#writes.size > 0) {
        throw new WritesInProgressError(
          `${this.#writes.size} files are still being written: await them before complete()`,
        );
      }
      await this.#end("completed", async (lease) => ({
        files: await settleFiles(lease.directory, this.#allFiles()),
      }));
    });
    if (longRunning) await this.stage().catch(this.#surroundings.onStagingError);
  }

  /** The job's work can't be done. The reason is kept without secrets that can be recognised. As {@link complete}. */
  async fail(reason: string): Promise<void> {
    await this.#operation(async () => {
      transition(this.state, "failed");
      await this.#end("failed", async () => ({ failure: { reason: sanitiseText(reason) } }));
    });
  }

  /**
   * Copies a completed job to object storage, below its tenant's and its own prefix; the local files stay until the
   * sweep removes them. Every object is verified when it returns. May be repeated after a failure. Errors:
   * JobStateError when it isn't completed, ObjectStorageError, ContentMismatchError, DirectoryLockedError; with a
   * scanner InfectedFileError (then the job is quarantined), ScanUndecidedError, ScannerUnavailableError.
   */
  async stage(): Promise<void> {
    await this.#operation(async () => {
      const directory = openDirectory(this.directory);
      try {
        await lockPatiently(directory);
        this.#record = await readRecord(directory);
        if (this.#record.state !== "completed") {
          throw new JobStateError(
            this.identity.jobId,
            this.#record.state,
            "only a completed job is staged, whose files are final",
          );
        }
        if (this.#record.staged !== undefined) return;
        const objectStorage = await this.#objectStorage();
        const gate = this.#gate(directory);
        // The verdicts first: they are in the record, which is copied too.
        if (gate) await this.#scanAll(directory, gate);
        const objects = await stageFiles(objectStorage, directory, this.#record);
        this.#tellStaged(objects);
        await exclusively(directory, async () => {
          this.#unreportedObjects = objects;
          await this.#write(this.#staging(await readRecord(directory), objectStorage));
        });
      } catch (error) {
        if (error instanceof InfectedFileError) await this.#quarantine(directory, error);
        throw error;
      } finally {
        fsSync.closeSync(directory);
      }
      await this.#report();
    });
  }

  /**
   * Copies what the active job has in whole files to object storage, verified, so that it survives the node. They stay
   * on the volume, and are final: a file that was copied can't be replaced. Called by itself for a job that runs
   * longer than the stack lets a node be its only place. Errors as those of {@link stage}.
   */
  async checkpoint(): Promise<void> {
    this.#requireActive("only an active job is checkpointed; a completed one is staged");
    this.#checkpointing ??= this.#told(this.#copyWholeFiles()).finally(
      () => (this.#checkpointing = undefined),
    );
    await this.#checkpointing;
  }

  /**
   * For a worker that is being drained. Ends the job on this volume so that another worker can go on with it
   * (`resumeJob`): writes end, and what there is of their files is kept as `{name}.part`; all files, logs and the
   * record are copied to object storage, verified. Durable when it returns, and the job is `handed-over`. Safe to
   * repeat after an error, after which the job is still active. Errors: IllegalTransitionError, and as {@link stage}.
   */
  async handOver(): Promise<void> {
    await this.#operation(async () => {
      transition(this.state, "handed-over");
      const lease = this.#requireActive("it has ended");
      this.#draining.abort();
      await Promise.all(this.#writes);
      await this.#closeLogs();
      const objectStorage = await this.#objectStorage();
      try {
        await exclusively(lease.directory, async () => {
          this.#look();
          const files = await settleFiles(lease.directory, this.#allFiles(), "left");
          await this.#write({ ...this.#record, files });
        });
        const gate = this.#gate(lease.directory);
        if (gate) await this.#scanAll(lease.directory, gate);
        const objects = await stageFiles(objectStorage, lease.directory, this.#record);
        this.#tellStaged(objects);
        await this.#end("handed-over", async () => {
          this.#unreportedObjects = objects;
          return this.#staging(this.#record, objectStorage);
        });
      } catch (error) {
        if (error instanceof InfectedFileError) await this.#quarantine(lease.directory, error);
        throw error;
      }
    });
  }

  /**
   * Gives the job up: the lock, the timer. An active one that nobody else holds will be taken for abandoned by the
   * sweep. What was written is recorded, durably. What the catalogue wasn't told is tried once more, and left to the
   * sweep.
   */
  async close(): Promise<void> {
    this.#stopTimer();
    await this.#inTurn(async () => {
      const steps = [
        () => this.#recordWritten(),
        async () => (this.reported ? undefined : this.#report()),
        () => this.#closeLogs(),
      ];
      const failures: unknown[] = [];
      for (const step of steps) await step().catch((error: unknown) => void failures.push(error));
      this.#releaseLease();
      if (failures.length > 0) throw failures[0];
    }).finally(() => this.#surroundings.onClose(this));
  }

  /** For {@link Storage.createJob}: tells of the new job, and throws what the catalogue says. */
  async register(tell: (record: JobRecord) => Promise<boolean> = this.#registered): Promise<void> {
    await this.#inTurn(async () => {
      if (!(await tell(this.#record))) {
        throw new JobExistsError(
          `the catalogue has had job ${this.identity.jobId} before: job ids are used once, also on other volumes`,
        );
      }
      this.#reportedRevision = this.#record.revision;
    });
  }

  /** For {@link Storage}: the job was never begun, and its directory is gone. */
  discard(): void {
    this.#stopTimer();
    this.#endLease();
    this.#surroundings.onClose(this);
  }

  /** For {@link Storage.resumeJob}: a log of the job that this one goes on with, as it was. */
  async restoreLog(name: string, content: Chunks): Promise<void> {
    parseLogName(name);
    await writeDurably(path.join(this.directory, LOGS_DIRECTORY), name, content);
  }

  async #writeTimed(
    name: string,
    source: Chunks,
    options: { readonly expectedBytes?: number; readonly continuing?: string },
  ): Promise<FileRecord> {
    const started = performance.now();
    const file = await this.#writeDurably(name, source, options);
    // What went to object storage instead is told of as staged.
    if (file.location !== "object") {
      this.#surroundings.observers.wrote(file.bytes, (performance.now() - started) / 1000);
    }
    return file;
  }

  async #writeDurably(
    name: string,
    source: Chunks,
    options: { readonly expectedBytes?: number; readonly continuing?: string },
  ): Promise<FileRecord> {
    const spills = this.#surroundings.objectStorage !== null;
    const file = await writeDurably(this.directory, name, source, {
      ...options,
      drained: this.#draining.signal,
      naming: async (rename) => {
        const lease = this.#requireActive("it ended while the file was being written");
        await exclusively(lease.directory, async () => {
          this.#requireActive("it ended while the file was being written");
          this.#requireUnstaged(name);
          await rename();
        });
      },
      ...(spills && {
        lacksRoom: async (neededBytes) => {
          const { bavail, bsize } = await fs.statfs(this.directory, { bigint: true });
          return this.#stagingDecision(BigInt(neededBytes), bavail * bsize) === "no-room";
        },
        elsewhere: (chunks) => this.#spill(name, chunks, options.expectedBytes),
      }),
    }).catch(async (error: unknown) => {
      // Only now: until its beginning was removed the volume was full.
      if (error instanceof InfectedFileError && this.#lease)
        await this.#quarantine(this.#lease.directory, error);
      throw error;
    });
    this.#files.set(name, file);
    if (options.continuing !== undefined) {
      this.#files.delete(options.continuing);
      await this.#forget(options.continuing);
    }
    return file;
  }

  /** To object storage instead of the volume; with a scanner it exists there only once that has found nothing. */
  async #spill(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    expectedBytes: number | undefined,
  ): Promise<FileRecord> {
    const { scan: settings, catalogue } = this.#surroundings;
    const objectStorage = await this.#objectStorage();
    const scan = settings && beginScan(settings);
    const scanned = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        // The socket may keep what it couldn't send yet, and the source may use its buffer again.
        await scan?.send(Buffer.from(chunk));
        yield chunk;
      }
    };
    try {
      const stored = await objectStorage.putStream(
        `${jobPrefix(this.identity.tenantId, this.identity.jobId)}${name}`,
        scanned(),
        {
          ...(expectedBytes !== undefined && { expectedBytes }),
          beforeVisible: async (content) => {
            if (!scan) return;
            const verdict = await scan.verdict();
            await tellCatalogue(catalogue, this.identity, name, content, verdict).catch(
              this.#surroundings.onCatalogueError,
            );
            requireHarmless(this.identity, name, verdict, settings);
          },
        },
      );
      this.#staged.set(name, stored);
      this.#tellStaged([stored]);
      this.#unreportedObjects.push(stored);
      await this.#report();
      return { bytes: stored.bytes, sha256: stored.sha256, location: "object" };
    } finally {
      scan?.abort();
    }
  }

  async #copyWholeFiles(): Promise<void> {
    const objectStorage = await this.#objectStorage();
    const lease = this.#requireActive("it has ended");
    // A descriptor of its own, for the job may end meanwhile.
    const directory = openDirectory(this.directory);
    try {
      await lockPatiently(directory);
      const gate = this.#gate(lease.directory);
      for (const [name, expected] of Object.entries(this.#allFiles())) {
        if (this.#staged.has(name) || expected.location === "object") continue;
        const stored = await stageFile(objectStorage, directory, this.identity, name, expected, gate);
        this.#staged.set(name, stored);
        this.#tellStaged([stored]);
        this.#unreportedObjects.push(stored);
      }
      await this.#inTurn(() => this.#report());
    } catch (error) {
      if (error instanceof InfectedFileError) await this.#inTurn(() => this.#quarantine(directory, error));
      throw error;
    } finally {
      fsSync.closeSync(directory);
    }
  }

  /** Nobody waits for the timer's: what it throws would end the process, and all its other jobs with it. */
  #beatAlone(): void {
    const { onCatalogueError } = this.#surroundings;
    this.#beat()
      .catch(onCatalogueError)
      .catch(() => undefined);
  }

  async #beat(): Promise<void> {
    await this.heartbeat();
    if (this.state !== "active" || this.#stagingDecision(0n, 0n) !== "long-running") return;
    await this.checkpoint().catch(this.#surroundings.onStagingError);
  }

  /** Without what is needed and there, room is no question. */
  #stagingDecision(neededBytes: bigint, availableBytes: bigint): StagingReason | "local" {
    const asksForRoom = availableBytes > 0n || neededBytes > 0n;
    return decideStaging({
      hasObjectStorage: this.#surroundings.objectStorage !== null,
      draining: false,
      neededBytes,
      availableBytes,
      reserveBytes: asksForRoom ? BigInt(this.#surroundings.reserveBytes) : 0n,
      secondsActive: (Date.now() - Date.parse(this.#record.createdAt)) / 1000,
      maxLocalSeconds: this.#surroundings.maxLocalSeconds,
    });
  }

  /** Undefined where the stack has no scanner. */
  #gate(directory: number): LeavingGate | undefined {
    const { scan } = this.#surroundings;
    if (scan === null) return undefined;
    return async (name, file, expected) => {
      const known = this.#record.scans?.[name];
      if (known?.sha256 === expected.sha256 && known.verdict === "clean") return;
      await scanBeforeLeaving(scan, this.#surroundings, this.identity, name, file, expected, (scanned) =>
        exclusively(directory, async () => {
          const record = await readRecord(directory);
          await this.#write({ ...record, scans: sortedByName({ ...record.scans, [name]: scanned }) });
        }),
      );
    };
  }

  async #scanAll(directory: number, gate: LeavingGate): Promise<void> {
    for (const [name, expected] of Object.entries(this.#record.files)) {
      if (expected.location === "object") continue;
      const file = await openJobFile(directory, name);
      try {
        await gate(name, file, expected);
      } finally {
        await file.close();
      }
    }
  }

  /** Nobody reads the file any more; the job goes nowhere but, in time, away. */
  async #quarantine(directory: number, { file, message }: InfectedFileError): Promise<void> {
    await exclusively(directory, async () => {
      const record = await readRecord(directory);
      if (record.state !== "active" && record.state !== "completed") return;
      await fs.chmod(path.join(this.directory, file), 0).catch(() => undefined);
      await this.#write({
        ...record,
        state: transition(record.state, "quarantined"),
        revision: record.revision + 1,
        stateChangedAt: new Date().toISOString(),
        files: record.state === "active" ? this.#allFiles() : record.files,
        failure: { reason: message },
      });
      this.#surroundings.observers.ended("quarantined");
    });
    await this.#closeLogs();
    this.#endLease();
    await this.#report();
  }

  #staging(record: JobRecord, { bucket }: ObjectStorage): JobRecord {
    const prefix = jobPrefix(this.identity.tenantId, this.identity.jobId);
    const staged = { bucket, prefix, at: new Date().toISOString() };
    return { ...record, revision: record.revision + 1, staged };
  }

  async #end(
    state: JobState,
    change: (lease: Lease) => Promise<Partial<Pick<JobRecord, "files" | "failure" | "staged">>>,
  ): Promise<void> {
    // Without the lock the sweep may be moving it away, and what is written now with it.
    const lease = this.#requireActive("it has ended");
    await this.#closeLogs();
    await exclusively(lease.directory, async () => {
      this.#requireActive("it has ended");
      const { files = this.#allFiles(), failure, staged } = await change(lease);
      await this.#write({
        ...this.#record,
        ...(failure && { failure }),
        ...(staged && { staged }),
        state: transition(this.#record.state, state),
        revision: this.#record.revision + 1,
        stateChangedAt: new Date().toISOString(),
        files,
      });
    });
    this.#surroundings.observers.ended(state);
    this.#endLease();
    await this.#report();
    if (this.reported) this.#stopTimer();
  }

  async #write(record: JobRecord): Promise<void> {
    await writeDurably(this.directory, METADATA_FILE, [serializeJobRecord(record)]);
    this.#record = record;
    if (this.#lease) this.#stamp = recordStamp(this.#lease.directory);
  }

  /** What another process of the worker made of the job. The record is small, and read only when it was replaced. */
  #look(): void {
    if (this.#lease === undefined) return;
    const stamp = recordStamp(this.#lease.directory);
    if (stamp === this.#stamp) return;
    this.#record = parseOwn(readJobFileSync(this.#lease.directory, METADATA_FILE), this.identity);
    this.#stamp = stamp;
    if (this.#record.state !== "active") this.#endLease();
  }

  #allFiles(): Record<string, FileRecord> {
    return sortedByName({ ...this.#record.files, ...Object.fromEntries(this.#files) });
  }

  async #recordWritten(): Promise<void> {
    const lease = this.#lease;
    if (!lease || this.state !== "active" || !this.#hasUnrecorded()) return;
    await exclusively(lease.directory, async () => {
      this.#look();
      if (this.#lease) await this.#write({ ...this.#record, files: this.#allFiles() });
    });
  }

  #hasUnrecorded(): boolean {
    return [...this.#files].some(([name, { sha256 }]) => this.#record.files[name]?.sha256 !== sha256);
  }

  /** A beginning that has become a whole file under another name. */
  async #forget(name: string): Promise<void> {
    if (this.#record.files[name] === undefined) return;
    const lease = this.#requireActive("it ended while the file was being written");
    await exclusively(lease.directory, async () => {
      this.#requireActive("it ended while the file was being written");
      const { [name]: gone, ...files } = this.#allFiles();
      void gone;
      await this.#write({ ...this.#record, files });
    });
  }

  async #report(): Promise<void> {
    try {
      await this.#tell();
    } catch (error) {
      this.#surroundings.onCatalogueError(error);
    }
  }

  #registered = async (record: JobRecord): Promise<boolean> =>
    (await reportJob(this.#surroundings.catalogue, record)) !== "unchanged";

  async #tell(): Promise<void> {
    if (this.#reportedRevision !== this.#record.revision) {
      const { revision } = this.#record;
      await reportJob(this.#surroundings.catalogue, this.#record);
      this.#reportedRevision = revision;
    }
    for (const object of [...this.#unreportedObjects]) {
      await recordObject(this.#surroundings.catalogue, this.identity, object);
      this.#unreportedObjects = this.#unreportedObjects.filter((other) => other !== object);
    }
  }

  async #objectStorage(): Promise<ObjectStorage> {
    if (this.#surroundings.objectStorage) return this.#surroundings.objectStorage();
    throw new ObjectStorageError("this stack has no object storage: jobs stay on their volume");
  }

  async #openLog(name: string): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const handle = await fs.open(path.join(this.directory, LOGS_DIRECTORY, name), flags, FILE_MODE);
    try {
      await handle.chmod(FILE_MODE);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Closes every log, whatever becomes of the others, and throws the first error. */
  async #closeLogs(): Promise<void> {
    const opened = await Promise.allSettled(this.#logs.values());
    this.#logs.clear();
    const handles = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const failures: unknown[] = [];
    const step = (done: Promise<void>): Promise<void> =>
      done.catch((error: unknown) => void failures.push(error));
    for (const handle of handles) {
      await step(handle.sync());
      await step(handle.close());
    }
    if (handles.length > 0) await step(syncDirectory(path.join(this.directory, LOGS_DIRECTORY)));
    if (failures.length > 0) throw failures[0];
  }

  #requireActive(wanted: string): Lease {
    this.#look();
    if (this.#record.state !== "active" || this.#lease === undefined) {
      const why = this.#record.state === "active" ? "it was closed" : wanted;
      throw new JobStateError(this.identity.jobId, this.#record.state, why);
    }
    return this.#lease;
  }

  #requireUnstaged(name: string): void {
    if (!this.#staged.has(name)) return;
    throw new JobStateError(
      this.identity.jobId,
      this.#record.state,
      `file ${name} is in object storage already, and can't be replaced any more: use another name`,
    );
  }

  /** The job has ended: its place is free for another one at once. */
  #endLease(): void {
    if (this.#lease === undefined) return;
    endPlace(this.#surroundings.root, this.identity.jobId, this.#lease.place);
    fsSync.closeSync(this.#lease.directory);
    this.#lease = undefined;
  }

  /** The job goes on, by another process or nobody. */
  #releaseLease(): void {
    if (this.#lease === undefined) return;
    leavePlace(this.#lease.place);
    fsSync.closeSync(this.#lease.directory);
    this.#lease = undefined;
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tellStaged(objects: readonly StoredObject[]): void {
    const fresh = objects.filter(({ objectKey }) => !this.#toldOf.has(objectKey));
    for (const { objectKey } of fresh) this.#toldOf.add(objectKey);
    if (fresh.length > 0) {
      this.#surroundings.observers.staged(fresh.reduce((sum, { bytes }) => sum + bytes, 0));
    }
  }

  /** What somebody asked for, in turn, told of when it fails. */
  #operation<T>(work: () => Promise<T>): Promise<T> {
    return this.#told(this.#inTurn(work));
  }

  #told<T>(work: Promise<T>): Promise<T> {
    work.catch((error: unknown) => this.#surroundings.observers.failed(error));
    return work;
  }

  /** One change at a time, in the order of the calls. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function parseOwn(text: string, { tenantId, jobId }: JobIdentity): JobRecord {
  const record = parseJobRecord(text);
  if (record.tenantId === tenantId && record.jobId === jobId) return record;
  throw new InvalidRecordError(`the record in job ${jobId} is that of another job`);
}
