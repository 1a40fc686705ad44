import type { JobId, TenantId } from "@video-storage/contract/identity";
import type { JobState } from "@video-storage/contract/states";

/** What the client was told about its surroundings doesn't fit: nothing was done. */
export class StorageConfigurationError extends Error {
  override readonly name = "StorageConfigurationError";
}

/** The volume hasn't room for the job: try another worker, or wait for the sweep. Nothing was created. */
export class AdmissionRefusedError extends Error {
  override readonly name = "AdmissionRefusedError";
  readonly reason = "space";
  constructor(
    readonly neededBytes: bigint,
    readonly reserveBytes: bigint,
    readonly availableBytes: bigint,
  ) {
    super(
      `the job needs ${neededBytes} bytes and ${reserveBytes} must stay free, but the volume has ${availableBytes}: ` +
        `give the job to a worker with more room, or try again after the next sweep`,
    );
  }
}

/** The volume became full while something was written: what was half-written is removed again. */
export class VolumeFullError extends Error {
  override readonly name = "VolumeFullError";
}

/** There is such a job on this volume already. */
export class JobExistsError extends Error {
  override readonly name = "JobExistsError";
}

/** Neither on this volume nor in object storage is there such a job of this tenant. */
export class JobNotFoundError extends Error {
  override readonly name = "JobNotFoundError";
}

/** The job or the login belongs to another tenant. */
export class WrongTenantError extends Error {
  override readonly name = "WrongTenantError";
  constructor(what: string, asked: TenantId) {
    super(
      `${what} doesn't belong to tenant ${asked}: a job is opened by the tenant that created it, and no other`,
    );
  }
}

/** The job's state doesn't allow what was asked. */
export class JobStateError extends Error {
  override readonly name = "JobStateError";
  constructor(
    readonly jobId: JobId,
    readonly state: JobState,
    wanted: string,
  ) {
    super(`job ${jobId} is ${state}: ${wanted}`);
  }
}

/** A job can't be completed while files are still being written to it: await them first. */
export class WritesInProgressError extends Error {
  override readonly name = "WritesInProgressError";
}

/** The bytes are not those that were announced or recorded. */
export class ContentMismatchError extends Error {
  override readonly name = "ContentMismatchError";
}

/** A job's file is not what a worker writes (a link, a device, someone else's): it isn't read. */
export class UnsafeFileError extends Error {
  override readonly name = "UnsafeFileError";
}

/** The attributes can't be kept as JSON. */
export class InvalidAttributesError extends Error {
  override readonly name = "InvalidAttributesError";
}

/** Object storage isn't configured, refused, or can't be reached. */
export class ObjectStorageError extends Error {
  override readonly name = "ObjectStorageError";
}

export function errorCode(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}
