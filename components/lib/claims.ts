import { formatSize } from "@video-storage/contract/sizes";

import { SKIP_AWAIT } from "./annotations.js";
import { labels } from "./labels.js";
import type { Role } from "./labels.js";

export interface ClaimArgs {
  readonly environment: string;
  readonly role: Role;
  readonly namespace: string;
  readonly name: string;
  readonly storageClass: string;
  /** The PersistentVolume that is kept for this claim; left out where the storage finds or makes one. */
  readonly volume?: string;
  /** More labels. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly bytes: bigint;
}

/**
 * A claim on one local volume. ReadWriteOnce, not ReadWriteOncePod: the cleanup job mounts the volume
 * beside its worker, on the same node.
 */
export function buildClaim(args: ClaimArgs) {
  return {
    metadata: {
      name: args.name,
      namespace: args.namespace,
      labels: { ...labels(args.environment, args.role), ...args.labels },
      annotations: { ...SKIP_AWAIT },
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      volumeMode: "Filesystem",
      storageClassName: args.storageClass,
      ...(args.volume !== undefined && { volumeName: args.volume }),
      resources: { requests: { storage: formatSize(args.bytes) } },
    },
  };
}
