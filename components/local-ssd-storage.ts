import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { buildLocalVolume } from "@video-storage/node-agent/volume-object";

import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";
import { buildFilesystemOnlyPolicy, buildStorageClass } from "./lib/storage-classes.js";
import type { LocalSsdMode, StorageClassArgs } from "./lib/storage-classes.js";

/** A filesystem that node preparation makes and mounts. */
export interface LocalVolume {
  /** Name of the PersistentVolume; cluster-wide, so it should begin with the namespace. */
  readonly name: string;
  /** The node's `kubernetes.io/hostname`. */
  readonly node: string;
  /** Mount point on the node; its last component is the slot's name in the node agent's settings. */
  readonly path: string;
  /** Size of the filesystem: what a claim is told, and what alerts go by. It limits nothing itself. */
  readonly bytes: bigint;
  /** The one claim that may bind it; null where any claim of the class may. */
  readonly claim: { readonly namespace: string; readonly name: string } | null;
  /**
   * What becomes of the data when the claim is deleted. `wipe`: the node agent wipes it and offers the volume
   * again. `keep`, the default: nobody touches it, and the volume stays released until somebody decides.
   */
  readonly onRelease?: "wipe" | "keep";
}

export type LocalSsdStorageArgs = StorageClassArgs &
  (
    | (Extract<LocalSsdMode, { mode: "static" }> & {
        readonly volumes: readonly LocalVolume[];
        /** Whether the engine refuses to delete a volume, or to replace it by one in another place. Default: no. */
        readonly protectData?: boolean;
      })
    | Exclude<LocalSsdMode, { mode: "static" }>
  );

/**
 * A StorageClass for local SSD and, in mode `static`, one PersistentVolume for every slot: the scheduler follows
 * the volume, so a pod that uses the claim runs where its disk is. In the other modes volumes are made as they
 * are needed, by the node agent (`cloud-instance-store`) or by a CSI driver that the cluster has to have.
 *
 * A `local` volume's size is hard only because the filesystem under it is of that size: see NodePreparation.
 */
export class LocalSsdStorage extends pulumi.ComponentResource {
  /** Name of the StorageClass, once it is there. */
  readonly className: pulumi.Output<string>;
  /** The class itself, for `dependsOn` of what uses it. */
  readonly storageClass: k8s.storage.v1.StorageClass;
  /** The declared volumes by their names. */
  readonly volumes: ReadonlyMap<string, k8s.core.v1.PersistentVolume>;

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
    const declared = (args.mode === "static" ? args.volumes : []).map((volume) => {
      const options = childOptions(this, opts, {
        dependsOn: storageClass,
        protect: args.mode === "static" && (args.protectData ?? false),
        // A volume's place is immutable too; this way the plan says so instead of the API, half-way.
        replaceOnChanges: ["spec.local", "spec.nodeAffinity"],
        deleteBeforeReplace: true,
      });
      const resource = new k8s.core.v1.PersistentVolume(
        `${name}-${volume.name}`,
        buildVolume(args, volume),
        options,
      );
      return [volume.name, resource] as const;
    });
    this.storageClass = storageClass;
    this.volumes = new Map(declared);
    if (args.mode === "topolvm" || args.mode === "openebs-lvm") {
      const { policy, binding } = buildFilesystemOnlyPolicy(args);
      const made = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        `${name}-filesystem-only`,
        policy,
        childOptions(this, opts),
      );
      new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
        `${name}-filesystem-only`,
        binding,
        childOptions(this, opts, { dependsOn: made }),
      );
    }

    this.className = storageClass.metadata.name;
    this.registerOutputs({ className: this.className });
  }
}

/** The PersistentVolume of a declared slot. */
export function buildVolume(args: StorageClassArgs, volume: LocalVolume) {
  return buildLocalVolume({
    ...volume,
    labels: labels(args.environment, "storage"),
    className: args.className,
    onRelease: volume.onRelease ?? "keep",
  });
}
