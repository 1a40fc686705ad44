import { PROBE_PREFIX, RELEASED_TAG } from "@video-storage/contract/object-storage-capabilities";
import type { LifecycleRule } from "@video-storage/object-storage-probe/settings";

/** How the bucket thins itself out, in days; S3 counts no finer, and looks about once a day. */
export interface LifecycleArgs {
  /** After which an upload that nobody finished is ended. Default 2. */
  readonly abortUnfinishedAfterDays?: number;
  /** For which an overwritten or deleted version can still be had back. Default 7. */
  readonly keepNoncurrentDays?: number;
  /** After which an object that the cleanup job has released is removed; counted from its creation. Default 1. */
  readonly expireReleasedAfterDays?: number;
  /** To a colder class, which loses nothing. Default: none. Objects below 128 KiB stay where they are. */
  readonly transition?: { readonly afterDays: number; readonly storageClass: string };
}

/**
 * The rules in the words of S3's own API. None of them expires what is current and a tenant's, unless the cleanup
 * job has tagged it as released: only it knows whether another copy is verified, and there are endpoints that
 * expire an object whose transition failed (minio#12392).
 */
export function lifecycleRules(args: LifecycleArgs): LifecycleRule[] {
  const {
    abortUnfinishedAfterDays = 2,
    keepNoncurrentDays = 7,
    expireReleasedAfterDays = 1,
    transition,
  } = args;
  const everywhere = { Prefix: "" };
  const tenants = { Prefix: "tenants/" };
  return [
    {
      ID: "abort-unfinished-uploads",
      Status: "Enabled",
      Filter: everywhere,
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortUnfinishedAfterDays },
    },
    {
      ID: "expire-noncurrent-versions",
      Status: "Enabled",
      Filter: everywhere,
      NoncurrentVersionExpiration: { NoncurrentDays: keepNoncurrentDays },
    },
    {
      ID: "remove-expired-delete-markers",
      Status: "Enabled",
      Filter: everywhere,
      Expiration: { ExpiredObjectDeleteMarker: true },
    },
    {
      ID: "expire-released-objects",
      Status: "Enabled",
      Filter: { And: { ...tenants, Tags: [{ Key: RELEASED_TAG.key, Value: RELEASED_TAG.value }] } },
      Expiration: { Days: expireReleasedAfterDays },
    },
    {
      ID: "expire-probe-objects",
      Status: "Enabled",
      Filter: { Prefix: PROBE_PREFIX },
      Expiration: { Days: 1 },
    },
    ...(transition
      ? [
          {
            ID: "transition-cold-objects" as const,
            Status: "Enabled" as const,
            Filter: tenants,
            Transitions: [{ Days: transition.afterDays, StorageClass: transition.storageClass }],
          },
        ]
      : []),
  ];
}
