import { AdmissionPolicies } from "../components/admission-policies.js";
import { ArtifactBucket } from "../components/artifact-bucket.js";
import { Catalogue } from "../components/catalogue.js";
import { CleanupCronJob } from "../components/cleanup-cron-job.js";
import { Contract } from "../components/contract.js";
import { GrafanaDashboard } from "../components/grafana-dashboard.js";
import { LocalSsdStorage } from "../components/local-ssd-storage.js";
import { Monitoring } from "../components/monitoring.js";
import { NodeExporterAlerts } from "../components/node-exporter-alerts.js";
import { NodePreparation } from "../components/node-preparation.js";
import { TenantIsolation } from "../components/tenant-isolation.js";
import { WorkerScratch } from "../components/worker-scratch.js";
import * as args from "./component-args.js";
import { buildContract } from "./contract.js";
import { artifactBucketArgs } from "./object-storage.js";
import { refuseImpossibleChanges } from "./previous-deployment.js";
import { declareProviders } from "./providers.js";
import { readSettings } from "./pulumi-config.js";
import { localSsdStorageArgs, nodePreparationArgs } from "./storage.js";

const settings = readSettings();
const { config } = settings;
export const contract = buildContract(config);
await refuseImpossibleChanges(contract);

const providers = declareProviders(settings);
const isolation = new TenantIsolation("isolation", args.isolationArgs(config), { providers });
const inNamespaces = { providers, dependsOn: [isolation] };

if (config.admissionPolicies) {
  new AdmissionPolicies("admission", args.admissionArgs(config), inNamespaces);
}

const localSsd = new LocalSsdStorage("local-ssd", localSsdStorageArgs(config), { providers });
const preparation = nodePreparationArgs(config);
// After the class, which the volumes that agents make are of.
const prepared = preparation
  ? [new NodePreparation("nodes", preparation, { providers, dependsOn: [localSsd.storageClass] })]
  : [];
const onLocalSsd = { providers, dependsOn: [isolation, localSsd.storageClass, ...prepared] };
const scratch = new WorkerScratch(
  "scratch",
  { ...args.scratchArgs(config), volumes: localSsd.volumes },
  onLocalSsd,
);

const ofBucket = {
  providers,
  dependsOn: [...onLocalSsd.dependsOn, ...args.volumesOfBucket(config, localSsd)],
};
const bucketArgs = artifactBucketArgs(config, settings.objectStorageKey);
const buckets = bucketArgs ? [new ArtifactBucket("artifacts", bucketArgs, ofBucket)] : [];
/** What the probe found out about the bucket's endpoint; null without object storage, or without an engine. */
export const objectStorageCapabilities = buckets[0]?.capabilities ?? null;
const catalogueOfJobs = new Catalogue(
  "catalogue",
  args.catalogueArgs(config, settings.catalogueAdminUrl),
  inNamespaces,
);
const ready = [isolation, catalogueOfJobs, ...buckets];

const sweep = new CleanupCronJob(
  "cleanup",
  { ...args.sweepArgs(config), after: scratch.ofGroup },
  { providers, dependsOn: ready },
);
new NodeExporterAlerts("alerts", args.alertsArgs(config), inNamespaces);
const monitoring = args.monitoringArgs(config);
if (monitoring) {
  new Monitoring("monitoring", monitoring, { providers, dependsOn: [isolation, catalogueOfJobs] });
}
const dashboard = args.dashboardArgs(config);
if (dashboard) new GrafanaDashboard("dashboard", dashboard, inNamespaces);
new Contract(
  "contract",
  { contract, catalogueCa: config.catalogue.ca },
  { providers, dependsOn: [...ready, scratch, sweep] },
);

// The same field by field, for `pulumi stack output NAME`.
export const {
  contractVersion,
  environment,
  namespace,
  storageClass,
  slots,
  tenants,
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
  metrics,
} = contract;
