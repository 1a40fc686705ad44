import { z } from "zod";
import {
  byteCountSchema,
  catalogueAddressSchema,
  objectStorageSettingsSchema,
  readDocument,
  retentionSchema,
  scanSettingsSchema,
  secondsSchema,
  tenantIdSchema,
} from "./schemas.js";

/** Where the ConfigMap with the contract is mounted in a worker's pod. */
export const CONTRACT_FILE = "/etc/video-storage/contract.json";
/** The authorities that the catalogue's certificate is checked against, beside the contract; where there are any. */
export const CATALOGUE_CA_FILE = "/etc/video-storage/catalogue-ca.crt";
/** Holds the files `username` and `password`. */
export const CATALOGUE_CREDENTIALS_DIRECTORY = "/run/secrets/catalogue";
/** Holds the files `accessKeyId` and `secretAccessKey`, and `ca.crt` where the endpoint's authority is no public one. */
export const OBJECT_STORAGE_CREDENTIALS_DIRECTORY = "/run/secrets/object-storage";
/** The key of the authorities' certificates in that Secret. */
export const OBJECT_STORAGE_CA_KEY = "ca.crt";

const name = z.string().min(1).max(253);

/**
 * For the JSON Schema; programs use {@link parseStackContract}. Unknown fields are ignored at every depth: a later
 * release may add some without breaking workers already built.
 */
export const stackContractSchema = z.object({
  contractVersion: z.literal(1),
  environment: name,
  layout: z.object({
    mountPath: z.string().startsWith("/"),
    sourceFile: name,
    metadataFile: name,
    logsDirectory: name,
  }),
  namespace: name,
  storageClass: name,
  /** The group id by which the upload process reads every job. */
  uploadGroup: z.int().min(1),
  slotsPerNode: z.int().min(1),
  slots: z.array(
    z.object({
      /** The volume's name, for example `node-0-slot-0`. */
      name,
      /** Null where the storage decides when the claim is first used; a pod learns it from its own node. */
      node: name.nullable(),
      claim: name,
      runAsUser: z.int().min(1),
      capacityBytes: byteCountSchema,
      /** The one tenant whose jobs may be here, or null where tenants take turns and so could read each other's. */
      tenant: tenantIdSchema.nullable().default(null),
      /** Slots of one pool and one group are on one node, and no others of the pool; null for a declared node's. */
      placement: z.object({ pool: name, group: name }).nullable().default(null),
      /** Directory of the volume that is mounted as the jobs' root; null for the volume's own root. */
      subPath: name.nullable().default(null),
    }),
  ),
  tenants: z.array(
    z.object({
      id: tenantIdSchema,
      catalogueSecret: name,
      objectStorageSecret: name.nullable(),
      /** Of this tenant's workers, where the object storage tells tenants apart by it; else `worker.serviceAccount`. */
      serviceAccount: name.optional(),
    }),
  ),
  uploader: z.object({ serviceAccount: name, catalogueSecret: name, objectStorageSecret: name.nullable() }),
  worker: z.object({ serviceAccount: name }),
  /** Whether every pod has users of its own (`hostUsers: false`). */
  userNamespaces: z.boolean().default(false),
  /** What the nodes with the slots ask pods to tolerate. */
  tolerations: z
    .array(
      z.object({
        key: name.optional(),
        operator: z.enum(["Exists", "Equal"]).optional(),
        value: z.string().optional(),
        effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
      }),
    )
    .default([]),
  catalogue: z.object(catalogueAddressSchema.shape),
  objectStorage: z.object(objectStorageSettingsSchema.shape).nullable(),
  retention: z.object(retentionSchema.shape),
  heartbeatSeconds: z.int().min(1),
  heartbeatTimeoutSeconds: secondsSchema,
  /** Kept free on a volume beyond what a job says it needs. */
  reserveBytes: byteCountSchema,
  /** Jobs that may be active on one volume at once; times the slots of a node, the node's limit. Null: no limit. */
  jobsPerSlot: z.int().min(1).nullable().default(null),
  /** When a job goes to object storage before it is cold. */
  staging: z
    .object({
      /** A job that is active for longer is copied to object storage while it runs. Null: never for that. */
      maxLocalSeconds: z.int().min(1).nullable(),
    })
    .default({ maxLocalSeconds: null }),
  /** The virus scanner (clamd) that a file passes before it leaves the volume. Null: none. */
  scan: z.object(scanSettingsSchema.shape).nullable().default(null),
  cleanup: z.object({
    schedule: z.string().min(1),
    cronJobs: z.array(name),
    /** A volume of which no sweep has ended for longer is swept too late: for alerts too. Nothing: it isn't known. */
    overdueSeconds: secondsSchema.exactOptional(),
  }),
  antivirus: z.object({ excludePaths: z.array(z.string()) }),
  /** Where a worker's `serveMetrics` answers Prometheus. Null or nothing: the stack has no monitoring. */
  metrics: z
    .object({ port: z.int().min(1).max(65_535) })
    .nullable()
    .exactOptional(),
});

/** What the stack promises to workers, version 1: its outputs and the ConfigMap say the same. */
export type StackContract = z.infer<typeof stackContractSchema>;

/** A contract that can't be relied on: all that is wrong with it. */
export class InvalidContractError extends Error {
  override readonly name = "InvalidContractError";
}

/** Reads a contract of version 1. Throws {@link InvalidContractError} with all problems at once. */
export function parseStackContract(value: unknown): StackContract {
  return readDocument(value, {
    schema: stackContractSchema,
    name: "the stack's contract",
    verb: "is",
    versionField: "contractVersion",
    Invalid: InvalidContractError,
  });
}
