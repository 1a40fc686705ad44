/** What an object or a pod is there for; pods are selected by it. */
export type Role =
  | "storage"
  | "node-agent"
  | "volume-collector"
  | "isolation"
  | "placement"
  | "worker"
  | "uploader"
  | "cleanup"
  | "object-storage"
  | "object-storage-setup"
  | "object-storage-probe"
  | "catalogue"
  | "catalogue-migrations"
  | "alerts"
  | "dashboard"
  | "pushgateway"
  | "exporter"
  | "contract";

/** The key under which a worker's pod says whose extraction it runs. */
export const TENANT_LABEL = "video-storage/tenant";

/** The key under which a worker's pod says which volume it uses. */
export const VOLUME_LABEL = "video-storage/volume";

/** The key under which a worker's pod says that it serves metrics; its value is "true". */
export const METRICS_LABEL = "video-storage/metrics";

/** The keys under which a pod or a claim says which pool its slot is of, and with which others it is on one node. */
export const POOL_LABEL = "video-storage/pool";
export const GROUP_LABEL = "video-storage/slot-group";

/** The labels that every object of ours carries, so that each has an owner and a purpose. */
export function labels(environment: string, role: Role): Record<string, string> {
  return {
    ...selectorLabels(environment, role),
    "app.kubernetes.io/part-of": "video-storage",
    "app.kubernetes.io/managed-by": "video-storage",
  };
}

/** The part of {@link labels} that selectors use; selectors are immutable, so this never grows. */
export function selectorLabels(environment: string, role: Role): Record<string, string> {
  return {
    "app.kubernetes.io/name": role,
    "app.kubernetes.io/instance": environment,
    "app.kubernetes.io/component": role,
  };
}
