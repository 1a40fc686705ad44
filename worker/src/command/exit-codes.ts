import { CatalogueRefusedError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { InvalidFileNameError } from "@video-storage/contract/file-names";
import { InvalidIdentityError } from "@video-storage/contract/identity";
import { InvalidContractError } from "@video-storage/contract/stack-contract";
import { IllegalTransitionError } from "@video-storage/contract/states";
import {
  AdmissionRefusedError,
  InfectedFileError,
  InvalidAttributesError,
  JobExistsError,
  JobNotFoundError,
  JobStateError,
  ObjectStorageError,
  ScanUndecidedError,
  ScannerUnavailableError,
  StorageConfigurationError,
  VolumeFullError,
  WritesInProgressError,
  WrongTenantError,
  WrongWorkerError,
} from "../errors.js";

/** What the command was called with is wrong: nothing was done. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a program that runs the command goes by. Part of the contract: they keep their meaning. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  illegal: 4,
  unavailable: 5,
  infected: 6,
  /** As sysexits.h has it: not done, and somebody else will. */
  handedOver: 75,
} as const;

type ErrorClass = abstract new (...args: never[]) => Error;

const CODES: readonly (readonly [number, readonly ErrorClass[]])[] = [
  [
    EXIT.usage,
    [
      ...[UsageError, StorageConfigurationError, InvalidContractError, InvalidIdentityError],
      ...[InvalidFileNameError, InvalidAttributesError, RangeError],
    ],
  ],
  [EXIT.refused, [AdmissionRefusedError, VolumeFullError]],
  [
    EXIT.illegal,
    [
      ...[JobStateError, IllegalTransitionError, WrongTenantError, WrongWorkerError],
      ...[JobNotFoundError, JobExistsError, WritesInProgressError, CatalogueRefusedError],
    ],
  ],
  [EXIT.unavailable, [CatalogueUnavailableError, ObjectStorageError, ScannerUnavailableError]],
  [EXIT.infected, [InfectedFileError, ScanUndecidedError]],
];

export function exitCodeOf(error: unknown): number {
  return CODES.find(([, classes]) => classes.some((type) => error instanceof type))?.[0] ?? EXIT.failed;
}
