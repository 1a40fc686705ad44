// A bucket on AWS with a key of its own, and for each tenant's worker, the uploader, the sweep and the probe an IAM role
// that its ServiceAccount takes by EKS Pod Identity. Both namespaces are there already.
import { Provider as AwsProvider } from "@pulumi/aws/provider.js";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { parseTenantId } from "@video-storage/contract/identity";

import { ArtifactBucket, objectStorageIdentities } from "../../components/artifact-bucket.js";
import type { ArtifactBucketArgs } from "../../components/artifact-bucket.js";

const config = new pulumi.Config();
const accountId = config.require("accountId");
const region = "eu-west-1";

const args: ArtifactBucketArgs = {
  environment: pulumi.getStack(),
  namespace: "encoders",
  systemNamespace: "encoders-system",
  tenants: ["acme", "globex"].map(parseTenantId),
  bucket: "example-encoder-artifacts",
  region,
  backing: {
    kind: "aws",
    accountId,
    kmsKeyArn: null,
    identity: { kind: "pod-identity", cluster: "video" },
    accessLogBucket: "example-access-logs",
  },
  probeImage: config.require("probeImage"),
  lifecycle: { keepNoncurrentDays: 30, transition: { afterDays: 30, storageClass: "GLACIER_IR" } },
  protectData: true,
};
const artifacts = new ArtifactBucket("artifacts", args, {
  providers: [
    new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") }),
    new AwsProvider("aws", { region, allowedAccountIds: [accountId] }),
  ],
});

export const bucket = artifacts.bucket;
/** What the probe found; a requirement that isn't met has failed the deployment before. */
export const capabilities = artifacts.capabilities;
/** Under which ServiceAccount whose pods have to run. */
export const serviceAccounts = objectStorageIdentities(args).map(({ role, serviceAccount }) => ({
  role,
  serviceAccount,
}));
