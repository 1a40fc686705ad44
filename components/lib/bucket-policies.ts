import { PROBE_PREFIX, RELEASED_TAG } from "@video-storage/contract/object-storage-capabilities";
import { tenantPrefix } from "@video-storage/contract/layout";
import type { TenantId } from "@video-storage/contract/identity";

// A type, which unlike an interface is taken where any record is.
export type PolicyStatement = {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: "*" | Record<string, string | readonly string[]>;
  readonly Action: readonly string[];
  readonly Resource?: readonly string[];
  readonly Condition?: Record<string, Record<string, string | readonly string[]>>;
};

/** A document in the policy language that AWS and MinIO share. */
export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

/** Every tenant's objects. */
const ALL_TENANTS = "tenants/";

/** Whoever reaches the bucket: a tenant's workers, the uploader, the cleanup job, or the probe of a deployment. */
export interface BucketRole {
  /** `worker-acme`, `uploader`, `cleanup`, `probe`: the user's name on MinIO, and part of the IAM role's on AWS. */
  readonly name: string;
  readonly component: "worker" | "uploader" | "cleanup" | "object-storage-probe";
  /** The one tenant of a worker; null for those who work for all. */
  readonly tenant: TenantId | null;
  readonly policy: PolicyDocument;
  /** What it does with the key that objects are encrypted by: nothing in S3 is written without the first, or read without the second. */
  readonly keyActions: readonly ("kms:GenerateDataKey" | "kms:Decrypt")[];
}

export interface BucketRolesArgs {
  readonly bucket: string;
  readonly tenants: readonly TenantId[];
  /** Whether the probe puts the lifecycle rules, or the stack does. */
  readonly probeAppliesLifecycle: boolean;
}

/** All that may be done to the bucket, by whom: what isn't here is denied. */
export function bucketRoles({ bucket, tenants, probeAppliesLifecycle }: BucketRolesArgs): BucketRole[] {
  const readAndWrite = ["kms:GenerateDataKey", "kms:Decrypt"] as const;
  return [
    ...tenants.map((tenant) => ({
      name: `worker-${tenant}`,
      component: "worker" as const,
      tenant,
      policy: workerPolicy(bucket, tenant),
      // A part of an upload is read again when the parts are put together.
      keyActions: readAndWrite,
    })),
    {
      name: "uploader",
      component: "uploader",
      tenant: null,
      policy: uploaderPolicy(bucket),
      keyActions: ["kms:Decrypt"],
    },
    {
      name: "cleanup",
      component: "cleanup",
      tenant: null,
      policy: cleanupPolicy(bucket),
      keyActions: readAndWrite,
    },
    {
      name: "probe",
      component: "object-storage-probe",
      tenant: null,
      policy: probePolicy(bucket, probeAppliesLifecycle),
      keyActions: readAndWrite,
    },
  ];
}

const READING = ["s3:GetObject"];
const WRITING = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];

/** A tenant's worker writes and reads its own prefix, and never deletes. */
export function workerPolicy(bucket: string, tenant: TenantId): PolicyDocument {
  const prefix = tenantPrefix(tenant);
  const { Version, Statement } = prefixPolicy(bucket, prefix, [...READING, ...WRITING]);
  return {
    Version,
    Statement: [
      ...Statement,
      // AWS asks for s3:PutObjectTagging when an object is put with its tags; MinIO asks for s3:PutObject alone.
      {
        Effect: "Deny",
        Action: ["s3:PutObject"],
        Resource: [`${bucketArn(bucket)}/*`],
        Condition: { StringLike: { [`s3:RequestObjectTag/${RELEASED_TAG.key}`]: ["*"] } },
      },
    ],
  };
}

/** The uploader reads every tenant's objects. */
export function uploaderPolicy(bucket: string): PolicyDocument {
  return prefixPolicy(bucket, ALL_TENANTS, READING);
}

/**
 * The cleanup job tiers, verifies, releases and deletes for every tenant, and ends uploads that nobody finished.
 * What it deletes stays behind as an older version, out of its own reach.
 */
export function cleanupPolicy(bucket: string): PolicyDocument {
  const { Version, Statement } = prefixPolicy(
    bucket,
    ALL_TENANTS,
    [...READING, ...WRITING, "s3:DeleteObject", "s3:GetObjectTagging", "s3:PutObjectTagging"],
    ["s3:ListBucketMultipartUploads"],
  );
  return {
    Version,
    Statement: [
      ...Statement,
      // AWS denies this by its not being allowed; MinIO takes s3:DeleteObject for both, unless one is denied.
      { Effect: "Deny", Action: ["s3:DeleteObjectVersion"], Resource: [`${bucketArn(bucket)}/*`] },
    ],
  };
}

/** The probe has a prefix where no tenant's object is, and sees how the bucket is set. */
export function probePolicy(bucket: string, appliesLifecycle: boolean): PolicyDocument {
  return prefixPolicy(
    bucket,
    PROBE_PREFIX,
    [
      ...READING,
      ...WRITING,
      ...["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObjectTagging", "s3:PutObjectTagging"],
    ],
    [
      ...["s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:GetLifecycleConfiguration"],
      ...(appliesLifecycle ? ["s3:PutLifecycleConfiguration"] : []),
    ],
  );
}

function prefixPolicy(
  bucket: string,
  prefix: string,
  objectActions: readonly string[],
  wholeBucketActions: readonly string[] = [],
): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: objectActions, Resource: [`${bucketArn(bucket)}/${prefix}*`] },
      {
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: [bucketArn(bucket)],
        Condition: { StringLike: { "s3:prefix": [`${prefix}*`] } },
      },
      // MinIO refuses a policy that names a prefix for these.
      ...(wholeBucketActions.length > 0
        ? [{ Effect: "Allow" as const, Action: wholeBucketActions, Resource: [bucketArn(bucket)] }]
        : []),
    ],
  };
}

export function bucketArn(bucket: string): string {
  return `arn:aws:s3:::${bucket}`;
}
