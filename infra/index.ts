import * as k8s from "@pulumi/kubernetes";
import * as random from "@pulumi/random";

import { AdmissionPolicies } from "../components/admission-policies.js";
import { ArtifactBucket, objectStorageSecretName } from "../components/artifact-bucket.js";
import { Catalogue } from "../components/catalogue.js";
import { CleanupCronJob } from "../components/cleanup-cron-job.js";
import { Contract } from "../components/contract.js";
import { catalogueSecretName } from "../components/lib/catalogue-logins.js";
import { OBJECT_STORAGE_PORT } from "../components/lib/minio-workloads.js";
import { LocalSsdStorage } from "../components/local-ssd-storage.js";
import { NodeExporterAlerts } from "../components/node-exporter-alerts.js";
import { NodePreparation } from "../components/node-preparation.js";
import { TenantIsolation } from "../components/tenant-isolation.js";
import { WorkerScratch } from "../components/worker-scratch.js";
import { buildCleanupConfig, buildContract, storageClassName } from "./contract.js";
import { readSettings } from "./pulumi-config.js";
import { servicesOf } from "./services.js";
import { localSsdStorageArgs, nodePreparationArgs } from "./storage.js";
import { directoriesOf, objectStorageVolumeName, slotsOfStack } from "./volumes.js";

const { config, kubeconfig, catalogueAdminUrl } = readSettings();
const {
  environment,
  namespace,
  systemNamespace,
  tenants,
  credentialRotation,
  objectStorage: storage,
} = config;
const slots = slotsOfStack(config);
/** Long enough for an autoscaler to bring the nodes. */
const PLACEMENT_DEADLINE_SECONDS = 1800;
const storageClass = storageClassName(config);
const { userNamespaces: ownUsers, tolerations: ofStorageNodes } = config.isolation;
const isolatedPods = { userNamespaces: ownUsers, tolerations: ofStorageNodes };

// Providers by name, so that no cluster is ever taken from the shell's surroundings.
const cluster = new k8s.Provider("cluster", {
  kubeconfig,
  context: config.context,
  // A renewed kubeconfig is the same cluster; without this every resource would be replaced.
  clusterIdentifier: config.context,
  // Changed where they are: a pod that starts between a deletion and a creation would find nothing.
  enableConfigMapMutable: true,
  enableSecretMutable: true,
});
const providers = [cluster, new random.Provider("random")];

const isolation = new TenantIsolation(
  "isolation",
  {
    environment,
    namespace,
    systemNamespace,
    catalogue: config.catalogue,
    workerEgress: config.workerEgress,
    objectStoragePort: storage.backend === "minio" ? OBJECT_STORAGE_PORT : null,
    services: servicesOf(config),
  },
  { providers },
);
const inNamespaces = { providers, dependsOn: [isolation] };

if (config.admissionPolicies) {
  new AdmissionPolicies(
    "admission",
    {
      environment,
      prefix: namespace,
      namespaces: [namespace, systemNamespace],
      storageClasses: [storageClass],
    },
    inNamespaces,
  );
}

const localSsd = new LocalSsdStorage("local-ssd", localSsdStorageArgs(config, slots), { providers });
// After the class, which the volumes that agents make are of.
const nodePreparation = nodePreparationArgs(config);
const prepared = nodePreparation
  ? [new NodePreparation("nodes", nodePreparation, { providers, dependsOn: [localSsd] })]
  : [];
const onLocalSsd = { providers, dependsOn: [isolation, localSsd, ...prepared] };

const scratch = new WorkerScratch(
  "scratch",
  {
    ...{ environment, namespace, storageClass, slots, slotBytes: config.slotSize },
    placement: {
      image: config.cleanup.image,
      pools: config.pools,
      deadlineSeconds: PLACEMENT_DEADLINE_SECONDS,
    },
    ...isolatedPods,
  },
  onLocalSsd,
);

const bucket =
  storage.backend === "minio"
    ? new ArtifactBucket(
        "artifacts",
        {
          environment,
          namespace,
          systemNamespace,
          tenants,
          bucket: storage.bucket,
          region: storage.region,
          image: storage.image,
          clientImage: storage.clientImage,
          storageClass,
          volume: objectStorageVolumeName(config),
          volumeBytes: storage.volumeSize,
          credentialRotation,
          protectData: config.protectData,
        },
        onLocalSsd,
      )
    : undefined;

const catalogueStorage = new Catalogue(
  "catalogue",
  {
    environment,
    namespace,
    systemNamespace,
    tenants,
    migrationsImage: config.cleanup.migrationsImage,
    adminUrl: catalogueAdminUrl,
    credentialRotation,
  },
  inNamespaces,
);
const ready = [isolation, scratch, catalogueStorage, ...(bucket ? [bucket] : [])];

const sweep = new CleanupCronJob(
  "cleanup",
  {
    environment,
    namespace,
    slots,
    image: config.cleanup.image,
    schedule: config.cleanup.schedule,
    timeZone: config.cleanup.timeZone,
    activeDeadlineSeconds: config.cleanup.activeDeadline,
    startingDeadlineSeconds: config.cleanup.startingDeadline,
    checkPods: config.cleanup.checkPods,
    catalogueSecret: catalogueSecretName("cleanup"),
    objectStorageSecret: bucket ? objectStorageSecretName("cleanup") : null,
    ...isolatedPods,
    config: buildCleanupConfig(config),
  },
  { providers, dependsOn: ready },
);

new NodeExporterAlerts(
  "alerts",
  { environment, namespace: systemNamespace, directories: directoriesOf(config) },
  inNamespaces,
);

export const contract = buildContract(config);
new Contract("contract", { contract }, { providers, dependsOn: [...ready, sweep] });

// The same field by field, for `pulumi stack output NAME`.
export const {
  contractVersion,
  layout,
  uploadGroup,
  slotsPerNode,
  uploader,
  worker,
  userNamespaces,
  tolerations,
  catalogue,
  objectStorage,
  retention,
  heartbeatSeconds,
  heartbeatTimeoutSeconds,
  reserveBytes,
  jobsPerSlot,
  staging,
  scan,
  cleanup,
  antivirus,
} = contract;
export { environment, namespace, storageClass };
const { slots: contractSlots, tenants: contractTenants } = contract;
export { contractSlots as slots, contractTenants as tenants };
