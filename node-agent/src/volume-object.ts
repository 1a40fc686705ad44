import { createHash } from "node:crypto";

import { formatSize } from "@video-storage/contract/sizes";

/** What the PersistentVolumes of local slots, and the nodes that have them, carry; read by the agent. */
export const KEYS = {
  /** Label of a volume: its node's `kubernetes.io/hostname`. The agent looks at its own node's only. */
  node: "video-storage/node",
  /** Label of a volume: the name of its slot on the node. */
  slot: "video-storage/slot",
  /** Label of a volume that an agent made: the pool whose settings it was made by. */
  pool: "video-storage/pool",
  /** Annotation of a volume: `wipe` or `keep`; anything but `wipe` keeps what a claim left behind. */
  onRelease: "video-storage/on-release",
  /** Annotation of a volume that is kept for one claim: `namespace/name`. */
  reservedFor: "video-storage/reserved-for",
  /** Annotation of a volume: id of what is on the medium, which changes whenever it is wiped. */
  content: "video-storage/content",
  /** Annotation of a claim: the user that owns the volume which an agent made, once it is bound. */
  runAsUser: "video-storage/run-as-user",
  /** Annotation of a volume in use whose content is gone. */
  lost: "video-storage/lost",
  /** Annotation of a volume: since when its node is not in the cluster. */
  nodeMissingSince: "video-storage/node-missing-since",
  /** Labels of a node: what was made of it, and how it is encrypted. */
  prepared: "video-storage/prepared",
  slots: "video-storage/slots",
  medium: "video-storage/medium",
  encryption: "video-storage/encryption",
  /** Annotation of a node: what was refused or failed, for people. */
  problems: "video-storage/problems",
} as const;

/** Mount options of the volume's own mount into pods, besides those of the slot beneath it. */
export const VOLUME_MOUNT_OPTIONS = ["noexec", "nodev", "nosuid"] as const;

export interface LocalVolumeObjectArgs {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly className: string;
  /** The node's `kubernetes.io/hostname`. */
  readonly node: string;
  /** Mount point on the node; its last component is the slot's name. */
  readonly path: string;
  readonly bytes: bigint;
  /** The one claim that may bind it; null where any claim of the class may. */
  readonly claim: { readonly namespace: string; readonly name: string } | null;
  readonly onRelease: "wipe" | "keep";
}

/** A PersistentVolume for one slot. It is retained, because the agent and nobody else empties it. */
export function buildLocalVolume(args: LocalVolumeObjectArgs) {
  const { claim } = args;
  return {
    metadata: {
      name: args.name,
      labels: {
        ...args.labels,
        [KEYS.node]: args.node,
        [KEYS.slot]: args.path.slice(args.path.lastIndexOf("/") + 1),
      },
      annotations: {
        [KEYS.onRelease]: args.onRelease,
        // What the volume was kept for can't be told from claimRef once a claim is bound.
        ...(claim && { [KEYS.reservedFor]: `${claim.namespace}/${claim.name}` }),
      },
    },
    spec: {
      capacity: { storage: formatSize(args.bytes) },
      volumeMode: "Filesystem",
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Retain",
      storageClassName: args.className,
      mountOptions: [...VOLUME_MOUNT_OPTIONS],
      ...(claim && { claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", ...claim } }),
      local: { path: args.path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [args.node] }] },
          ],
        },
      },
    },
  };
}

/** Name of the PersistentVolume that the agent makes for a slot; cluster-wide, and the same after every reboot. */
export function agentVolumeName(storageClass: string, node: string, slot: string): string {
  const name = `${storageClass}-${node.replaceAll(".", "-")}-${slot}`;
  if (name.length <= 200) return name;
  return `${name.slice(0, 189)}-${createHash("sha256").update(name).digest("hex").slice(0, 10)}`;
}
