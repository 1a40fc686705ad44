import type { types } from "@pulumi/aws";
// One file each: the package's root takes half a second to load, and every program would wait for it.
import { PodIdentityAssociation } from "@pulumi/aws/eks/podIdentityAssociation.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { Alias } from "@pulumi/aws/kms/alias.js";
import { Key } from "@pulumi/aws/kms/key.js";
import { Bucket } from "@pulumi/aws/s3/bucket.js";
import { BucketLifecycleConfiguration } from "@pulumi/aws/s3/bucketLifecycleConfiguration.js";
import { BucketLogging } from "@pulumi/aws/s3/bucketLogging.js";
import { BucketOwnershipControls } from "@pulumi/aws/s3/bucketOwnershipControls.js";
import { BucketPolicy } from "@pulumi/aws/s3/bucketPolicy.js";
import { BucketPublicAccessBlock } from "@pulumi/aws/s3/bucketPublicAccessBlock.js";
import { BucketServerSideEncryptionConfiguration } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js";
import { BucketVersioning } from "@pulumi/aws/s3/bucketVersioning.js";
import * as pulumi from "@pulumi/pulumi";

import type { LifecycleRule } from "@video-storage/object-storage-probe/settings";

import { awsRoleName, bucketPolicy, keyPolicy, rolePolicy, trustPolicy } from "./aws-bucket-policies.js";
import type { AwsIdentity, ServiceAccountName } from "./aws-bucket-policies.js";
import type { BucketRole } from "./bucket-policies.js";

/** A bucket of AWS S3 with a role for each of ours. */
export interface AwsBacking {
  readonly kind: "aws";
  /** The account that everything is made in. */
  readonly accountId: string;
  /** A key that is there already, whose policy lets the account's IAM decide; null for one of the stack's own. */
  readonly kmsKeyArn: string | null;
  /** How pods prove which role is theirs. */
  readonly identity: AwsIdentity;
  /** Bucket in which S3 logs every request; another one, encrypted by SSE-S3. Null for none. */
  readonly accessLogBucket: string | null;
}

export interface AwsBucketArgs {
  readonly environment: string;
  readonly bucket: string;
  readonly region: string;
  readonly backing: AwsBacking;
  readonly rules: readonly LifecycleRule[];
  readonly roles: readonly (BucketRole & { readonly serviceAccount: ServiceAccountName })[];
  /** Whether the engine refuses to delete what holds data, or guards it. */
  readonly protectData: boolean;
}

type Child = (own?: pulumi.CustomResourceOptions) => pulumi.CustomResourceOptions;

/** Declares the bucket, its key and its roles; returns what whoever uses the bucket must wait for. */
export function declareAwsBucket(name: string, args: AwsBucketArgs, child: Child): pulumi.Resource[] {
  const { backing, region } = args;
  const { accountId } = backing;
  const tags = { "video-storage/environment": args.environment, "managed-by": "video-storage" };
  // What guards the objects stays with them: a bucket that is kept must not lose its policy or its encryption.
  const kept = (own: pulumi.CustomResourceOptions = {}) =>
    child({ protect: args.protectData, retainOnDelete: args.protectData, ...own });

  const key =
    backing.kmsKeyArn === null
      ? new Key(
          `${name}-key`,
          {
            description: `Objects of bucket ${args.bucket}`,
            enableKeyRotation: true,
            deletionWindowInDays: 30,
            policy: JSON.stringify(keyPolicy(accountId)),
            region,
            tags,
          },
          kept(),
        )
      : null;
  if (key) {
    new Alias(
      `${name}-key-alias`,
      { name: `alias/${args.bucket.replaceAll(".", "-")}`, targetKeyId: key.keyId, region },
      kept(),
    );
  }
  const keyArn = key ? key.arn : pulumi.output(backing.kmsKeyArn!);

  // Another region, or another name, is another bucket: `protect` then refuses what would lose the objects.
  const bucket = new Bucket(
    `${name}-bucket`,
    { bucket: args.bucket, forceDestroy: false, region, tags },
    // S3 refuses to delete a bucket with objects in it, and while it is there its key must be too.
    kept(key ? { dependsOn: [key] } : {}),
  );
  const of = { bucket: bucket.bucket, region };
  // Deleted by S3 with the bucket, and not before: one whose deletion is refused stays guarded.
  const guard = (own: pulumi.CustomResourceOptions = {}) => kept({ deletedWith: bucket, ...own });
  const publicAccess = new BucketPublicAccessBlock(
    `${name}-public-access-block`,
    {
      ...of,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    guard(),
  );
  // One after another: S3 refuses two changes of a bucket's access at once (pulumi-aws#1570).
  const ownership = new BucketOwnershipControls(
    `${name}-ownership`,
    { ...of, rule: { objectOwnership: "BucketOwnerEnforced" } },
    guard({ dependsOn: [publicAccess] }),
  );
  const policy = new BucketPolicy(
    `${name}-policy`,
    { ...of, policy: keyArn.apply((arn) => JSON.stringify(bucketPolicy(args.bucket, arn))) },
    guard({ dependsOn: [publicAccess, ownership] }),
  );
  const encryption = new BucketServerSideEncryptionConfiguration(
    `${name}-encryption`,
    {
      ...of,
      rules: [
        {
          applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: keyArn },
          bucketKeyEnabled: true,
        },
      ],
    },
    guard(),
  );
  const versioning = new BucketVersioning(
    `${name}-versioning`,
    { ...of, versioningConfiguration: { status: "Enabled" } },
    guard(),
  );
  const lifecycle = new BucketLifecycleConfiguration(
    `${name}-lifecycle`,
    {
      ...of,
      // S3's default, said so that it doesn't change unseen: an object of less isn't worth a transition.
      transitionDefaultMinimumObjectSize: "all_storage_classes_128K",
      rules: args.rules.map(awsLifecycleRule),
    },
    // The rule for older versions means nothing before there are any.
    guard({ dependsOn: [versioning] }),
  );
  if (backing.accessLogBucket !== null) {
    new BucketLogging(
      `${name}-access-log`,
      { ...of, targetBucket: backing.accessLogBucket, targetPrefix: `${args.bucket}/` },
      guard(),
    );
  }

  const identities = args.roles.flatMap((role) => {
    const { namespace, name: serviceAccount } = role.serviceAccount;
    const iamRole = new Role(
      `${name}-${role.name}-role`,
      {
        name: awsRoleName(args.bucket, role.name),
        description: `${role.name} of bucket ${args.bucket}`,
        assumeRolePolicy: JSON.stringify(trustPolicy(backing.identity, accountId, role.serviceAccount)),
        maxSessionDuration: 3600,
        tags,
      },
      child(),
    );
    const permissions = new RolePolicy(
      `${name}-${role.name}-permissions`,
      {
        name: "bucket",
        role: iamRole.name,
        policy: keyArn.apply((arn) =>
          JSON.stringify(rolePolicy(role, { bucket: args.bucket, region, keyArn: arn })),
        ),
      },
      child(),
    );
    if (backing.identity.kind === "irsa") return [permissions];
    const association = new PodIdentityAssociation(
      `${name}-${role.name}-identity`,
      {
        clusterName: backing.identity.cluster,
        namespace,
        serviceAccount,
        roleArn: iamRole.arn,
        region,
        tags,
      },
      child({ dependsOn: [permissions] }),
    );
    return [permissions, association];
  });
  return [bucket, publicAccess, ownership, policy, encryption, versioning, lifecycle, ...identities];
}

/** A rule in the provider's words. */
export function awsLifecycleRule(rule: LifecycleRule): types.input.s3.BucketLifecycleConfigurationRule {
  const { ID, Status, Filter } = rule;
  return {
    id: ID,
    status: Status,
    filter:
      "And" in Filter
        ? {
            and: {
              prefix: Filter.And.Prefix,
              tags: Object.fromEntries(Filter.And.Tags.map(({ Key: key, Value }) => [key, Value])),
            },
          }
        : { prefix: Filter.Prefix },
    ...(rule.AbortIncompleteMultipartUpload && {
      abortIncompleteMultipartUpload: {
        daysAfterInitiation: rule.AbortIncompleteMultipartUpload.DaysAfterInitiation,
      },
    }),
    ...(rule.NoncurrentVersionExpiration && {
      noncurrentVersionExpiration: { noncurrentDays: rule.NoncurrentVersionExpiration.NoncurrentDays },
    }),
    ...(rule.Expiration && {
      expiration:
        "Days" in rule.Expiration ? { days: rule.Expiration.Days } : { expiredObjectDeleteMarker: true },
    }),
    ...(rule.Transitions && {
      transitions: rule.Transitions.map(({ Days, StorageClass }) => ({
        days: Days,
        storageClass: StorageClass,
      })),
    }),
  };
}
