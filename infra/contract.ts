import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { longestCronGap } from "@video-storage/contract/cron-schedule";
import {
  JOBS_ROOT,
  LOGS_DIRECTORY,
  METADATA_FILE,
  PREPARED_DIRECTORY,
  SOURCE_FILE,
} from "@video-storage/contract/layout";
import { CATALOGUE_CA_FILE } from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import {
  objectStorageIdentities,
  objectStorageSettings as settingsOf,
  workerAccessKey,
} from "../components/artifact-bucket.js";
import { longestBetweenEnds } from "../components/lib/alerts/sweep-timing.js";
import type { SweepTiming } from "../components/lib/alerts/sweep-timing.js";
import { catalogueSecretName, workerLoginOwner } from "../components/lib/catalogue-logins.js";
import { cleanupCronJobName } from "../components/lib/cleanup-cron-jobs.js";
import { pushgatewayUrl } from "../components/lib/monitoring-workloads.js";
import { UPLOAD_GROUP } from "../components/lib/security-context.js";
import type { StackConfig } from "./config.js";
import { artifactBucketArgs } from "./object-storage.js";
import { directoriesOf, slotsOfStack, storageClassName } from "./volumes.js";

/** What the stack promises to workers; the outputs and the ConfigMap are both made from it. */
export function buildContract(config: StackConfig): StackContract {
  const slots = slotsOfStack(config);
  const objectStorage = objectStorageSettings(config);
  const bucket = artifactBucketArgs(config);
  const identities = bucket ? objectStorageIdentities(bucket) : [];
  const identityOf = (role: string) => identities.find((identity) => identity.role === role);
  const objectStorageSecret = (role: string) => identityOf(role)?.secret ?? null;
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
    slotsPerNode: slotsPerNode(config),
    slots: slots.map(({ name, node, pool, group, claim, runAsUser }) => ({
      name,
      node,
      claim,
      runAsUser,
      capacityBytes: Number(config.slotSize),
      tenant: config.isolation.slotTenants[name] ?? null,
      placement: pool === null ? null : { pool, group },
      subPath: pool === null ? null : PREPARED_DIRECTORY,
    })),
    tenants: config.tenants.map((id) => ({
      id,
      catalogueSecret: catalogueSecretName(workerLoginOwner(id)),
      objectStorageSecret: objectStorageSecret(workerAccessKey(id)),
      // Where no key tells tenants apart, the ServiceAccount does.
      ...(objectStorage?.credentials === "ambient" && {
        serviceAccount: identityOf(workerAccessKey(id))!.serviceAccount.name,
      }),
    })),
    uploader: {
      serviceAccount: "uploader",
      catalogueSecret: catalogueSecretName("uploader"),
      objectStorageSecret: objectStorageSecret("uploader"),
    },
    worker: { serviceAccount: "worker" },
    userNamespaces: config.isolation.userNamespaces,
    tolerations: [...config.isolation.tolerations],
    catalogue: catalogueAddress(config),
    objectStorage,
    retention: retentionSeconds(config),
    heartbeatSeconds: config.heartbeat,
    heartbeatTimeoutSeconds: config.heartbeatTimeout,
    reserveBytes: Number(config.reserve),
    jobsPerSlot: config.jobsPerSlot,
    staging: { maxLocalSeconds: objectStorage && config.staging.maxLocal },
    scan: scanSettings(config),
    cleanup: {
      schedule: config.cleanup.schedule,
      cronJobs: [...new Set(slots.map((slot) => cleanupCronJobName(slot.group)))],
      overdueSeconds: longestBetweenEnds(sweepTiming(config)),
    },
    // A scanner that opens a job's files delays its writes and its deletion; the volumes are noexec anyway.
    antivirus: { excludePaths: [JOBS_ROOT, ...directoriesOf(config)] },
    ...(config.monitoring && { metrics: { port: config.monitoring.workerPort } }),
  };
}

/** When sweeps come. */
export function sweepTiming({ cleanup }: StackConfig): SweepTiming {
  return {
    periodSeconds: longestCronGap(cleanup.schedule)!,
    startingDeadlineSeconds: cleanup.startingDeadline,
    activeDeadlineSeconds: cleanup.activeDeadline,
  };
}

/** The most slots that any node has. */
function slotsPerNode({ nodes, pools }: StackConfig): number {
  return Math.max(...nodes.map((node) => node.slots), ...pools.map((pool) => pool.slotsPerNode));
}

/** What the sweep is told. */
export function buildCleanupConfig(config: StackConfig): CleanupConfig {
  return {
    version: 1,
    retention: retentionSeconds(config),
    heartbeatTimeoutSeconds: config.heartbeatTimeout,
    namespace: config.namespace,
    catalogue: catalogueAddress(config),
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
    ...(config.monitoring && {
      metrics: {
        pushgateway: config.monitoring.pushgatewayUrl ?? pushgatewayUrl(config.systemNamespace),
        environment: config.environment,
      },
    }),
  };
}

function catalogueAddress({ catalogue }: StackConfig): StackContract["catalogue"] {
  const { host, port, database, tls, ca } = catalogue;
  return { host, port, database, tls, ...(ca !== null && { caFile: CATALOGUE_CA_FILE }) };
}

function scanSettings({ scan }: StackConfig): StackContract["scan"] {
  if (!scan) return null;
  const { host, port, maxSize, timeout, whenUndecided } = scan;
  return { host, port, maxBytes: Number(maxSize), timeoutSeconds: timeout, whenUndecided };
}

function objectStorageSettings(config: StackConfig): StackContract["objectStorage"] {
  const bucket = artifactBucketArgs(config);
  return bucket && settingsOf(bucket);
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
