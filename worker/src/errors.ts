import type { JobId, TenantId } from "@video-storage/contract/identity";
import type { JobState } from "@video-storage/contract/states";

/** What the client was told about its surroundings doesn't fit: nothing was done. */
export class StorageConfigurationError extends Error {
  override readonly name = "StorageConfigurationError";
}

/** Why a job isn't begun on a volume. */
export type RefusalReason = "space" | "concurrency" | "busy";

/**
 * The job isn't begun here; nothing of it was created. By `reason`: `space`, the volume lacks the room: give it to a
 * worker with more, or try again after the next sweep; `concurrency`, as many jobs are active as the stack allows:
 * try again when one has ended; `busy`, others kept being admitted for {@link ADMISSION_WAIT_SECONDS}: try again.
 */
export class AdmissionRefusedError extends Error {
  override readonly name = "AdmissionRefusedError";
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** How long a job waits for others that are being admitted to the same volume. */
export const ADMISSION_WAIT_SECONDS = 30;

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

/** An active job is written to by the processes of the pod that began it, and by no other's. */
export class WrongWorkerError extends Error {
  override readonly name = "WrongWorkerError";
}

/** The job's state doesn't allow what was asked. */
export class JobStateError extends Error {
  override readonly name = "JobStateError";
  readonly jobId: JobId;
  readonly state: JobState;

  constructor(jobId: JobId, state: JobState, wanted: string) {
    super(`job ${jobId} is ${state}: ${wanted}`);
    this.jobId = jobId;
    this.state = state;
  }
}

/** A job can't be completed while files are still being written to it: await them first. */
export class WritesInProgressError extends Error {
  override readonly name = "WritesInProgressError";
}

/**
 * The worker is being drained: the file wasn't finished. What there was of it is kept, and handed over, as
 * `{name}.part`.
 */
export class DrainedError extends Error {
  override readonly name = "DrainedError";
}

/** A scanner found something. The job is quarantined: it isn't staged or uploaded, and the sweep removes it. */
export class InfectedFileError extends Error {
  override readonly name = "InfectedFileError";
  readonly jobId: JobId;
  readonly file: string;
  readonly signature: string;

  constructor(jobId: JobId, file: string, signature: string) {
    super(
      `file ${file} of job ${jobId} is infected (${signature}): the job is quarantined and goes nowhere; ` +
        `the sweep deletes it as a failed one`,
    );
    this.jobId = jobId;
    this.file = file;
    this.signature = signature;
  }
}

/**
 * The scanner couldn't decide about a file (too large, too slow, not understood), and the stack refuses such files:
 * it stays where it is. Raise the contract's scan limits together with clamd's, or set whenUndecided to "allow".
 */
export class ScanUndecidedError extends Error {
  override readonly name = "ScanUndecidedError";
}

/** The scanner can't be reached, or gave no answer: nothing leaves the volume until it does. Try again later. */
export class ScannerUnavailableError extends Error {
  override readonly name = "ScannerUnavailableError";
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
