import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import type { TenantId } from "@video-storage/contract/identity";
import {
  CAPABILITIES_ANNOTATION,
  CAPABILITIES_CONFIG_MAP,
  OBJECT_STORAGE_CAPABILITIES,
  parseObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";
import type {
  ObjectStorageCapabilities,
  ObjectStorageCapability,
} from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorageSettings } from "@video-storage/contract/schemas";
import {
  OBJECT_STORAGE_CA_KEY,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";
import type { ProbeSettingsInput } from "@video-storage/object-storage-probe/settings";

import { declareAwsBucket } from "./lib/aws-bucket.js";
import type { AwsBacking } from "./lib/aws-bucket.js";
import { awsRoleArn } from "./lib/aws-bucket-policies.js";
import type { ServiceAccountName } from "./lib/aws-bucket-policies.js";
import { bucketRoles } from "./lib/bucket-policies.js";
import type { BucketRole } from "./lib/bucket-policies.js";
import { childOptions } from "./lib/child-options.js";
import { contentNamed } from "./lib/content-named-job.js";
import { labels } from "./lib/labels.js";
import { declareMinioBucket } from "./lib/minio-bucket.js";
import type { MinioBacking } from "./lib/minio-bucket.js";
import { minioEndpoint } from "./lib/minio-workloads.js";
import { lifecycleRules } from "./lib/object-lifecycle.js";
import type { LifecycleArgs } from "./lib/object-lifecycle.js";
import {
  buildJobRole,
  buildProbeBinding,
  buildProbeJob,
  buildReportRole,
  PROBE,
} from "./lib/object-storage-probe-job.js";

import { REQUIRED_OF_ANY_ENDPOINT } from "./lib/object-storage-requirements.js";

export type { AwsBacking } from "./lib/aws-bucket.js";
export { OBJECT_STORAGE_CLAIM } from "./lib/minio-bucket.js";
export type { MinioBacking, MinioCertificate } from "./lib/minio-bucket.js";

/** Any other endpoint that speaks S3, whose bucket, users and Secrets are made there. */
export interface S3Backing {
  readonly kind: "s3";
  /** URL, `https://` on every stack but a local one. */
  readonly endpoint: string;
  /** Whether the bucket is named in the path and not in the host, as Ceph and MinIO want it. */
  readonly forcePathStyle: boolean;
  /** Whether `ca.crt` in each role's Secret has the authorities behind the endpoint's certificate; else public ones. */
  readonly authoritiesInSecrets: boolean;
  /** The deployment fails where the endpoint doesn't hold these. Default: {@link REQUIRED_OF_ANY_ENDPOINT}. */
  readonly required?: readonly ObjectStorageCapability[];
}

export interface ArtifactBucketArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Namespace of the workers, who get their credentials there. */
  readonly namespace: string;
  /** Namespace of the server where it is in the cluster, and of the probe. */
  readonly systemNamespace: string;
  /** Each gets a role, and with it an identity, that reaches its own prefix only. */
  readonly tenants: readonly TenantId[];
  /** Name of the bucket: 3 to 63 lower-case letters, digits and hyphens. */
  readonly bucket: string;
  /** Of the bucket; any where the endpoint has none. */
  readonly region: string;
  /** Who makes the bucket, and how its clients prove who they are. */
  readonly backing: MinioBacking | AwsBacking | S3Backing;
  /** Image with the command `object-storage-probe`, by digest. */
  readonly probeImage: string;
  /** How the bucket thins itself out. A transition is for AWS alone. */
  readonly lifecycle?: LifecycleArgs;
  /** Whether the engine refuses to delete what holds the objects. */
  readonly protectData: boolean;
}

/**
 * The bucket for staged and cold files: encrypted with a key of its own, versioned, over TLS alone, without public
 * access, and for each tenant's worker, the uploader and the cleanup job an identity that reaches its prefix only.
 * At each deployment that changes it a probe tries what the endpoint really keeps: what is required and missing
 * fails the deployment, the rest is left for the cleanup job in a ConfigMap.
 *
 * On AWS it needs a provider of @pulumi/aws, with MinIO one of @pulumi/random, and always one of @pulumi/kubernetes.
 */
export class ArtifactBucket extends pulumi.ComponentResource {
  /** How workers, uploader and cleanup job connect; known before anything is made. */
  readonly settings: ObjectStorageSettings;
  /** Null for AWS itself. */
  readonly endpoint: pulumi.Output<string | null>;
  /** Its name. */
  readonly bucket: pulumi.Output<string>;
  /** What the probe found; null where the program runs without an engine. */
  readonly capabilities: pulumi.Output<ObjectStorageCapabilities | null>;

  constructor(name: string, args: ArtifactBucketArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:ArtifactBucket", name, {}, opts);
    const { environment, namespace, systemNamespace, backing } = args;
    const child = (own?: pulumi.CustomResourceOptions) => childOptions(this, opts, own);
    const roles = rolesOf(args);
    const { ready, credentials } = declareBacking(this, name, args, child, roles);

    const metadata = (objectName: string, inNamespace: string) => ({
      name: objectName,
      namespace: inNamespace,
      labels: labels(environment, "object-storage-probe"),
    });
    const identity = objectStorageIdentities(args).find(({ role }) => role === "probe")!;
    const account = new k8s.core.v1.ServiceAccount(
      `${name}-probe`,
      {
        metadata: {
          ...metadata(PROBE, systemNamespace),
          // The engine drops an empty one, and what is applied without it would differ.
          ...(Object.keys(identity.annotations).length > 0 && { annotations: identity.annotations }),
        },
        automountServiceAccountToken: false,
      },
      child(),
    );
    // Empty: what is in it comes from the probe, and the engine leaves that alone.
    const report = new k8s.core.v1.ConfigMap(
      `${name}-capabilities`,
      { metadata: metadata(CAPABILITIES_CONFIG_MAP, namespace) },
      child(),
    );
    const settingsFile = JSON.stringify(probeSettings(args));
    const probeConfig = new k8s.core.v1.ConfigMap(
      `${name}-probe`,
      { metadata: metadata(PROBE, systemNamespace), data: { "probe.json": settingsFile } },
      child(),
    );
    const job = buildProbeJob({
      environment,
      namespace: systemNamespace,
      image: args.probeImage,
      secret: backing.kind === "aws" ? null : identity.secret,
    });
    // What the roles may do is part of what is probed: another policy is another Job.
    const policies = roles.map(({ policy }) => policy);
    const jobName = contentNamed(PROBE, [job.spec, settingsFile, policies, credentials]);
    const permissions = [
      { place: "report", role: buildReportRole(environment, namespace) },
      { place: "job", role: buildJobRole(environment, systemNamespace, jobName) },
    ].flatMap(({ place, role }) => {
      const granted = new k8s.rbac.v1.Role(`${name}-probe-${place}`, role, child());
      const bound = new k8s.rbac.v1.RoleBinding(
        `${name}-probe-${place}`,
        buildProbeBinding(environment, role.metadata.namespace, systemNamespace),
        child({ dependsOn: [granted, account] }),
      );
      return [granted, bound];
    });
    const probe = new k8s.batch.v1.Job(
      `${name}-probe`,
      { metadata: { ...job.metadata, name: jobName }, spec: job.spec },
      child({ dependsOn: [...ready, account, report, probeConfig, ...permissions] }),
    );

    this.settings = objectStorageSettings(args);
    this.endpoint = pulumi.output(this.settings.endpoint);
    this.bucket = pulumi.output(args.bucket);
    this.capabilities = probe.metadata.apply((found) => {
      const text = found?.annotations?.[CAPABILITIES_ANNOTATION];
      return text === undefined ? null : parseObjectStorageCapabilities(JSON.parse(text));
    });
    this.registerOutputs({ endpoint: this.endpoint, bucket: this.bucket, capabilities: this.capabilities });
  }
}

type PlacedRole = BucketRole & {
  readonly secret: { readonly namespace: string; readonly name: string };
  readonly serviceAccount: ServiceAccountName;
};

function rolesOf(
  args: Pick<ArtifactBucketArgs, "bucket" | "tenants" | "namespace" | "systemNamespace" | "backing">,
): PlacedRole[] {
  const probeAppliesLifecycle = args.backing.kind !== "aws";
  return bucketRoles({ bucket: args.bucket, tenants: args.tenants, probeAppliesLifecycle }).map((role) => {
    const isProbe = role.component === "object-storage-probe";
    const namespace = isProbe ? args.systemNamespace : args.namespace;
    return {
      ...role,
      secret: { namespace, name: objectStorageSecretName(role.name) },
      serviceAccount: { namespace, name: isProbe ? PROBE : role.name },
    };
  });
}

function declareBacking(
  parent: ArtifactBucket,
  name: string,
  args: ArtifactBucketArgs,
  child: (own?: pulumi.CustomResourceOptions) => pulumi.CustomResourceOptions,
  roles: readonly PlacedRole[],
): { ready: pulumi.Resource[]; credentials: pulumi.Output<unknown> } {
  const { backing } = args;
  switch (backing.kind) {
    case "minio":
      return declareMinioBucket(parent, name, { ...args, backing, roles }, child);
    case "aws": {
      const rules = lifecycleRules(args.lifecycle ?? {});
      const ready = declareAwsBucket(name, { ...args, backing, roles, rules }, child);
      return { ready, credentials: pulumi.output(null) };
    }
    case "s3":
      // Made there, by whoever runs it: docs/object-storage.md says what each role's Secret and policy must hold.
      return { ready: [], credentials: pulumi.output(null) };
  }
}

/** How to connect, as the contract and the cleanup job's settings say it. */
export function objectStorageSettings(
  args: Pick<ArtifactBucketArgs, "backing" | "bucket" | "region" | "systemNamespace">,
): ObjectStorageSettings {
  const { backing, bucket, region } = args;
  const caFile = `${OBJECT_STORAGE_CREDENTIALS_DIRECTORY}/${OBJECT_STORAGE_CA_KEY}`;
  switch (backing.kind) {
    case "aws":
      // No key exists: the pods' own identity counts.
      return { endpoint: null, region, bucket, forcePathStyle: false, credentials: "ambient", caFile: null };
    case "minio": {
      const { tls } = backing;
      const isPublic = tls?.source === "secret" && tls.authorities === null;
      return {
        ...{ endpoint: minioEndpoint(args.systemNamespace), region, bucket, forcePathStyle: true },
        ...{ credentials: "secret", caFile: isPublic ? null : caFile },
      };
    }
    case "s3":
      return {
        ...{ endpoint: backing.endpoint, region, bucket, forcePathStyle: backing.forcePathStyle },
        ...{ credentials: "secret", caFile: backing.authoritiesInSecrets ? caFile : null },
      };
  }
}

/** Under which ServiceAccount each role runs, and how it proves who it is. */
export interface ObjectStorageIdentity {
  /** `worker-acme`, `uploader`, `cleanup`, `probe`. */
  readonly role: string;
  /** What its pods have to run under. */
  readonly serviceAccount: ServiceAccountName;
  /** The Secret with its access key; null where the ServiceAccount is its identity. */
  readonly secret: string | null;
  /** What its ServiceAccount must carry: on AWS with IRSA, the role that it may take. */
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The identities of every role. Whoever makes the ServiceAccounts gives them these annotations; on AWS every
 * tenant's workers run under a ServiceAccount of their own, because that is what AWS tells them apart by.
 */
export function objectStorageIdentities(
  args: Pick<ArtifactBucketArgs, "backing" | "bucket" | "tenants" | "namespace" | "systemNamespace">,
): ObjectStorageIdentity[] {
  const { backing, bucket } = args;
  return rolesOf(args).map(({ name, secret, serviceAccount }) => ({
    role: name,
    serviceAccount,
    secret: backing.kind === "aws" ? null : secret.name,
    annotations:
      backing.kind === "aws" && backing.identity.kind === "irsa"
        ? { "eks.amazonaws.com/role-arn": awsRoleArn(backing.accountId, bucket, name) }
        : {},
  }));
}

/** What the probe is told. */
export function probeSettings(args: ArtifactBucketArgs): ProbeSettingsInput {
  const { backing } = args;
  const rules = lifecycleRules(args.lifecycle ?? {});
  const declared = rules.map(({ ID }) => ID);
  const encryption = { aws: "aws:kms", minio: "AES256", s3: null } as const;
  // MinIO keeps neither of these, and the cleanup job does what follows from it.
  const required = {
    aws: { capabilities: [...OBJECT_STORAGE_CAPABILITIES], rules: declared },
    minio: {
      capabilities: OBJECT_STORAGE_CAPABILITIES.filter((one) => one !== "list-unfinished-uploads"),
      rules: declared.filter((rule) => rule !== "abort-unfinished-uploads"),
    },
    s3: {
      capabilities: [...((backing.kind === "s3" && backing.required) || REQUIRED_OF_ANY_ENDPOINT)],
      rules: [],
    },
  };
  return {
    version: 1,
    objectStorage: objectStorageSettings(args),
    lifecycle: { mode: backing.kind === "aws" ? "verify" : "apply", rules },
    encryption: encryption[backing.kind],
    required: required[backing.kind],
    report: { namespace: args.namespace, name: CAPABILITIES_CONFIG_MAP },
  };
}

/** The user, or role, of a tenant's workers. */
export function workerAccessKey(tenant: TenantId): string {
  return `worker-${tenant}`;
}

/** The Secret with a role's `accessKeyId` and `secretAccessKey`; the probe's is in the system namespace. */
export function objectStorageSecretName(role: string): string {
  return `object-storage-${role}`;
}
