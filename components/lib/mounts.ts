/** Names of the ConfigMaps that carry the contract and the cleanup job's settings. */
export const CONTRACT_CONFIG_MAP = "video-storage-contract";
export const CLEANUP_CONFIG_MAP = "cleanup-config";

/**
 * Readable by the pod's user without an fsGroup, which would change the owner of every volume of the pod.
 * A secret's volume is visible in its own pod only.
 */
const READABLE_MODE = 0o444;

/** A pod's volume from a Secret. */
export function secretVolume(name: string, secretName: string) {
  return { name, secret: { secretName, defaultMode: READABLE_MODE } };
}

/** A pod's volume from a ConfigMap. */
export function configMapVolume(name: string, configMap: string) {
  return { name, configMap: { name: configMap, defaultMode: READABLE_MODE } };
}

/** A pod's volume that is a worker's slot, or another claim. */
export function claimVolume(name: string, claimName: string) {
  return { name, persistentVolumeClaim: { claimName } };
}

/** An environment variable with one of the pod's own fields. */
export function fieldVariable(name: string, fieldPath: string) {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
