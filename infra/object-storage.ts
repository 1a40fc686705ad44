import type * as pulumi from "@pulumi/pulumi";

import type { ArtifactBucketArgs } from "../components/artifact-bucket.js";
import { OBJECT_STORAGE_PORT } from "../components/lib/minio-workloads.js";
import type { TenantIsolationArgs } from "../components/tenant-isolation.js";
import type { StackConfig } from "./config.js";
import { servicesOf } from "./services.js";
import { objectStorageVolumeName, storageClassName } from "./volumes.js";

const DAY = 86_400;

/**
 * What the configuration says of the bucket; null where the stack has none. `key` is what MinIO encrypts with, where
 * it isn't to be generated.
 */
export function artifactBucketArgs(
  config: StackConfig,
  key?: pulumi.Input<string>,
): ArtifactBucketArgs | null {
  const { environment, namespace, systemNamespace, tenants, protectData, objectStorage: storage } = config;
  if (storage.backend === "none") return null;
  const { bucket, region, probeImage } = storage;
  const common = {
    environment,
    namespace,
    systemNamespace,
    tenants,
    protectData,
    bucket,
    region,
    probeImage,
  };
  switch (storage.backend) {
    case "minio":
      return {
        ...common,
        backing: {
          kind: "minio",
          image: storage.image,
          clientImage: storage.clientImage,
          storageClass: storage.storageClass ?? storageClassName(config),
          volume: storage.storageClass === null ? objectStorageVolumeName(config) : null,
          volumeBytes: storage.volumeSize,
          credentialRotation: config.credentialRotation,
          ...(key !== undefined && { key }),
          tls:
            storage.tlsSecret === null
              ? { source: "generated" }
              : { source: "secret", secret: storage.tlsSecret, authorities: storage.ca },
        },
      };
    case "aws": {
      const { accountId, kmsKeyArn, identity, accessLogBucket, coldClass } = storage;
      return {
        ...common,
        backing: { kind: "aws", accountId, kmsKeyArn, identity, accessLogBucket },
        lifecycle: {
          keepNoncurrentDays: storage.noncurrentExpiry / DAY,
          ...(coldClass !== "none" && {
            transition: { afterDays: storage.coldAfter / DAY, storageClass: coldClass },
          }),
        },
      };
    }
    case "s3":
      return {
        ...common,
        backing: {
          kind: "s3",
          endpoint: storage.endpoint,
          forcePathStyle: storage.forcePathStyle,
          authoritiesInSecrets: storage.authoritiesInSecrets,
          required: storage.required,
        },
      };
  }
}

/** What the network policies must open for it, besides {@link servicesOf} in the workers' namespace. */
export function objectStorageOpenings(
  config: StackConfig,
): Pick<TenantIsolationArgs, "objectStoragePort" | "systemServices"> {
  const outside = servicesOf({ ...config, scan: null, monitoring: null });
  return {
    objectStoragePort: config.objectStorage.backend === "minio" ? OBJECT_STORAGE_PORT : null,
    systemServices: outside.map((service) => ({ ...service, roles: ["object-storage-probe"] })),
  };
}
