// A bucket that is there already, at any endpoint that speaks S3: what is deployed is the probe, which fails the
// deployment when the endpoint doesn't hold what is required of it.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

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
      kind: "s3",
      endpoint: "https://s3.internal.example",
      forcePathStyle: true,
      authoritiesInSecrets: true,
      required: ["tls-only", "no-public-access", "multipart", "encryption"],
    },
    probeImage: config.require("probeImage"),
    protectData: true,
  },
  { providers: [new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") })] },
);

export const capabilities = artifacts.capabilities;
