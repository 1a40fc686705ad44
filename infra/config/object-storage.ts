import { OBJECT_STORAGE_CAPABILITIES } from "@video-storage/contract/object-storage-capabilities";

import { REQUIRED_OF_ANY_ENDPOINT } from "../../components/lib/object-storage-requirements.js";
import {
  boolean,
  duration,
  list,
  oneOf,
  optional,
  record,
  size,
  text,
  variants,
  withDefault,
} from "../checks.js";
import { bucketName, certificates, image, nodeName, objectName, path, region } from "./patterns.js";

const DAY = 86_400;
const MEBIBYTE = 2n ** 20n;
const arn = (service: string) =>
  text(new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]*:\\d{12}:\\S+$`), `an ARN of ${service}`);

/** In the cluster, on a claim of its own: a directory of a node, or a class that is there already. */
const minio = record({
  backend: oneOf("minio"),
  image,
  clientImage: image,
  /** The image of our probe, which tries what the endpoint really keeps. */
  probeImage: image,
  volumeSize: size(64n * MEBIBYTE),
  node: optional(nodeName),
  path: optional(path),
  storageClass: optional(objectName),
  bucket: withDefault(bucketName, "video-storage"),
  region: withDefault(region, "us-east-1"),
  /** A Secret with tls.crt and tls.key in systemNamespace, such as cert-manager's; null for the stack's own. */
  tlsSecret: optional(objectName),
  /** Certificates (PEM) of the authorities behind tlsSecret; null for the public ones. */
  ca: optional(certificates),
});

/** AWS S3, with a role for each of our roles and no static key. */
const aws = record({
  backend: oneOf("aws"),
  /** The image of our probe, which tries what the endpoint really keeps. */
  probeImage: image,
  /** The account that everything is made in; credentials of another touch nothing. */
  accountId: text(/^\d{12}$/, "an AWS account id of 12 digits"),
  region,
  bucket: bucketName,
  /** Null for a key of the stack's own. */
  kmsKeyArn: optional(arn("kms")),
  identity: variants("kind", {
    irsa: record({
      kind: oneOf("irsa"),
      providerArn: arn("iam"),
      issuer: text(/^https:\/\/\S+$/, "the cluster's OIDC issuer, an https:// URL"),
    }),
    "pod-identity": record({
      kind: oneOf("pod-identity"),
      cluster: text(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, "the name of the EKS cluster"),
    }),
  }),
  /** After how long objects move to the colder class. */
  coldAfter: withDefault(duration(0), 7 * DAY),
  coldClass: withDefault(oneOf("GLACIER_IR", "STANDARD_IA", "none"), "GLACIER_IR"),
  /** How long what was overwritten or deleted can still be had. */
  noncurrentExpiry: withDefault(duration(DAY), 7 * DAY),
  /** Bucket in which S3 logs every request; null for none. */
  accessLogBucket: optional(bucketName),
});

/** Any other endpoint that speaks S3, whose bucket and credentials are made there. */
const s3 = record({
  backend: oneOf("s3"),
  /** The image of our probe, which tries what the endpoint really keeps. */
  probeImage: image,
  endpoint: text(/^https?:\/\/[^\s/?#]+\/?$/, "an https:// URL without a path"),
  region: withDefault(region, "us-east-1"),
  bucket: bucketName,
  forcePathStyle: withDefault(boolean(), true),
  /** Whether the roles' Secrets have the authorities behind the endpoint's certificate as ca.crt. */
  authoritiesInSecrets: withDefault(boolean(), false),
  /** What the endpoint must hold for the deployment to go on. */
  required: withDefault(list(oneOf(...OBJECT_STORAGE_CAPABILITIES)), [...REQUIRED_OF_ANY_ENDPOINT]),
});

export const objectStorage = variants("backend", {
  none: record({ backend: oneOf("none") }),
  minio,
  aws,
  s3,
});

export type ObjectStorageConfig = NonNullable<ReturnType<typeof objectStorage>>;
export type MinioConfig = Extract<ObjectStorageConfig, { backend: "minio" }>;
export type AwsConfig = Extract<ObjectStorageConfig, { backend: "aws" }>;
export type S3Config = Extract<ObjectStorageConfig, { backend: "s3" }>;
