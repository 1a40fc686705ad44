import { OBJECT_STORAGE_CLAIM } from "../components/artifact-bucket.js";
import type { Slot } from "../components/lib/slots.js";
import type { LocalVolume } from "../components/local-ssd-storage.js";
import { slotVolumeName } from "../components/worker-scratch.js";
import type { StackConfig } from "./config.js";

/** Name of the PersistentVolume behind the object storage. PersistentVolumes have no namespace, so it is in the name. */
export function objectStorageVolumeName(config: StackConfig): string {
  return `${config.systemNamespace}-object-storage`;
}

/** Every local volume of the stack: a slot for each worker, and the object storage's where it is in the cluster. */
export function localVolumes(config: StackConfig, slots: readonly Slot[]): LocalVolume[] {
  const { namespace, systemNamespace, slotSize, objectStorage } = config;
  const workers = slots.map((slot) => ({
    name: slotVolumeName(namespace, slot),
    node: slot.node,
    path: slot.path,
    bytes: slotSize,
    claim: { namespace, name: slot.claim },
  }));
  if (objectStorage.backend === "none") return workers;
  const objects = {
    name: objectStorageVolumeName(config),
    node: objectStorage.node,
    path: objectStorage.path,
    bytes: objectStorage.volumeSize,
    claim: { namespace: systemNamespace, name: OBJECT_STORAGE_CLAIM },
  };
  return [...workers, objects];
}
