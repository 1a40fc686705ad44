import { formatSize } from "@video-storage/contract/sizes";

import { CLAIM_QUOTA_LABEL } from "./admission-policies.js";
import { labels } from "./labels.js";
import type { Role } from "./labels.js";

export interface StorageQuotaArgs {
  readonly environment: string;
  readonly role: Role;
  readonly namespace: string;
  readonly name: string;
  readonly storageClass: string;
  /** How many claims the namespace may have. */
  readonly claims: number;
  /** How much all of them may ask for together. */
  readonly bytes: bigint;
}

/** What a namespace may claim, of the class and in all, so that no other class is a way around. */
export function buildStorageQuota(args: StorageQuotaArgs) {
  const bytes = formatSize(args.bytes);
  const claims = String(args.claims);
  return {
    metadata: {
      name: args.name,
      namespace: args.namespace,
      labels: { ...labels(args.environment, args.role), ...CLAIM_QUOTA_LABEL },
    },
    spec: {
      hard: {
        persistentvolumeclaims: claims,
        "requests.storage": bytes,
        [`${args.storageClass}.storageclass.storage.k8s.io/persistentvolumeclaims`]: claims,
        [`${args.storageClass}.storageclass.storage.k8s.io/requests.storage`]: bytes,
      },
    },
  };
}
