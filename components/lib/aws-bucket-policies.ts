import { bucketArn } from "./bucket-policies.js";
import type { BucketRole, PolicyDocument, PolicyStatement } from "./bucket-policies.js";
import { cappedName } from "./names.js";

/** How a pod proves to AWS which of our roles it has. Neither leaves a key anywhere. */
export type AwsIdentity =
  | {
      /** IAM roles for service accounts: the cluster's OIDC issuer vouches. */
      readonly kind: "irsa";
      readonly providerArn: string;
      /** URL of the issuer. */
      readonly issuer: string;
    }
  /** EKS Pod Identity: its agent on the node vouches. */
  | { readonly kind: "pod-identity"; readonly cluster: string };

/** A ServiceAccount of the cluster. */
export interface ServiceAccountName {
  /** Its namespace. */
  readonly namespace: string;
  /** Its name. */
  readonly name: string;
}

/** Name of the IAM role; the same in every stack that has the bucket, which is one. */
export function awsRoleName(bucket: string, role: string): string {
  return cappedName(`${bucket}-${role}`, 64);
}

export function awsRoleArn(accountId: string, bucket: string, role: string): string {
  return `arn:aws:iam::${accountId}:role/${awsRoleName(bucket, role)}`;
}

/** Whoever runs under this one ServiceAccount may take the role, and nobody else. */
export function trustPolicy(
  identity: AwsIdentity,
  accountId: string,
  { namespace, name }: ServiceAccountName,
): PolicyDocument {
  if (identity.kind === "irsa") {
    const issuer = identity.issuer.replace(/^https:\/\//, "").replace(/\/$/, "");
    return document([
      {
        Effect: "Allow",
        Principal: { Federated: identity.providerArn },
        Action: ["sts:AssumeRoleWithWebIdentity"],
        Condition: {
          StringEquals: {
            [`${issuer}:sub`]: `system:serviceaccount:${namespace}:${name}`,
            [`${issuer}:aud`]: "sts.amazonaws.com",
          },
        },
      },
    ]);
  }
  return document([
    {
      Effect: "Allow",
      Principal: { Service: "pods.eks.amazonaws.com" },
      Action: ["sts:AssumeRole", "sts:TagSession"],
      Condition: {
        // The agent tells which ServiceAccount it speaks for by these tags; the account keeps others' clusters out.
        StringEquals: {
          "aws:SourceAccount": accountId,
          "aws:RequestTag/eks-cluster-name": identity.cluster,
          "aws:RequestTag/kubernetes-namespace": namespace,
          "aws:RequestTag/kubernetes-service-account": name,
        },
      },
    },
  ]);
}

/** What a role may do: its part of the bucket, and the key as far as S3 uses it for this bucket. */
export function rolePolicy(
  role: BucketRole,
  { bucket, region, keyArn }: { bucket: string; region: string; keyArn: string },
): PolicyDocument {
  return document([
    ...role.policy.Statement,
    {
      Effect: "Allow",
      Action: role.keyActions,
      Resource: [keyArn],
      Condition: {
        StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` },
        // With a bucket key the context is the bucket, without one the object.
        StringLike: { "kms:EncryptionContext:aws:s3:arn": [bucketArn(bucket), `${bucketArn(bucket)}/*`] },
      },
    },
  ]);
}

/**
 * The account's own IAM decides who uses the key, so that it can't become unmanageable; that it is used through S3
 * alone is in the roles' policies.
 */
export function keyPolicy(accountId: string): PolicyDocument {
  return document([
    {
      Sid: "AccountDecides",
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${accountId}:root` },
      Action: ["kms:*"],
      Resource: ["*"],
    },
  ]);
}

/**
 * What nobody may do to the bucket, whatever else they may: speak in clear or with an old TLS, or say how an
 * object is encrypted otherwise than the bucket does by itself. Denials only: it opens nothing.
 */
export function bucketPolicy(bucket: string, keyArn: string): PolicyDocument {
  const everything = [bucketArn(bucket), `${bucketArn(bucket)}/*`];
  const objects = [`${bucketArn(bucket)}/*`];
  const deny = (
    Sid: string,
    Action: readonly string[],
    Resource: readonly string[],
    Condition: PolicyStatement["Condition"] & object,
  ): PolicyStatement => ({ Sid, Effect: "Deny", Principal: "*", Action, Resource, Condition });
  // A negated condition holds also where the key is absent, and an absent header means the bucket's own encryption.
  const given = (header: string) => ({ Null: { [header]: "false" } });
  const algorithm = "s3:x-amz-server-side-encryption";
  const key = "s3:x-amz-server-side-encryption-aws-kms-key-id";
  const customerKey = "s3:x-amz-server-side-encryption-customer-algorithm";
  return document([
    deny("DenyPlainHttp", ["s3:*"], everything, { Bool: { "aws:SecureTransport": "false" } }),
    deny("DenyOldTls", ["s3:*"], everything, { NumericLessThan: { "s3:TlsVersion": "1.2" } }),
    deny("DenyOtherEncryption", ["s3:PutObject"], objects, {
      StringNotEquals: { [algorithm]: "aws:kms" },
      ...given(algorithm),
    }),
    deny("DenyOtherKey", ["s3:PutObject"], objects, { StringNotEquals: { [key]: keyArn }, ...given(key) }),
    deny("DenyCustomerKey", ["s3:PutObject"], objects, given(customerKey)),
  ]);
}

function document(Statement: readonly PolicyStatement[]): PolicyDocument {
  return { Version: "2012-10-17", Statement };
}
