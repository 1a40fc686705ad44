import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { formatSize } from "@video-storage/contract/sizes";

import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";

/** A filesystem that node preparation has made and mounted, and the claim it is kept for. */
export interface LocalVolume {
  /** Name of the PersistentVolume; cluster-wide, so it should begin with the namespace. */
  readonly name: string;
  /** The node's `kubernetes.io/hostname`. */
  readonly node: string;
  /** Mount point on the node. */
  readonly path: string;
  readonly bytes: bigint;
  /** The one claim that may bind it. */
  readonly claim: { readonly namespace: string; readonly name: string };
}

export interface LocalSsdStorageArgs {
  readonly environment: string;
  /** Name of the StorageClass; cluster-wide. */
  readonly className: string;
  readonly volumes: readonly LocalVolume[];
}

/**
 * A StorageClass for local SSD and one PersistentVolume for every slot, bound in advance to the claim that
 * owns it: the scheduler follows the volume, so a pod that uses the claim runs where its disk is.
 *
 * The volumes are directories that node preparation mounts, noexec, nodev and nosuid, from a filesystem of
 * fixed size each: Kubernetes applies no mountOptions to a `local` volume that is mounted already, and
 * enforces no capacity on it. The size is therefore hard only because the filesystem is.
 */
export class LocalSsdStorage extends pulumi.ComponentResource {
  readonly className: pulumi.Output<string>;

  constructor(name: string, args: LocalSsdStorageArgs, opts: pulumi.ComponentResourceOptions = {}) {
    // Inputs stay out of state (pulumi-kubernetes#3894).
    super("video-storage:kubernetes:LocalSsdStorage", name, {}, opts);

    const storageClass = new k8s.storage.v1.StorageClass(
      `${name}-class`,
      buildStorageClass(args),
      childOptions(this, opts, {
        // Immutable in the API, but not in the provider's list of such fields, so it would try an update
        // (pulumi-kubernetes, provider/pkg/clients/diff.go). The name is fixed, so the old one goes first.
        replaceOnChanges: ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
        deleteBeforeReplace: true,
      }),
    );
    for (const volume of args.volumes) {
      new k8s.core.v1.PersistentVolume(
        `${name}-${volume.name}`,
        buildVolume(args, volume),
        childOptions(this, opts, {
          dependsOn: storageClass,
          // A volume's place is immutable too; this way the plan says so instead of the API, half-way.
          replaceOnChanges: ["spec.local", "spec.nodeAffinity"],
          deleteBeforeReplace: true,
        }),
      );
    }

    this.className = storageClass.metadata.name;
    this.registerOutputs({ className: this.className });
  }
}

export function buildStorageClass(args: LocalSsdStorageArgs) {
  return {
    metadata: { name: args.className, labels: labels(args.environment, "storage") },
    provisioner: "kubernetes.io/no-provisioner",
    volumeBindingMode: "WaitForFirstConsumer",
    // What a claim leaves behind may be somebody's only copy.
    reclaimPolicy: "Retain",
  };
}

export function buildVolume(args: LocalSsdStorageArgs, volume: LocalVolume) {
  return {
    metadata: { name: volume.name, labels: labels(args.environment, "storage") },
    spec: {
      capacity: { storage: formatSize(volume.bytes) },
      volumeMode: "Filesystem",
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Retain",
      storageClassName: args.className,
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", ...volume.claim },
      local: { path: volume.path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [volume.node] }] },
          ],
        },
      },
    },
  };
}
