// The same bucket on a MinIO in the cluster, for which some StorageClass makes the volume. Each role's access key is a
// Secret `object-storage-ROLE` in the workers' namespace.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { parseTenantId } from "@video-storage/contract/identity";

import { ArtifactBucket } from "../../components/artifact-bucket.js";

const config = new pulumi.Config();
const artifacts = new ArtifactBucket(
  "artifacts",
  {
    environment: pulumi.getStack(),
    namespace: "encoders",
    systemNamespace: "encoders-system",
    tenants: [parseTenantId("acme")],
    bucket: "encoder-artifacts",
    region: "us-east-1",
    backing: {
      kind: "minio",
      image: config.require("minioImage"),
      clientImage: config.require("minioClientImage"),
      storageClass: "replicated-ssd",
      volume: null,
      volumeBytes: 2n * 2n ** 40n,
      credentialRotation: 1,
    },
    probeImage: config.require("probeImage"),
    protectData: true,
  },
  {
    providers: [
      new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") }),
      new random.Provider("random"),
    ],
  },
);

/** Name of the bucket, and of the Service that a client connects to, over TLS. */
export const bucket = artifacts.bucket;
export const endpoint = artifacts.endpoint;
