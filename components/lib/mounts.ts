/** Names of the ConfigMaps that carry the contract and the cleanup job's settings. */
export const CONTRACT_CONFIG_MAP = "video-storage-contract";
export const CLEANUP_CONFIG_MAP = "cleanup-config";

/**
 * Readable by the pod's user without an fsGroup, which would change the owner of every volume of the pod.
 * A secret's volume is visible in its own pod only.
 */
const READABLE_MODE = 0o444;

/** A pod's volume from a Secret; of some keys only, and under other names, where `files` says so. */
export function secretVolume(name: string, secretName: string, files?: Readonly<Record<string, string>>) {
  const items = Object.entries(files ?? {}).map(([key, path]) => ({ key, path }));
  return { name, secret: { secretName, defaultMode: READABLE_MODE, ...(files && { items }) } };
}

/** A pod's volume from a ConfigMap. */
export function configMapVolume(name: string, configMap: string, more: { optional?: true } = {}) {
  return { name, configMap: { name: configMap, defaultMode: READABLE_MODE, ...more } };
}

/** A pod's volume that is a worker's slot, or another claim. */
export function claimVolume(name: string, claimName: string) {
  return { name, persistentVolumeClaim: { claimName } };
}

/** An environment variable with one of the pod's own fields. */
export function fieldVariable(name: string, fieldPath: string) {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
