import type * as pulumi from "@pulumi/pulumi";

import type { AdmissionPoliciesArgs } from "../components/admission-policies.js";
import { objectStorageSecretName } from "../components/artifact-bucket.js";
import type { ArtifactBucketArgs } from "../components/artifact-bucket.js";
import type { CatalogueArgs } from "../components/catalogue.js";
import type { CleanupCronJobArgs } from "../components/cleanup-cron-job.js";
import { catalogueSecretName } from "../components/lib/catalogue-logins.js";
import { OBJECT_STORAGE_PORT } from "../components/lib/minio-workloads.js";
import type { LocalSsdStorage } from "../components/local-ssd-storage.js";
import type { NodeExporterAlertsArgs } from "../components/node-exporter-alerts.js";
import type { TenantIsolationArgs } from "../components/tenant-isolation.js";
import type { WorkerScratchArgs } from "../components/worker-scratch.js";
import type { MinioConfig, StackConfig } from "./config.js";
import { buildCleanupConfig, storageClassName } from "./contract.js";
import { servicesOf } from "./services.js";
import { directoriesOf, objectStorageVolumeName, slotsOfStack } from "./volumes.js";

/** What of the configuration each component gets. */

/** Long enough for an autoscaler to bring the nodes. */
const PLACEMENT_DEADLINE_SECONDS = 1800;

export function isolationArgs(config: StackConfig): TenantIsolationArgs {
  const { environment, namespace, systemNamespace, catalogue, workerEgress } = config;
  const objectStoragePort = config.objectStorage.backend === "minio" ? OBJECT_STORAGE_PORT : null;
  const services = servicesOf(config);
  return { environment, namespace, systemNamespace, catalogue, workerEgress, objectStoragePort, services };
}

export function admissionArgs(config: StackConfig): AdmissionPoliciesArgs {
  const { environment, namespace, systemNamespace } = config;
  const storageClasses = [storageClassName(config)];
  return { environment, prefix: namespace, namespaces: [namespace, systemNamespace], storageClasses };
}

export function scratchArgs(config: StackConfig): WorkerScratchArgs {
  return {
    environment: config.environment,
    namespace: config.namespace,
    storageClass: storageClassName(config),
    slots: slotsOfStack(config),
    slotBytes: config.slotSize,
    placement: {
      image: config.cleanup.image,
      pools: config.pools,
      deadlineSeconds: PLACEMENT_DEADLINE_SECONDS,
    },
    ...config.isolation,
  };
}

export function minioArgs(config: StackConfig, storage: MinioConfig): ArtifactBucketArgs {
  const { environment, namespace, systemNamespace, tenants, credentialRotation, protectData } = config;
  const { bucket, region, image, clientImage } = storage;
  return {
    ...{ environment, namespace, systemNamespace, tenants, credentialRotation, protectData },
    ...{ bucket, region, image, clientImage },
    storageClass: storageClassName(config),
    volume: objectStorageVolumeName(config),
    volumeBytes: storage.volumeSize,
  };
}

/** The declared volume that the objects lie on, where there is one. */
export function volumesOfBucket(config: StackConfig, { volumes }: LocalSsdStorage): pulumi.Resource[] {
  const volume = volumes.get(objectStorageVolumeName(config));
  return volume ? [volume] : [];
}

export function catalogueArgs(config: StackConfig, adminUrl: pulumi.Output<string>): CatalogueArgs {
  const { environment, namespace, systemNamespace, tenants, credentialRotation } = config;
  const { migrationsImage } = config.cleanup;
  const { tls, ca } = config.catalogue;
  return {
    ...{ environment, namespace, systemNamespace, tenants, credentialRotation },
    ...{ migrationsImage, adminUrl, tls, ca },
  };
}

export function sweepArgs(config: StackConfig): CleanupCronJobArgs {
  const { cleanup } = config;
  const settings = buildCleanupConfig(config);
  const secret = settings.objectStorage?.credentials === "secret";
  return {
    environment: config.environment,
    namespace: config.namespace,
    slots: slotsOfStack(config),
    image: cleanup.image,
    schedule: cleanup.schedule,
    timeZone: cleanup.timeZone,
    activeDeadlineSeconds: cleanup.activeDeadline,
    startingDeadlineSeconds: cleanup.startingDeadline,
    checkPods: cleanup.checkPods,
    catalogueSecret: catalogueSecretName("cleanup"),
    catalogueCa: config.catalogue.ca,
    objectStorageSecret: secret ? objectStorageSecretName("cleanup") : null,
    ...config.isolation,
    config: settings,
  };
}

export function alertsArgs(config: StackConfig): NodeExporterAlertsArgs {
  const { environment, systemNamespace } = config;
  return { environment, namespace: systemNamespace, directories: directoriesOf(config) };
}
