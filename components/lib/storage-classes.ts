import { SLOT_MOUNT_OPTIONS } from "@video-storage/contract/slot-filesystem";

import { labels } from "./labels.js";

export type Filesystem = "ext4" | "xfs";

/** How volumes of the class come to be. */
export type LocalSsdMode =
  /** Declared PersistentVolumes on slots that the node agent, or somebody else, has made and mounted. */
  | { readonly mode: "static" }
  /** PersistentVolumes that the node agent makes on every node of a pool. */
  | { readonly mode: "cloud-instance-store" }
  /** TopoLVM's CSI driver, which has to be in the cluster. */
  | { readonly mode: "topolvm"; readonly deviceClass: string; readonly filesystem: Filesystem }
  /** OpenEBS LVM LocalPV, which has to be in the cluster. */
  | { readonly mode: "openebs-lvm"; readonly volumeGroup: string; readonly filesystem: Filesystem };

export interface StorageClassArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Name of the StorageClass; cluster-wide. */
  readonly className: string;
}

/**
 * The StorageClass of a mode. All of them wait for the first consumer, because the disk is where the pod has to be,
 * and none is the cluster's default.
 */
export function buildStorageClass(args: StorageClassArgs & LocalSsdMode) {
  return {
    metadata: { name: args.className, labels: labels(args.environment, "storage") },
    volumeBindingMode: "WaitForFirstConsumer",
    ...driver(args),
  };
}

function driver(args: LocalSsdMode) {
  switch (args.mode) {
    case "static":
    case "cloud-instance-store":
      return {
        provisioner: "kubernetes.io/no-provisioner",
        // Nobody but the node agent empties a volume; the class's mountOptions would reach no volume either, as
        // only a provisioner copies them: see buildLocalVolume.
        reclaimPolicy: "Retain",
        allowVolumeExpansion: false,
      };
    case "topolvm":
      return {
        provisioner: "topolvm.io",
        parameters: {
          "csi.storage.k8s.io/fstype": args.filesystem,
          "topolvm.io/device-class": args.deviceClass,
        },
        ...logicalVolumes(),
      };
    case "openebs-lvm":
      return {
        provisioner: "local.csi.openebs.io",
        parameters: {
          storage: "lvm",
          volgroup: args.volumeGroup,
          fsType: args.filesystem,
          // A thin pool hands out more than there is.
          thinProvision: "no",
          // Without it the driver lets one pod mount a volume, and the cleanup job never gets at it.
          shared: "yes",
        },
        ...logicalVolumes(),
      };
  }
}

function logicalVolumes() {
  return {
    mountOptions: [...SLOT_MOUNT_OPTIONS],
    // A retained logical volume would keep its place in the group until somebody removed it by hand.
    reclaimPolicy: "Delete",
    allowVolumeExpansion: true,
  };
}

/**
 * Refuses claims of the class on a raw block device. A logical volume is made of blocks that others have used:
 * a filesystem never shows what it didn't write there, a raw device does.
 */
export function buildFilesystemOnlyPolicy({ environment, className }: StorageClassArgs) {
  const name = `${className}-filesystem-only`;
  return {
    policy: {
      metadata: { name, labels: labels(environment, "storage") },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: [""],
              apiVersions: ["v1"],
              operations: ["CREATE"],
              resources: ["persistentvolumeclaims"],
            },
          ],
        },
        validations: [
          {
            expression: `!has(object.spec.storageClassName) || object.spec.storageClassName != '${className}' || !has(object.spec.volumeMode) || object.spec.volumeMode == 'Filesystem'`,
            message: `claims of class ${className} have to be of volumeMode Filesystem: a raw device would show what its blocks held before`,
          },
        ],
      },
    },
    binding: {
      metadata: { name, labels: labels(environment, "storage") },
      spec: { policyName: name, validationActions: ["Deny"] },
    },
  };
}
