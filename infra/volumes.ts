import { OBJECT_STORAGE_CLAIM } from "../components/artifact-bucket.js";
import { slotsOf, slotsOfPools } from "../components/lib/slots.js";
import type { Slot } from "../components/lib/slots.js";
import type { LocalVolume } from "../components/local-ssd-storage.js";
import { slotVolumeName } from "../components/worker-scratch.js";
import type { StackConfig } from "./config.js";

/** Name of the StorageClass. StorageClasses have no namespace, so it is in the name. */
export function storageClassName(config: StackConfig): string {
  return `${config.namespace}-local-ssd`;
}

/** Name of the PersistentVolume behind the object storage. PersistentVolumes have no namespace, so it is in the name. */
export function objectStorageVolumeName(config: StackConfig): string {
  return `${config.systemNamespace}-object-storage`;
}

/** The slots of the nodes or, where the storage decides on the node, of the pools. */
export function slotsOfStack(config: StackConfig): Slot[] {
  return [...slotsOf(config.nodes), ...slotsOfPools(config.pools)];
}

/** Directories on the nodes below which the slots are mounted. */
export function directoriesOf({ storage, nodes }: StackConfig): string[] {
  if (storage.mode === "cloud-instance-store") return [storage.directory];
  return [...new Set(nodes.map((node) => node.directory))];
}

/** Every declared local volume: a slot for each worker of a declared node, and the object storage's where it lies on one. */
export function localVolumes(config: StackConfig, slots: readonly Slot[]): LocalVolume[] {
  const { namespace, systemNamespace, slotSize, objectStorage } = config;
  const workers = slots.flatMap((slot) =>
    slot.node === null || slot.path === null
      ? []
      : [
          {
            name: slotVolumeName(namespace, slot),
            node: slot.node,
            path: slot.path,
            bytes: slotSize,
            claim: { namespace, name: slot.claim },
            onRelease: "wipe" as const,
          },
        ],
  );
  if (objectStorage.backend !== "minio" || objectStorage.node === null || objectStorage.path === null) {
    return workers;
  }
  const objects = {
    name: objectStorageVolumeName(config),
    node: objectStorage.node,
    path: objectStorage.path,
    bytes: objectStorage.volumeSize,
    claim: { namespace: systemNamespace, name: OBJECT_STORAGE_CLAIM },
    // A bucket is more than scratch: somebody has to decide what becomes of it.
    onRelease: "keep" as const,
  };
  return [...workers, objects];
}
