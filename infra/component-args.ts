import type * as pulumi from "@pulumi/pulumi";

import { EXPORTER_PORT } from "@video-storage/contract/metrics";

import type { AdmissionPoliciesArgs } from "../components/admission-policies.js";
import {
  objectStorageIdentities,
  objectStorageSecretName,
  probeSettings,
} from "../components/artifact-bucket.js";
import type { CatalogueArgs } from "../components/catalogue.js";
import type { CleanupCronJobArgs } from "../components/cleanup-cron-job.js";
import type { GrafanaDashboardArgs } from "../components/grafana-dashboard.js";
import { catalogueSecretName } from "../components/lib/catalogue-logins.js";
import { PUSHGATEWAY_PORT } from "../components/lib/monitoring-workloads.js";
import type { LocalSsdStorage } from "../components/local-ssd-storage.js";
import type { MonitoringArgs } from "../components/monitoring.js";
import type { NodeExporterAlertsArgs } from "../components/node-exporter-alerts.js";
import type { TenantIsolationArgs } from "../components/tenant-isolation.js";
import type { WorkerScratchArgs } from "../components/worker-scratch.js";
import type { StackConfig } from "./config.js";
import { buildCleanupConfig, buildContract, sweepTiming } from "./contract.js";
import { artifactBucketArgs, objectStorageOpenings } from "./object-storage.js";
import { servicesOf } from "./services.js";
import {
  directoriesOf,
  localVolumes,
  objectStorageVolumeName,
  slotsOfStack,
  storageClassName,
} from "./volumes.js";

/** What of the configuration each component gets. */

/** Long enough for an autoscaler to bring the nodes. */
const PLACEMENT_DEADLINE_SECONDS = 1800;

export function isolationArgs(config: StackConfig): TenantIsolationArgs {
  const { environment, namespace, systemNamespace, catalogue, workerEgress } = config;
  const bucket = artifactBucketArgs(config);
  const identities = (bucket ? objectStorageIdentities(bucket) : [])
    .filter(({ secret, serviceAccount }) => secret === null && serviceAccount.namespace === namespace)
    .map(({ serviceAccount, annotations }) => ({ serviceAccount: serviceAccount.name, annotations }));
  return {
    ...{ environment, namespace, systemNamespace, catalogue, workerEgress, identities },
    ...objectStorageOpenings(config),
    services: servicesOf(config),
    monitoring: config.monitoring && {
      prometheusNamespace: config.monitoring.prometheusNamespace,
      exporterPort: EXPORTER_PORT,
      workerPort: config.monitoring.workerPort,
      pushgatewayPort: config.monitoring.pushgatewayImage === null ? null : PUSHGATEWAY_PORT,
    },
  };
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
    protectData: config.protectData,
    ...config.isolation,
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

/** Null where the stack has no monitoring. */
export function monitoringArgs(config: StackConfig): MonitoringArgs | null {
  const { environment, namespace, systemNamespace, monitoring } = config;
  if (monitoring === null) return null;
  const { image, pushgatewayImage, operator, workerPort } = monitoring;
  return {
    ...{ environment, namespace, systemNamespace, image, pushgatewayImage, operator, workerPort },
    contract: buildContract(config),
    cleanupConfig: buildCleanupConfig(config),
    catalogueCa: config.catalogue.ca,
  };
}

/** The volumes that alerts are about, and how many of them node-exporter has to see. */
function watchedVolumes(config: StackConfig): Pick<NodeExporterAlertsArgs, "source" | "mounts"> {
  const { namespace, storage } = config;
  const directories = directoriesOf(config);
  const slots = slotsOfStack(config);
  switch (storage.mode) {
    case "static": {
      const paths = localVolumes(config, slots).map(({ path }) => path);
      const isOutside = (path: string) => !directories.some((directory) => path.startsWith(`${directory}/`));
      return {
        source: { by: "node-exporter", directories, mountPoints: paths.filter(isOutside) },
        mounts: paths.length,
      };
    }
    case "cloud-instance-store":
      return { source: { by: "node-exporter", directories }, mounts: slots.length };
    default:
      // A storage driver's volumes are mounted below the kubelet's own directory, where node-exporter doesn't look.
      return { source: { by: "kubelet", namespace }, mounts: null };
  }
}

export function alertsArgs(config: StackConfig): NodeExporterAlertsArgs {
  const { environment, systemNamespace, monitoring, cleanup, alerts } = config;
  const bucket = artifactBucketArgs(config);
  const { operator, ...given } = alerts;
  return {
    ...given,
    environment,
    namespace: systemNamespace,
    operator: operator ?? monitoring?.operator ?? false,
    ...watchedVolumes(config),
    timing: sweepTiming(config),
    bytes: { highPercent: cleanup.highWaterPercent, lowPercent: cleanup.lowWaterPercent },
    inodes: { highPercent: cleanup.inodeHighWaterPercent, lowPercent: cleanup.inodeLowWaterPercent },
    trashSeconds: config.retention.trash,
    objectStorage: bucket && {
      required: probeSettings(bucket).required.capabilities,
      janitorPeriodSeconds: cleanup.janitorPeriod,
    },
    exported: monitoring ? ["sweep", "exporter", "worker"] : [],
  };
}

/** Null where the stack has no monitoring, or wants no dashboard. */
export function dashboardArgs(config: StackConfig): GrafanaDashboardArgs | null {
  if (!config.monitoring?.dashboard) return null;
  const { environment, namespace, source, sourceLabels, bytes, inodes } = alertsArgs(config);
  const { nearlyFullPercent } = config.alerts;
  return {
    ...{ environment, namespace, source, bytes, inodes, nearlyFullPercent },
    ...(sourceLabels && { sourceLabels }),
  };
}
