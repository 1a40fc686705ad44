import fs from "node:fs/promises";
import { CatalogueUnavailableError, connect, credentialsFrom } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { markUploaded, tenantOfLogin } from "@video-storage/catalogue/jobs";
import { newJobId, parseJobId } from "@video-storage/contract/identity";
import type { JobIdentity, TenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import { jobDirectory } from "@video-storage/contract/layout";
import { recordKey, recordProof } from "@video-storage/contract/record-proof";
import { admit } from "./admission.js";
import {
  JobExistsError,
  JobStateError,
  ObjectStorageError,
  StorageConfigurationError,
  WrongTenantError,
} from "./errors.js";
import { Job } from "./job.js";
import { createJobDirectory, removeUnfinished, removeUnfinishedDirectories } from "./new-directory.js";
import { connectObjectStorage, objectStorageCredentialsFrom } from "./object-storage.js";
import type { ObjectStorage } from "./object-storage.js";
import { sanitiseAttributes } from "./sanitise.js";
import { resolveSettings } from "./settings.js";
import type { OpenStorageOptions, StorageSettings } from "./settings.js";
import { openUploadView } from "./upload.js";
import type { UploadView } from "./upload.js";

export interface CreateJobOptions {
  /** The source's size, where it is known: a job without the room for it is refused instead of begun. */
  readonly expectedBytes?: number;
  /** Kept in the job's record, without secrets that can be recognised. JSON, at most 1 MiB with all else. */
  readonly attributes?: Readonly<Record<string, unknown>>;
  /** Where the orchestrator has given one out. Default: a new one. */
  readonly jobId?: string;
}

/** One tenant's jobs on one volume. */
export interface Storage {
  readonly tenantId: TenantId;
  /**
   * A new active job, durable when it returns. Errors: AdmissionRefusedError (then nothing was created),
   * JobExistsError, InvalidIdentityError, InvalidAttributesError, InvalidRecordError, CatalogueRefusedError. That the
   * catalogue doesn't answer is none: it is told later.
   */
  createJob(options?: CreateJobOptions): Promise<Job>;
  /**
   * A completed job of this tenant to read from. Errors: WrongTenantError, JobNotFoundError, JobStateError,
   * CatalogueUnavailableError, ObjectStorageError.
   */
  openForUpload(jobId: string): Promise<UploadView>;
  /**
   * The job was uploaded; from now on the sweep may delete it. In the catalogue, durable, when it returns; safe to
   * repeat. Errors: JobStateError when it wasn't completed, CatalogueUnavailableError, CatalogueRefusedError.
   */
  markUploaded(jobId: string): Promise<void>;
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
  const jobs = new Set<Job>();
  let connecting: Promise<ObjectStorage> | undefined;
  const objectStorage = (): Promise<ObjectStorage> => (connecting ??= connectToObjects(settings));
  const identityOf = (jobId: string): JobIdentity => ({ tenantId, jobId: parseJobId(jobId) });

  return {
    tenantId,
    async createJob({ expectedBytes, attributes = {}, jobId } = {}) {
      const unproven = newRecord(settings, {
        jobId: jobId === undefined ? newJobId() : parseJobId(jobId),
        ...(expectedBytes === undefined ? {} : { expectedBytes }),
        attributes: sanitiseAttributes(attributes),
      });
      const record = { ...unproven, proof: recordProof(recordKey(await password()), unproven) };
      await admit(root, expectedBytes ?? 0, contract.reserveBytes);
      const lease = await createJobDirectory(root, record);
      const job = new Job(record, lease, {
        directory: jobDirectory(root, record.jobId),
        catalogue,
        objectStorage,
        heartbeatSeconds: contract.heartbeatSeconds,
        onCatalogueError: settings.onCatalogueError,
        onClose: (closed) => jobs.delete(closed),
      });
      jobs.add(job);
      try {
        await job.register();
      } catch (error) {
        if (error instanceof CatalogueUnavailableError) {
          settings.onCatalogueError(error);
        } else {
          if (error instanceof JobExistsError) await removeUnfinished(job.directory);
          else await job.fail("the catalogue refused the job");
          await job.close();
          throw error;
        }
      }
      return job;
    },
    async openForUpload(jobId) {
      return openUploadView({ root, catalogue, objectStorage }, identityOf(jobId));
    },
    async markUploaded(jobId) {
      const identity = identityOf(jobId);
      if ((await markUploaded(catalogue, identity)) === undefined) {
        throw new JobStateError(
          identity.jobId,
          "active",
          `the catalogue has no completed job of tenant ${tenantId} by that id`,
        );
      }
    },
    async close() {
      const closed = await Promise.allSettled([...jobs].map((job) => job.close()));
      await catalogue.close();
      if (connecting) (await connecting.catch(() => undefined))?.close();
      for (const one of closed) if (one.status === "rejected") throw one.reason;
    },
  };
}

function newRecord(
  { tenantId, owner }: StorageSettings,
  given: Pick<JobRecord, "jobId" | "attributes"> & { expectedBytes?: number },
): JobRecord {
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

async function connectToObjects(settings: StorageSettings): Promise<ObjectStorage> {
  const { objectStorage } = settings.contract;
  if (objectStorage === null)
    throw new ObjectStorageError("this stack has no object storage: jobs stay on their volume");
  return connectObjectStorage(
    objectStorage,
    await objectStorageCredentialsFrom(settings.objectStorageCredentials, objectStorage),
  );
}
