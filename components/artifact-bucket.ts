import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import type { TenantId } from "@video-storage/contract/identity";

import { bucketLifecycle, cleanupPolicy, uploaderPolicy, workerPolicy } from "./lib/bucket-policies.js";
import { childOptions } from "./lib/child-options.js";
import { buildClaim } from "./lib/claims.js";
import { contentNamed } from "./lib/content-named-job.js";
import { labels } from "./lib/labels.js";
import type { Role } from "./lib/labels.js";
import { buildMinioServer, buildMinioService, buildSetupJob, minioEndpoint } from "./lib/minio-workloads.js";
import type { MinioWorkloadArgs } from "./lib/minio-workloads.js";
import { setupScript } from "./lib/object-storage-setup.js";
import { buildStorageQuota } from "./lib/storage-quota.js";
import type { BucketUser } from "./lib/object-storage-setup.js";

/** Backed by MinIO in the cluster. What uses the bucket sees S3 alone, so that another backing can take its place. */
export interface ArtifactBucketArgs {
  readonly environment: string;
  /** Namespace of the workers, who get their credentials there. */
  readonly namespace: string;
  /** Namespace of the server. */
  readonly systemNamespace: string;
  readonly tenants: readonly TenantId[];
  readonly bucket: string;
  readonly region: string;
  /** The server's image, by digest: upstream publishes no more, so whose build it is must be a choice. */
  readonly image: string;
  /** An image with `mc` and a shell, by digest. */
  readonly clientImage: string;
  readonly storageClass: string;
  /** The PersistentVolume that is kept for the objects. */
  readonly volume: string;
  readonly volumeBytes: bigint;
  /** Raised to replace every credential. The key that encrypts objects is never replaced. */
  readonly credentialRotation: number;
  /** Whether the engine refuses to delete the claim that holds the objects. */
  readonly protectData: boolean;
}

/** The claim that holds the objects. */
export const OBJECT_STORAGE_CLAIM = "object-storage";

/**
 * The bucket for staged and cold files: encrypted with a KMS key (SSE-S3), versioned, no anonymous access,
 * and for each tenant's worker, the uploader and the cleanup job a user that can reach its prefix only.
 */
export class ArtifactBucket extends pulumi.ComponentResource {
  readonly endpoint: pulumi.Output<string>;
  readonly bucket: pulumi.Output<string>;

  constructor(name: string, args: ArtifactBucketArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:ArtifactBucket", name, {}, opts);
    const { environment, systemNamespace } = args;
    const child = (own?: pulumi.CustomResourceOptions) => childOptions(this, opts, own);
    const metadata = (objectName: string, namespace = systemNamespace, role: Role = "object-storage") => ({
      name: objectName,
      namespace,
      labels: labels(environment, role),
    });
    const keepers = { rotation: String(args.credentialRotation) };
    const password = (role: string) =>
      new random.RandomPassword(
        `${name}-${role}-password`,
        { length: 40, special: false, keepers },
        { parent: this },
      );

    const rootPassword = password("root");
    // Without this key every object is lost, so nothing that rotates may replace it.
    const kmsKey = new random.RandomBytes(
      `${name}-kms-key`,
      { length: 32 },
      { parent: this, protect: args.protectData, ignoreChanges: ["keepers", "length"] },
    );
    const serverSecret = new k8s.core.v1.Secret(
      `${name}-server`,
      {
        metadata: metadata("object-storage-server"),
        stringData: {
          "root-user": "root-of-object-storage",
          "root-password": rootPassword.result,
          "kms-key": pulumi.interpolate`video-storage:${kmsKey.base64}`,
        },
      },
      child(),
    );
    const quota = new k8s.core.v1.ResourceQuota(
      `${name}-quota`,
      buildStorageQuota({
        environment,
        role: "object-storage",
        namespace: systemNamespace,
        name: "object-storage",
        storageClass: args.storageClass,
        claims: 1,
        bytes: args.volumeBytes,
      }),
      child(),
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-claim`,
      buildClaim({
        environment,
        role: "object-storage",
        namespace: systemNamespace,
        name: OBJECT_STORAGE_CLAIM,
        storageClass: args.storageClass,
        volume: args.volume,
        bytes: args.volumeBytes,
      }),
      // A claim that is replaced is a bucket that is lost.
      child({ protect: args.protectData, retainOnDelete: args.protectData, dependsOn: [quota] }),
    );

    const workload: MinioWorkloadArgs = {
      environment,
      namespace: systemNamespace,
      image: args.image,
      clientImage: args.clientImage,
      claim: OBJECT_STORAGE_CLAIM,
      serverSecret: "object-storage-server",
      region: args.region,
    };
    const service = new k8s.core.v1.Service(`${name}-service`, buildMinioService(workload), child());
    const server = new k8s.apps.v1.StatefulSet(
      `${name}-server`,
      buildMinioServer(workload),
      child({ dependsOn: [serverSecret, claim, service] }),
    );

    const users = bucketUsers(args);
    const secretKeys = Object.fromEntries(
      users.map((user) => [user.accessKeyId, password(user.accessKeyId).result]),
    );
    const setupFiles = buildSetupFiles(args, users);
    const setupSecrets = {
      "root-user": "root-of-object-storage",
      "root-password": rootPassword.result,
      ...secretKeys,
    };
    const setupConfig = new k8s.core.v1.ConfigMap(
      `${name}-setup`,
      {
        metadata: metadata("object-storage-setup", systemNamespace, "object-storage-setup"),
        data: setupFiles,
      },
      child(),
    );
    const setupSecret = new k8s.core.v1.Secret(
      `${name}-setup`,
      {
        metadata: metadata("object-storage-setup", systemNamespace, "object-storage-setup"),
        stringData: setupSecrets,
      },
      child(),
    );
    const job = buildSetupJob(workload, {
      configMap: "object-storage-setup",
      secret: "object-storage-setup",
    });
    const setup = new k8s.batch.v1.Job(
      `${name}-setup`,
      {
        metadata: {
          ...job.metadata,
          name: contentNamed("object-storage-setup", [job.spec, setupFiles, setupSecrets]),
        },
        spec: job.spec,
      },
      child({ dependsOn: [server, setupConfig, setupSecret] }),
    );
    for (const { accessKeyId } of users) {
      new k8s.core.v1.Secret(
        `${name}-${accessKeyId}`,
        {
          metadata: metadata(objectStorageSecretName(accessKeyId), args.namespace, roleOf(accessKeyId)),
          stringData: { accessKeyId, secretAccessKey: secretKeys[accessKeyId]! },
        },
        // Whoever finds the credentials finds them working.
        child({ dependsOn: [setup] }),
      );
    }

    this.endpoint = pulumi.output(minioEndpoint(systemNamespace));
    this.bucket = pulumi.output(args.bucket);
    this.registerOutputs({ endpoint: this.endpoint, bucket: this.bucket });
  }
}

/** The user of a tenant's workers. */
export function workerAccessKey(tenant: TenantId): string {
  return `worker-${tenant}`;
}

/** The Secret with a user's `accessKeyId` and `secretAccessKey`, in the workers' namespace. */
export function objectStorageSecretName(accessKeyId: string): string {
  return `object-storage-${accessKeyId}`;
}

function roleOf(accessKeyId: string): Role {
  return accessKeyId === "uploader" || accessKeyId === "cleanup" ? accessKeyId : "worker";
}

export function bucketUsers(args: Pick<ArtifactBucketArgs, "bucket" | "tenants">): BucketUser[] {
  return [
    ...args.tenants.map((tenant) => ({
      accessKeyId: workerAccessKey(tenant),
      policy: workerPolicy(args.bucket, tenant),
    })),
    { accessKeyId: "uploader", policy: uploaderPolicy(args.bucket) },
    { accessKeyId: "cleanup", policy: cleanupPolicy(args.bucket) },
  ];
}

function buildSetupFiles(args: ArtifactBucketArgs, users: readonly BucketUser[]): Record<string, string> {
  return {
    "setup.sh": setupScript(minioEndpoint(args.systemNamespace), args.bucket, users),
    "lifecycle.json": JSON.stringify(bucketLifecycle()),
    ...Object.fromEntries(users.map((user) => [`${user.accessKeyId}.json`, JSON.stringify(user.policy)])),
  };
}
