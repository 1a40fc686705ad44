import { basename, posix } from "node:path";

import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import { EXPORTER_PORT } from "@video-storage/contract/metrics";
import {
  CATALOGUE_CA_FILE,
  CATALOGUE_CREDENTIALS_DIRECTORY,
  CONTRACT_FILE,
} from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { SKIP_AWAIT } from "./annotations.js";
import { catalogueSecretName } from "./catalogue-logins.js";
import { labels, METRICS_LABEL, selectorLabels } from "./labels.js";
import type { Role } from "./labels.js";
import { configMapVolume, secretVolume } from "./mounts.js";
import { contentHash } from "./names.js";
import { containerSecurity, MONITORING_USER, podSecurity } from "./security-context.js";

/** Name of the Service and the Deployment. */
export const PUSHGATEWAY = "pushgateway";
export const PUSHGATEWAY_PORT = 9091;
export const EXPORTER = "exporter";
/** Name of the Service that has no address of its own and leads to every worker that serves metrics. */
export const WORKER_METRICS = "worker-metrics";

/**
 * By default each push is checked against all that was ever pushed, which at a thousand volumes takes a processor a
 * second; then pushes wait for each other until they give up. All of ours are of one program, and of different groups.
 */
export const PUSHGATEWAY_FLAGS = ["--push.disable-consistency-check"] as const;

const EXPORTER_CONFIG_MAP = "exporter-config";
const KEPT_PUSHES = "/data";

export interface MonitoringWorkloadArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Namespace of the workers. */
  readonly namespace: string;
  /** Namespace of the exporter and the Pushgateway. */
  readonly systemNamespace: string;
  /** Image of the monitor, by digest. */
  readonly image: string;
  /** Image of the Pushgateway, by digest; null where another one is used. */
  readonly pushgatewayImage: string | null;
  /** The stack's contract: where the catalogue is, and which slots there are. */
  readonly contract: StackContract;
  /** What the sweep is told: the exporter takes from it how long jobs are kept. */
  readonly cleanupConfig: CleanupConfig;
  /** PEM of the authorities at the contract's catalogue.caFile; null where it has none. */
  readonly catalogueCa: string | null;
  /** Where workers answer scrapes. */
  readonly workerPort: number;
}

/** The URL inside the cluster. */
export function pushgatewayUrl(systemNamespace: string): string {
  return `http://${PUSHGATEWAY}.${systemNamespace}.svc:${PUSHGATEWAY_PORT}`;
}

/** What a Prometheus that discovers by annotations looks for; one with the operator has ServiceMonitors instead. */
function scrapeAnnotations(port: number): Record<string, string> {
  return {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": String(port),
    "prometheus.io/path": "/metrics",
  };
}

function service<Spec extends { readonly selector: Record<string, string> }>(
  args: MonitoringWorkloadArgs,
  role: Role,
  { name, namespace, port, spec }: { name: string; namespace: string; port: number; spec: Spec },
) {
  return {
    metadata: {
      name,
      namespace,
      labels: { ...labels(args.environment, role), [METRICS_LABEL]: "true" },
      // The engine waits for a Service until it has endpoints, and these may have none yet.
      annotations: { ...SKIP_AWAIT, ...scrapeAnnotations(port) },
    },
    spec: { ...spec, ports: [{ name: "metrics", port, targetPort: port, protocol: "TCP" }] },
  };
}

export function buildPushgatewayService(args: MonitoringWorkloadArgs) {
  return service(args, "pushgateway", {
    name: PUSHGATEWAY,
    namespace: args.systemNamespace,
    port: PUSHGATEWAY_PORT,
    spec: { selector: selectorLabels(args.environment, "pushgateway") },
  });
}

export function buildExporterService(args: MonitoringWorkloadArgs) {
  return service(args, "exporter", {
    name: EXPORTER,
    namespace: args.systemNamespace,
    port: EXPORTER_PORT,
    spec: { selector: selectorLabels(args.environment, "exporter") },
  });
}

/** Nobody calls it: it is how Prometheus finds the workers that serve metrics. */
export function buildWorkerMetricsService(args: MonitoringWorkloadArgs) {
  return service(args, "worker", {
    name: WORKER_METRICS,
    namespace: args.namespace,
    port: args.workerPort,
    spec: {
      clusterIP: "None",
      // A worker is scraped from its start to its end.
      publishNotReadyAddresses: true,
      selector: { "app.kubernetes.io/instance": args.environment, [METRICS_LABEL]: "true" },
    },
  });
}

/**
 * One, because a volume's last sweep must be in one place, and the old one gone before the new one comes. What was
 * pushed survives its container, and a new pod has it all again after each volume's next sweep.
 */
export function buildPushgateway(args: MonitoringWorkloadArgs, image: string) {
  const port = { name: "metrics", containerPort: PUSHGATEWAY_PORT, protocol: "TCP" };
  return deployment(args, "pushgateway", {
    name: PUSHGATEWAY,
    strategy: { type: "Recreate" },
    container: {
      name: PUSHGATEWAY,
      image,
      imagePullPolicy: "IfNotPresent",
      args: [
        `--web.listen-address=:${PUSHGATEWAY_PORT}`,
        `--persistence.file=${KEPT_PUSHES}/metrics`,
        "--persistence.interval=1m",
        ...PUSHGATEWAY_FLAGS,
      ],
      ports: [port],
      readinessProbe: { httpGet: { path: "/-/ready", port: PUSHGATEWAY_PORT }, periodSeconds: 2 },
      livenessProbe: { httpGet: { path: "/-/healthy", port: PUSHGATEWAY_PORT }, periodSeconds: 20 },
      // A thousand volumes with forty tenants each are some 100 000 series.
      resources: {
        requests: { cpu: "10m", memory: "32Mi", "ephemeral-storage": "16Mi" },
        limits: { memory: "512Mi", "ephemeral-storage": "128Mi" },
      },
      volumeMounts: [{ name: "data", mountPath: KEPT_PUSHES }],
    },
    volumes: [{ name: "data", emptyDir: { sizeLimit: "96Mi" } }],
    fsGroup: MONITORING_USER,
  });
}

/** The exporter's documents. It reads them anew at each scrape, so that a changed time needs no new pod. */
export function buildExporterConfigMap(args: MonitoringWorkloadArgs) {
  const document = (value: unknown): string => `${JSON.stringify(value)}\n`;
  return {
    metadata: {
      name: EXPORTER_CONFIG_MAP,
      namespace: args.systemNamespace,
      labels: labels(args.environment, "exporter"),
    },
    data: {
      [basename(CONTRACT_FILE)]: document(args.contract),
      [basename(CLEANUP_CONFIG_FILE)]: document(args.cleanupConfig),
      ...(args.catalogueCa !== null && { [basename(CATALOGUE_CA_FILE)]: args.catalogueCa }),
    },
  };
}

export function buildExporter(args: MonitoringWorkloadArgs) {
  const { contract, catalogueCa } = args;
  const port = { name: "metrics", containerPort: EXPORTER_PORT, protocol: "TCP" };
  return deployment(args, "exporter", {
    name: EXPORTER,
    // Where the catalogue is it reads once.
    annotations: { "video-storage/catalogue-hash": contentHash([contract.catalogue, catalogueCa]) },
    container: {
      name: EXPORTER,
      image: args.image,
      imagePullPolicy: "IfNotPresent",
      args: ["exporter", "--port", String(EXPORTER_PORT)],
      terminationMessagePolicy: "FallbackToLogsOnError",
      ports: [port],
      readinessProbe: { httpGet: { path: "/healthz", port: EXPORTER_PORT }, periodSeconds: 2 },
      livenessProbe: { httpGet: { path: "/healthz", port: EXPORTER_PORT }, periodSeconds: 20 },
      resources: {
        requests: { cpu: "10m", memory: "64Mi", "ephemeral-storage": "16Mi" },
        limits: { memory: "256Mi", "ephemeral-storage": "32Mi" },
      },
      volumeMounts: [
        { name: "documents", mountPath: posix.dirname(CONTRACT_FILE), readOnly: true },
        { name: "catalogue", mountPath: CATALOGUE_CREDENTIALS_DIRECTORY, readOnly: true },
      ],
    },
    volumes: [
      configMapVolume("documents", EXPORTER_CONFIG_MAP),
      secretVolume("catalogue", catalogueSecretName("monitor")),
    ],
  });
}

interface Named {
  readonly name: string;
}

interface Workload<Container extends Named, Volume extends Named> {
  readonly name: string;
  readonly strategy?: object;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly container: Container;
  readonly volumes: readonly Volume[];
  readonly fsGroup?: number;
}

function deployment<Container extends Named, Volume extends Named>(
  args: MonitoringWorkloadArgs,
  role: "pushgateway" | "exporter",
  workload: Workload<Container, Volume>,
) {
  const podLabels = labels(args.environment, role);
  const { name, strategy, annotations, container, volumes, fsGroup } = workload;
  return {
    metadata: { name, namespace: args.systemNamespace, labels: podLabels },
    spec: {
      replicas: 1,
      ...(strategy && { strategy }),
      selector: { matchLabels: selectorLabels(args.environment, role) },
      template: {
        metadata: { labels: podLabels, ...(annotations && { annotations }) },
        spec: {
          serviceAccountName: role,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 10,
          securityContext: podSecurity(MONITORING_USER, fsGroup === undefined ? {} : { fsGroup }),
          containers: [{ ...container, securityContext: containerSecurity() }],
          volumes: [...volumes],
        },
      },
    },
  };
}
