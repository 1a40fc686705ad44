import { tenantPrefix } from "@video-storage/contract/layout";
import type { TenantId } from "@video-storage/contract/identity";

/** A document in the policy language of S3, which MinIO and AWS share. */
export interface BucketPolicy {
  readonly Version: "2012-10-17";
  readonly Statement: readonly {
    readonly Effect: "Allow";
    readonly Action: readonly string[];
    readonly Resource: readonly string[];
    readonly Condition?: Record<string, Record<string, readonly string[]>>;
  }[];
}

/** A tenant's worker writes and reads its own prefix, and never deletes. */
export function workerPolicy(bucket: string, tenant: TenantId): BucketPolicy {
  return prefixPolicy(bucket, tenantPrefix(tenant), [
    "s3:GetObject",
    "s3:PutObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
  ]);
}

/** The uploader reads every tenant's objects. */
export function uploaderPolicy(bucket: string): BucketPolicy {
  return prefixPolicy(bucket, "tenants/", ["s3:GetObject"]);
}

/** The cleanup job tiers, verifies and deletes for every tenant, and ends uploads that nobody finished. */
export function cleanupPolicy(bucket: string): BucketPolicy {
  return prefixPolicy(
    bucket,
    "tenants/",
    [
      "s3:GetObject",
      "s3:PutObject",
      "s3:DeleteObject",
      "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
    ],
    ["s3:ListBucketMultipartUploads"],
  );
}

function prefixPolicy(
  bucket: string,
  prefix: string,
  objectActions: readonly string[],
  wholeBucketActions: readonly string[] = [],
): BucketPolicy {
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: objectActions, Resource: [`arn:aws:s3:::${bucket}/${prefix}*`] },
      {
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: [`arn:aws:s3:::${bucket}`],
        Condition: { StringLike: { "s3:prefix": [`${prefix}*`] } },
      },
      // MinIO refuses a policy that names a prefix for these.
      ...(wholeBucketActions.length > 0
        ? [{ Effect: "Allow" as const, Action: wholeBucketActions, Resource: [`arn:aws:s3:::${bucket}`] }]
        : []),
    ],
  };
}

/**
 * Removes what is no longer the newest version, a day later. It never expires an object that is current:
 * whether one may go is for the cleanup job, which knows whether a verified copy exists. It doesn't abort
 * unfinished uploads either, because MinIO accepts that rule and drops it (minio#19115); that too is the
 * cleanup job's.
 */
export function bucketLifecycle() {
  return {
    Rules: [
      {
        ID: "noncurrent",
        Status: "Enabled",
        Filter: { Prefix: "tenants/" },
        NoncurrentVersionExpiration: { NoncurrentDays: 1 },
        Expiration: { ExpiredObjectDeleteMarker: true },
      },
    ],
  };
}
