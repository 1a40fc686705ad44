import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { JOBS_ROOT, LOGS_DIRECTORY, METADATA_FILE, SOURCE_FILE } from "@video-storage/contract/layout";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { objectStorageSecretName, workerAccessKey } from "../components/artifact-bucket.js";
import { catalogueSecretName, workerLoginOwner } from "../components/lib/catalogue-logins.js";
import { cleanupCronJobName } from "../components/lib/cleanup-cron-jobs.js";
import { minioEndpoint } from "../components/lib/minio-workloads.js";
import { UPLOAD_GROUP } from "../components/lib/security-context.js";
import { slotsOf } from "../components/lib/slots.js";
import type { StackConfig } from "./config.js";

/** Name of the StorageClass. StorageClasses have no namespace, so it is in the name. */
export function storageClassName(config: StackConfig): string {
  return `${config.namespace}-local-ssd`;
}

/** What the stack promises to workers; the outputs and the ConfigMap are both made from it. */
export function buildContract(config: StackConfig): StackContract {
  const slots = slotsOf(config.nodes);
  const hasObjectStorage = config.objectStorage.backend !== "none";
  const objectStorageSecret = (accessKey: string) =>
    hasObjectStorage ? objectStorageSecretName(accessKey) : null;
  return {
    contractVersion: 1,
    environment: config.environment,
    layout: {
      mountPath: JOBS_ROOT,
      sourceFile: SOURCE_FILE,
      metadataFile: METADATA_FILE,
      logsDirectory: LOGS_DIRECTORY,
    },
    namespace: config.namespace,
    storageClass: storageClassName(config),
    uploadGroup: UPLOAD_GROUP,
    slotsPerNode: Math.max(...config.nodes.map((node) => node.slots)),
    slots: slots.map(({ name, node, claim, runAsUser }) => ({
      name,
      node,
      claim,
      runAsUser,
      capacityBytes: Number(config.slotSize),
    })),
    tenants: config.tenants.map((id) => ({
      id,
      catalogueSecret: catalogueSecretName(workerLoginOwner(id)),
      objectStorageSecret: objectStorageSecret(workerAccessKey(id)),
    })),
    uploader: {
      serviceAccount: "uploader",
      catalogueSecret: catalogueSecretName("uploader"),
      objectStorageSecret: objectStorageSecret("uploader"),
    },
    worker: { serviceAccount: "worker" },
    catalogue: config.catalogue,
    objectStorage: objectStorageSettings(config),
    retention: retentionSeconds(config),
    heartbeatSeconds: config.heartbeat,
    heartbeatTimeoutSeconds: config.heartbeatTimeout,
    reserveBytes: Number(config.reserve),
    jobsPerSlot: null,
    staging: { maxLocalSeconds: null },
    scan: null,
    cleanup: {
      schedule: config.cleanup.schedule,
      cronJobs: config.nodes.map((node) => cleanupCronJobName(node.name)),
    },
    // A scanner that opens a job's files delays its writes and its deletion; the volumes are noexec anyway.
    antivirus: { excludePaths: [JOBS_ROOT, ...new Set(config.nodes.map((node) => node.directory))] },
  };
}

/** What the sweep is told. */
export function buildCleanupConfig(config: StackConfig): CleanupConfig {
  return {
    version: 1,
    retention: retentionSeconds(config),
    heartbeatTimeoutSeconds: config.heartbeatTimeout,
    namespace: config.namespace,
    catalogue: config.catalogue,
    objectStorage: objectStorageSettings(config),
    tenantRetention: tenantRetention(config),
    pressure: {
      bytes: {
        highWaterPercent: config.cleanup.highWaterPercent,
        lowWaterPercent: config.cleanup.lowWaterPercent,
      },
      inodes: {
        highWaterPercent: config.cleanup.inodeHighWaterPercent,
        lowWaterPercent: config.cleanup.inodeLowWaterPercent,
      },
      unuploaded: config.cleanup.unuploadedUnderPressure,
      floor: { seconds: config.cleanup.floor.age, bytes: Number(config.cleanup.floor.size) },
      tenantFloors: Object.fromEntries(
        Object.entries(config.cleanup.tenantFloors).map(([tenant, { age, size }]) => [
          tenant,
          { ...(age !== null && { seconds: age }), ...(size !== null && { bytes: Number(size) }) },
        ]),
      ),
    },
    tiering: {
      packBelowBytes: Number(config.cleanup.packBelow),
      concurrency: config.cleanup.uploadConcurrency,
    },
    janitor: {
      periodSeconds: config.cleanup.janitorPeriod,
      unfinishedUploadSeconds: config.cleanup.unfinishedUploads,
      unuploaded: config.cleanup.unuploadedObjects,
      doubtAboveObjects: 100,
      doubtAbovePercent: 20,
    },
    checkPods: config.cleanup.checkPods,
  };
}

function objectStorageSettings(config: StackConfig): StackContract["objectStorage"] {
  const storage = config.objectStorage;
  if (storage.backend === "none") return null;
  return {
    endpoint: minioEndpoint(config.systemNamespace),
    region: storage.region,
    bucket: storage.bucket,
    forcePathStyle: true,
    credentials: "secret",
    caFile: null,
  };
}

function tenantRetention({ retention }: StackConfig): CleanupConfig["tenantRetention"] {
  const { completedActions, ...ranges } = retention.limits;
  const given = <T>(entries: [string, T | null][]): [string, T][] =>
    entries.filter((entry): entry is [string, T] => entry[1] !== null);
  const limits = given(Object.entries(ranges)).map(([name, { minimum, maximum }]) => [
    `${name}Seconds`,
    { minimumSeconds: minimum, maximumSeconds: maximum },
  ]);
  const overrides = Object.entries(retention.tenants).map(([tenant, own]) => [
    tenant,
    Object.fromEntries(
      given<number | string>(Object.entries(own)).map(([name, value]) => [
        typeof value === "string" ? name : `${name}Seconds`,
        value,
      ]),
    ),
  ]);
  return {
    limits: { ...Object.fromEntries(limits), ...(completedActions.length > 0 && { completedActions }) },
    overrides: Object.fromEntries(overrides),
  };
}

function retentionSeconds({ retention }: StackConfig): StackContract["retention"] {
  return {
    uploadedSeconds: retention.uploaded,
    completedSeconds: retention.completed,
    failedSeconds: retention.failed,
    abandonedSeconds: retention.abandoned,
    trashSeconds: retention.trash,
    stagedSeconds: retention.staged,
    orphanedSeconds: retention.orphaned,
    completedAction: retention.completedAction,
  };
}
