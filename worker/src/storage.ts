import fsSync from "node:fs";
import fs from "node:fs/promises";
import { CatalogueUnavailableError, connect, credentialsFrom } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { jobStatus, markUploaded, registerSuccessor, tenantOfLogin } from "@video-storage/catalogue/jobs";
import type { JobStatus } from "@video-storage/catalogue/jobs";
import { newJobId, parseJobId } from "@video-storage/contract/identity";
import type { JobId, JobIdentity, TenantId } from "@video-storage/contract/identity";
import { parseJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { LOGS_DIRECTORY, METADATA_FILE, jobDirectory } from "@video-storage/contract/layout";
import { recordKey, recordProof } from "@video-storage/contract/record-proof";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { reconcile } from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";
import { endPlace, sharePlace, takePlace } from "./admission.js";
import {
  AdmissionRefusedError,
  JobExistsError,
  JobNotFoundError,
  JobStateError,
  ObjectStorageError,
  StorageConfigurationError,
  WrongTenantError,
  WrongWorkerError,
} from "./errors.js";
import { Job } from "./job.js";
import type { Lease } from "./job.js";
import { createJobDirectory, removeUnfinished, removeUnfinishedDirectories } from "./new-directory.js";
import type { ObjectStorage } from "./object-storage.js";
import { Observers } from "./observer.js";
import type { WorkerActivity, WorkerObserver } from "./observer.js";
import { sanitiseAttributes } from "./sanitise.js";
import { resolveSettings } from "./settings.js";
import type { OpenStorageOptions, StorageSettings } from "./settings.js";
import { objectView, openLocal, openUploadView } from "./upload.js";
import type { UploadView } from "./upload.js";

export interface CreateJobOptions {
  /**
   * The source's size in bytes, where it is known (`expectedBytesOf`): a job without the room for it is refused
   * instead of begun, and what it is promised is promised to no other.
   */
  readonly expectedBytes?: number;
  /** Kept in the job's record, without secrets that can be recognised. JSON, at most 1 MiB with all else. */
  readonly attributes?: Readonly<Record<string, unknown>>;
  /** Where the orchestrator has given one out. Default: a new one. */
  readonly jobId?: string;
}

export interface ResumeOptions {
  /** As for a new job; at least what was handed over. Default: what the job before had. */
  readonly expectedBytes?: number;
}

/** What became of an active job when its worker was drained. */
export interface Drained {
  /** The job. */
  readonly jobId: JobId;
  /** What it is now. */
  readonly state: "handed-over" | "failed" | "quarantined" | "active";
  /** Why it isn't handed over. */
  readonly error?: unknown;
}

/** What record and catalogue say of a job. */
export interface JobDescription {
  /** Undefined when the job isn't on this volume. */
  readonly record: JobRecord | undefined;
  /** Undefined when the catalogue doesn't know it, null when it can't be asked. */
  readonly catalogue: JobStatus | undefined | null;
}

/** One tenant's jobs on one volume. */
export interface Storage {
  /** Whose jobs these are. */
  readonly tenantId: TenantId;
  /** What the stack promises. */
  readonly contract: StackContract;
  /**
   * A new active job, durable when it returns. Errors: AdmissionRefusedError (then nothing was created),
   * JobExistsError, InvalidIdentityError, InvalidAttributesError, InvalidRecordError, CatalogueRefusedError. That the
   * catalogue doesn't answer is none: it is told later.
   */
  createJob(options?: CreateJobOptions): Promise<Job>;
  /**
   * A job that this worker has begun, in this process or another one of the same pod: an active one, whose lease it
   * then shares, or a completed one, to stage it. When the process that held an active job is gone, the job is taken
   * up again, unless the sweep has found it abandoned by then. Errors: InvalidIdentityError, JobNotFoundError,
   * WrongTenantError, WrongWorkerError when another pod began it, JobStateError in any other state, InvalidRecordError.
   */
  openJob(jobId: string): Promise<Job>;
  /**
   * Goes on with a job that another worker handed over, as a new job on this volume with its files, logs and
   * attributes; `{name}.part` is the beginning of a file that wasn't finished. Of several workers one gets it. The id
   * that was handed over stays good: `openForUpload`, `markUploaded` and `resumeJob` follow it. Errors: as createJob,
   * JobNotFoundError, JobStateError when it isn't handed over or another worker goes on with it,
   * CatalogueUnavailableError, ObjectStorageError, ContentMismatchError.
   */
  resumeJob(jobId: string, options?: ResumeOptions): Promise<Job>;
  /**
   * A completed job of this tenant to read from. With a scanner in the stack its files are scanned first, unless this
   * login had the same content scanned within a day. Errors: WrongTenantError, JobNotFoundError, JobStateError,
   * CatalogueUnavailableError, ObjectStorageError, InfectedFileError (then the job is quarantined),
   * ScanUndecidedError, ScannerUnavailableError.
   */
  openForUpload(jobId: string): Promise<UploadView>;
  /**
   * The job was uploaded; from now on the sweep may delete it. In the catalogue, durable, when it returns; safe to
   * repeat. Errors: JobStateError when it wasn't completed, CatalogueUnavailableError, CatalogueRefusedError.
   */
  markUploaded(jobId: string): Promise<void>;
  /** What is known of a job of this tenant. Errors: InvalidIdentityError, WrongTenantError, InvalidRecordError. */
  describe(jobId: string): Promise<JobDescription>;
  /**
   * The worker has to end: hands every active job that is open here over, at once. One that can't be handed over,
   * for example without object storage, is failed with the reason. Never throws; says what became of each. Nothing
   * new is created afterwards.
   */
  drain(): Promise<readonly Drained[]>;
  /** Tells somebody of what happens from now on; `@video-storage/worker/metrics` makes metrics of it. */
  observe(observer: WorkerObserver): void;
  /** What is in hand now. */
  activity(): WorkerActivity;
  /** Gives up all jobs that are open, as their `close` does. */
  close(): Promise<void>;
}

/**
 * Opens the volume of this worker for one tenant. Errors: StorageConfigurationError, InvalidContractError (an
 * unknown version among others), WrongTenantError when the catalogue's login is another tenant's,
 * CatalogueRefusedError when it isn't accepted. That the catalogue doesn't answer is none.
 */
export async function openStorage(options: OpenStorageOptions = {}): Promise<Storage> {
  const settings = await resolveSettings(options);
  await requireVolume(settings.root);
  const credentials = await credentialsFrom(settings.catalogueCredentials).catch((error: Error) => {
    throw new StorageConfigurationError(`the catalogue's credentials can't be read: ${error.message}`, {
      cause: error,
    });
  });
  const catalogue = connect({ ...settings.contract.catalogue, ...credentials });
  try {
    await requireOwnLogin(catalogue, settings);
  } catch (error) {
    await catalogue.close();
    throw error;
  }
  await removeUnfinishedDirectories(settings.root).catch(() => undefined);
  return storageOf(settings, catalogue, credentials.password);
}

function storageOf(
  settings: StorageSettings,
  catalogue: Catalogue,
  password: () => Promise<string>,
): Storage {
  const { contract, tenantId, root } = settings;
  const observers = new Observers();
  const onCatalogueError = (error: unknown): void => {
    observers.failed(error);
    settings.onCatalogueError(error);
  };
  const jobs = new Set<Job>();
  let drained = false;
  let connecting: Promise<ObjectStorage> | undefined;
  const objectStorage = (): Promise<ObjectStorage> => (connecting ??= connectToObjects(settings));
  const identityOf = (jobId: string): JobIdentity => ({ tenantId, jobId: parseJobId(jobId) });
  const upload = { root, catalogue, objectStorage, scan: contract.scan, onCatalogueError };

  const jobOf = (record: JobRecord, lease: Lease | undefined, knownRevision = 0): Job => {
    const surroundings = {
      root,
      directory: jobDirectory(root, record.jobId),
      catalogue,
      objectStorage: contract.objectStorage === null ? null : objectStorage,
      heartbeatSeconds: contract.heartbeatSeconds,
      reserveBytes: contract.reserveBytes,
      maxLocalSeconds: contract.staging.maxLocalSeconds,
      scan: contract.scan,
      onCatalogueError,
      onStagingError: settings.onStagingError,
      observers,
      onClose: (closed: Job) => jobs.delete(closed),
    };
    const job = new Job(record, lease, surroundings, knownRevision);
    jobs.add(job);
    return job;
  };

  /** On the volume, leased and with a place, and not yet in the catalogue. */
  const begin = async (given: NewRecord): Promise<Job> => {
    if (drained) {
      throw new StorageConfigurationError("this worker is drained: give the job to another one");
    }
    const unproven = newRecord(settings, given);
    const record = { ...unproven, proof: recordProof(recordKey(await password()), unproven) };
    const place = await takePlace(root, record.jobId, {
      expectedBytes: record.expectedBytes ?? 0,
      reserveBytes: contract.reserveBytes,
      maximumJobs: contract.jobsPerSlot,
    });
    try {
      return jobOf(record, { directory: await createJobDirectory(root, record), place });
    } catch (error) {
      endPlace(root, record.jobId, place);
      throw error;
    }
  };

  /** What was begun, and isn't registered. */
  const undo = async (job: Job, error: unknown): Promise<void> => {
    if (error instanceof JobExistsError || error instanceof JobStateError) {
      await removeUnfinished(job.directory);
      job.discard();
    } else {
      // Whoever asked for the job is told of the refusal; a record that can't be written is abandoned in time.
      await job.fail("the catalogue refused the job").catch(() => undefined);
      await job.close().catch(() => undefined);
    }
  };

  /** The job that a handed-over one is continued by, and that one's, to the last that neither failed nor was abandoned. */
  const followed = async (identity: JobIdentity): Promise<{ identity: JobIdentity; status: JobStatus }> => {
    let status = await jobStatus(catalogue, identity);
    if (status === undefined) {
      throw new JobNotFoundError(`the catalogue knows no job ${identity.jobId} of tenant ${tenantId}`);
    }
    let current = identity;
    while (status.continuedBy !== null) {
      const next: JobIdentity = { tenantId, jobId: status.continuedBy };
      const nextStatus: JobStatus | undefined = await jobStatus(catalogue, next);
      if (!nextStatus || nextStatus.state === "failed" || nextStatus.state === "abandoned") break;
      [current, status] = [next, nextStatus];
    }
    return { identity: current, status };
  };

  const storage: Storage = {
    tenantId,
    contract,
    async createJob({ expectedBytes, attributes = {}, jobId } = {}) {
      const job = await begin({
        jobId: jobId === undefined ? newJobId() : parseJobId(jobId),
        ...(expectedBytes === undefined ? {} : { expectedBytes }),
        attributes: sanitiseAttributes(attributes),
      });
      try {
        await job.register();
      } catch (error) {
        if (error instanceof CatalogueUnavailableError) {
          onCatalogueError(error);
        } else {
          await undo(job, error);
          throw error;
        }
      }
      return job;
    },
    async openJob(jobId) {
      const identity = identityOf(jobId);
      const local = await openLocal(root, identity);
      if (local === undefined) {
        throw new JobNotFoundError(`job ${identity.jobId} of tenant ${tenantId} is not on this volume`);
      }
      const { directory, record } = local;
      try {
        requireOwnWorker(settings, record);
        const status = await askIfPossible(catalogue, identity, onCatalogueError);
        const proven = record.proof === recordProof(recordKey(await password()), record);
        // The password may have been changed since; then the catalogue, which shows only the tenant's jobs, vouches.
        if (!proven && status?.volume !== record.owner.volume) {
          throw new WrongTenantError(`job ${identity.jobId}, by its record`, tenantId);
        }
        const state = status ? reconcile(record.state, status.state).state : record.state;
        if (state !== "active" && state !== "completed") {
          throw new JobStateError(identity.jobId, state, "only an active or completed job can be opened");
        }
        if (state === "completed") fsSync.closeSync(directory);
        const lease =
          state === "active"
            ? { directory, place: await sharePlace(root, identity.jobId, record.expectedBytes ?? 0) }
            : undefined;
        return jobOf(record, lease, status?.revision);
      } catch (error) {
        fsSync.closeSync(directory);
        throw error;
      }
    },
    async resumeJob(jobId, { expectedBytes } = {}) {
      const { identity: predecessor, status } = await followed(identityOf(jobId));
      if (status.state !== "handed-over") {
        throw new JobStateError(
          predecessor.jobId,
          status.state,
          "only a job that was handed over is resumed",
        );
      }
      const view = await objectView(predecessor, catalogue, await objectStorage());
      const before = parseJobRecord(await textOf(view, METADATA_FILE));
      const handedOver = Object.values(before.files).reduce((sum, { bytes }) => sum + bytes, 0);
      const job = await begin({
        jobId: newJobId(),
        expectedBytes: Math.max(expectedBytes ?? before.expectedBytes ?? 0, handedOver),
        attributes: before.attributes,
        continues: predecessor.jobId,
      });
      try {
        await job.register(async (record) => {
          if (await registerSuccessor(catalogue, record, predecessor)) return true;
          throw new JobStateError(
            predecessor.jobId,
            "handed-over",
            "another worker goes on with it: leave it to that one, or ask again when that one has failed",
          );
        });
      } catch (error) {
        await undo(job, error);
        throw error;
      }
      try {
        for (const name of Object.keys(view.files)) {
          const log = name.startsWith(`${LOGS_DIRECTORY}/`)
            ? name.slice(LOGS_DIRECTORY.length + 1)
            : undefined;
          if (name === METADATA_FILE) continue;
          if (log !== undefined) await job.restoreLog(log, await view.open(name));
          else await job.writeStream(name, await view.open(name), { expectedBytes: view.files[name]!.bytes });
        }
        return job;
      } catch (error) {
        // Then the one before it can be gone on with by another worker.
        await job.fail(`what was handed over couldn't be fetched: ${String(error)}`);
        await job.close();
        throw error;
      } finally {
        view.close();
      }
    },
    async openForUpload(jobId) {
      return openUploadView(upload, (await followed(identityOf(jobId)).catch(onlyWhenKnown(jobId))).identity);
    },
    async markUploaded(jobId) {
      const { identity } = await followed(identityOf(jobId)).catch(onlyWhenKnown(jobId));
      if ((await markUploaded(catalogue, identity)) === undefined) {
        throw new JobStateError(
          identity.jobId,
          "active",
          `the catalogue has no completed job of tenant ${tenantId} by that id`,
        );
      }
    },
    async describe(jobId) {
      const identity = identityOf(jobId);
      const local = await openLocal(root, identity);
      if (local) fsSync.closeSync(local.directory);
      return {
        record: local?.record,
        catalogue: await jobStatus(catalogue, identity).catch((error: unknown) => {
          if (!(error instanceof CatalogueUnavailableError)) throw error;
          onCatalogueError(error);
          return null;
        }),
      };
    },
    async drain() {
      drained = true;
      return Promise.all([...jobs].filter((job) => stateOf(job) === "active").map(drainJob));
    },
    observe: (observer) => observers.add(observer),
    activity: () => ({
      activeJobs: [...jobs].filter((job) => stateOf(job) === "active").length,
      unreportedJobs: [...jobs].filter((job) => !job.reported).length,
    }),
    async close() {
      const closed = await Promise.allSettled([...jobs].map((job) => job.close()));
      await catalogue.close();
      if (connecting) (await connecting.catch(() => undefined))?.close();
      for (const one of closed) if (one.status === "rejected") throw one.reason;
    },
  };
  return observed(storage, observers);

  /** A job that the catalogue doesn't know has nothing to follow; whoever asks for it says so in his own way. */
  function onlyWhenKnown(jobId: string): (error: unknown) => { identity: JobIdentity } {
    return (error) => {
      if (!(error instanceof JobNotFoundError)) throw error;
      return { identity: identityOf(jobId) };
    };
  }
}

/** The same, with what fails told. */
function observed(storage: Storage, observers: Observers): Storage {
  const told = <A extends unknown[], T>(work: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      try {
        return await work(...args);
      } catch (error) {
        if (error instanceof AdmissionRefusedError) observers.refused(error.reason);
        else observers.failed(error);
        throw error;
      }
    };
  };
  return {
    ...storage,
    createJob: told((options) => storage.createJob(options)),
    openJob: told((jobId) => storage.openJob(jobId)),
    resumeJob: told((jobId, options) => storage.resumeJob(jobId, options)),
    openForUpload: told((jobId) => storage.openForUpload(jobId)),
    markUploaded: told(async (jobId) => {
      await storage.markUploaded(jobId);
      observers.ended("uploaded");
    }),
    describe: told((jobId) => storage.describe(jobId)),
  };
}

async function drainJob(job: Job): Promise<Drained> {
  const { jobId } = job.identity;
  try {
    await job.handOver();
    return { jobId, state: "handed-over" };
  } catch (error) {
    if (stateOf(job) === "active") {
      await job
        .fail(`its worker was drained, and it couldn't be handed over: ${(error as Error).message}`)
        .catch(() => undefined);
    }
    const state = stateOf(job);
    return { jobId, state: state === "failed" || state === "quarantined" ? state : "active", error };
  }
}

/** A job whose record can't be read now keeps its lease, and must not keep the others from being drained. */
function stateOf(job: Job): JobState {
  try {
    return job.state;
  } catch {
    return "active";
  }
}

async function textOf(view: UploadView, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await view.open(name)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

async function askIfPossible(
  catalogue: Catalogue,
  identity: JobIdentity,
  onCatalogueError: (error: unknown) => void,
): Promise<JobStatus | undefined> {
  try {
    return await jobStatus(catalogue, identity);
  } catch (error) {
    if (!(error instanceof CatalogueUnavailableError)) throw error;
    onCatalogueError(error);
    return undefined;
  }
}

function requireOwnWorker({ owner }: StorageSettings, { jobId, owner: begun }: JobRecord): void {
  if (owner.volume === begun.volume && owner.namespace === begun.namespace && owner.pod === begun.pod) return;
  throw new WrongWorkerError(
    `job ${jobId} was begun by pod ${begun.namespace}/${begun.pod} on volume ${begun.volume}, and this is ` +
      `${owner.namespace}/${owner.pod} on ${owner.volume}: a job goes on elsewhere only when it was handed over (resumeJob)`,
  );
}

type NewRecord = Pick<JobRecord, "jobId" | "attributes"> & {
  readonly expectedBytes?: number;
  readonly continues?: JobId;
};

function newRecord({ tenantId, owner }: StorageSettings, given: NewRecord): JobRecord {
  if (
    given.expectedBytes !== undefined &&
    !(Number.isSafeInteger(given.expectedBytes) && given.expectedBytes >= 0)
  ) {
    throw new RangeError(`expectedBytes is ${given.expectedBytes}: use a whole number of bytes, 0 or more`);
  }
  const now = new Date().toISOString();
  return {
    ...{ version: 1, tenantId, ...given, state: "active", revision: 1 },
    ...{ createdAt: now, stateChangedAt: now, owner, files: {} },
  };
}

async function requireVolume(root: string): Promise<void> {
  const found = await fs.stat(root).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new StorageConfigurationError(`${root} is not a directory: mount the worker's volume there`);
  }
}

/** Found out early, where it can be: a worker with another tenant's Secret would write what nobody could read. */
async function requireOwnLogin(
  catalogue: Catalogue,
  { tenantId, onCatalogueError }: StorageSettings,
): Promise<void> {
  let loginTenant: string | null;
  try {
    loginTenant = await tenantOfLogin(catalogue);
  } catch (error) {
    if (!(error instanceof CatalogueUnavailableError)) throw error;
    onCatalogueError(error);
    return;
  }
  // The uploader's login is no tenant's.
  if (loginTenant !== null && loginTenant !== tenantId)
    throw new WrongTenantError("the catalogue's login", tenantId);
}

/** The SDK is most of what a process loads, and most never need it. */
async function connectToObjects(settings: StorageSettings): Promise<ObjectStorage> {
  const { objectStorage } = settings.contract;
  if (objectStorage === null)
    throw new ObjectStorageError("this stack has no object storage: jobs stay on their volume");
  const { connectObjectStorage, objectStorageCredentialsFrom } = await import("./object-storage.js");
  return connectObjectStorage(
    objectStorage,
    await objectStorageCredentialsFrom(settings.objectStorageCredentials, objectStorage),
  );
}
