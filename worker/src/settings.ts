import { readFile } from "node:fs/promises";
import { parseTenantId } from "@video-storage/contract/identity";
import type { TenantId } from "@video-storage/contract/identity";
import type { JobOwner } from "@video-storage/contract/job-record";
import { JOBS_ROOT } from "@video-storage/contract/layout";
import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  CONTRACT_FILE,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
  parseStackContract,
} from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { StorageConfigurationError } from "./errors.js";

/** Every part has a default: in a pod of the stack, `openStorage()` needs none. */
export interface OpenStorageOptions {
  /** The contract or the path of its JSON. Default: `VIDEO_STORAGE_CONTRACT`, else where the stack mounts it. */
  readonly contract?: StackContract | string;
  /** Default: `VIDEO_STORAGE_TENANT`. */
  readonly tenantId?: string;
  /** The name of the volume at `root`, one of the contract's slots. Default: `VIDEO_STORAGE_VOLUME`. */
  readonly volume?: string;
  /** Where the volume is mounted. Default: where the layout says. */
  readonly root?: string;
  /** Default: `NODE_NAME`, `POD_NAMESPACE` and `POD_NAME`. */
  readonly node?: string;
  /** As `node`. */
  readonly namespace?: string;
  /** As `node`. */
  readonly pod?: string;
  /** Directories with the mounted Secrets. Default: where the stack mounts them. */
  readonly catalogueCredentials?: string;
  /** As `catalogueCredentials`. */
  readonly objectStorageCredentials?: string;
  /**
   * Told of every attempt to reach the catalogue that failed after the worker's own work was done; it will be
   * repeated. Default: nobody.
   */
  readonly onCatalogueError?: (error: unknown) => void;
  /**
   * Told when a job that runs for long couldn't be copied to object storage by itself; it will be tried again. Default:
   * nobody.
   */
  readonly onStagingError?: (error: unknown) => void;
  /** Default: the process's. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface StorageSettings {
  readonly contract: StackContract;
  readonly tenantId: TenantId;
  readonly owner: JobOwner;
  readonly root: string;
  readonly catalogueCredentials: string;
  readonly objectStorageCredentials: string;
  readonly onCatalogueError: (error: unknown) => void;
  readonly onStagingError: (error: unknown) => void;
}

/** Throws {@link StorageConfigurationError} or an error of the contract's. */
export async function resolveSettings(options: OpenStorageOptions): Promise<StorageSettings> {
  const environment = options.environment ?? process.env;
  const required = (value: string | undefined, option: string, variable: string): string => {
    const found = value ?? environment[variable];
    if (found) return found;
    throw new StorageConfigurationError(`${option} is not set: pass it to openStorage or set ${variable}`);
  };
  const contract = await resolveContract(
    options.contract ?? environment["VIDEO_STORAGE_CONTRACT"] ?? CONTRACT_FILE,
  );
  const tenantId = parseTenantId(required(options.tenantId, "tenantId", "VIDEO_STORAGE_TENANT"));
  const volume = required(options.volume, "volume", "VIDEO_STORAGE_VOLUME");
  requireOneOf(
    "tenant",
    tenantId,
    contract.tenants.map((tenant) => tenant.id),
  );
  requireOneOf(
    "volume",
    volume,
    contract.slots.map((slot) => slot.name),
  );
  return {
    contract,
    tenantId,
    owner: {
      volume,
      node: required(options.node, "node", "NODE_NAME"),
      namespace: required(options.namespace, "namespace", "POD_NAMESPACE"),
      pod: required(options.pod, "pod", "POD_NAME"),
    },
    root: options.root ?? JOBS_ROOT,
    catalogueCredentials: options.catalogueCredentials ?? CATALOGUE_CREDENTIALS_DIRECTORY,
    objectStorageCredentials: options.objectStorageCredentials ?? OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
    onCatalogueError: options.onCatalogueError ?? (() => undefined),
    onStagingError: options.onStagingError ?? (() => undefined),
  };
}

async function resolveContract(contract: StackContract | string): Promise<StackContract> {
  if (typeof contract !== "string") return parseStackContract(contract);
  const text = await readFile(contract, "utf8").catch((error: Error) => {
    throw new StorageConfigurationError(`the stack's contract can't be read: ${error.message}`, {
      cause: error,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StorageConfigurationError(`the stack's contract in ${contract} is not JSON`);
  }
  return parseStackContract(value);
}

function requireOneOf(what: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  throw new StorageConfigurationError(
    `${what} ${JSON.stringify(value)} is not in the stack's contract, which has ${known.join(", ") || "none"}`,
  );
}
