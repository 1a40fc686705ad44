export { openStorage } from "./storage.js";
export type { CreateJobOptions, Drained, JobDescription, ResumeOptions, Storage } from "./storage.js";
export { drainOnSignal } from "./drain.js";
export { expectedBytesOf } from "./source-length.js";
export type { SizedSource } from "./source-length.js";
export type { WorkerActivity, WorkerObserver } from "./observer.js";
export type { OpenStorageOptions } from "./settings.js";
export type { Job } from "./job.js";
export type { UploadView } from "./upload.js";
export {
  AdmissionRefusedError,
  ContentMismatchError,
  DrainedError,
  InfectedFileError,
  InvalidAttributesError,
  JobExistsError,
  JobNotFoundError,
  JobStateError,
  ObjectStorageError,
  ScanUndecidedError,
  ScannerUnavailableError,
  StorageConfigurationError,
  UnsafeFileError,
  VolumeFullError,
  WritesInProgressError,
  WrongTenantError,
  WrongWorkerError,
} from "./errors.js";
export { DirectoryLockedError } from "./directory-lock.js";
export { CatalogueRefusedError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
export { InvalidFileNameError } from "@video-storage/contract/file-names";
export { InvalidIdentityError } from "@video-storage/contract/identity";
export type { JobId, JobIdentity, TenantId } from "@video-storage/contract/identity";
export { InvalidRecordError } from "@video-storage/contract/job-record";
export type { FileRecord, JobRecord, ScanRecord } from "@video-storage/contract/job-record";
export { InvalidContractError } from "@video-storage/contract/stack-contract";
export type { StackContract } from "@video-storage/contract/stack-contract";
export { IllegalTransitionError } from "@video-storage/contract/states";
export type { JobState } from "@video-storage/contract/states";
