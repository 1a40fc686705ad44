// The sweep without Kubernetes: a Lambda function over an EFS access point. `node cleanup-job/build-lambda.mjs` makes
// the directory with its code.
import { Provider as AwsProvider } from "@pulumi/aws/provider.js";
import * as pulumi from "@pulumi/pulumi";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";

import { CleanupLambda } from "../../components/cleanup-lambda.js";

const config = new pulumi.Config();
const accountId = config.require("accountId");
const region = "eu-west-1";
const aws = new AwsProvider("aws", { region, allowedAccountIds: [accountId] });

const HOUR = 3600;
const DAY = 24 * HOUR;
const marks = { highWaterPercent: 85, lowWaterPercent: 70 };

const cleanup = new CleanupLambda(
  "cleanup",
  {
    environment: pulumi.getStack(),
    region,
    accountId,
    code: new pulumi.asset.FileArchive("cleanup-job/dist-lambda"),
    secretsLayerArn: config.require("secretsLayerArn"),
    architecture: "arm64",
    config: parseCleanupConfig({
      version: 1,
      namespace: "none",
      checkPods: false,
      // A lock on EFS is seen by one machine only, so the heartbeat alone says that a worker lives.
      heartbeatTimeoutSeconds: HOUR,
      retention: {
        uploadedSeconds: HOUR,
        completedSeconds: 7 * DAY,
        failedSeconds: 3 * DAY,
        abandonedSeconds: DAY,
        trashSeconds: HOUR,
        stagedSeconds: 30 * DAY,
        orphanedSeconds: 7 * DAY,
        completedAction: "tier",
      },
      catalogue: { host: "catalogue.internal", port: 5432, database: "storage", tls: true },
      objectStorage: {
        endpoint: null,
        region,
        bucket: "example-encoder-artifacts",
        forcePathStyle: false,
        credentials: "ambient",
      },
      pressure: { bytes: marks, inodes: marks },
    }),
    volumes: [{ name: "efs-0", directory: "volume-0" }],
    fileSystemArn: config.require("fileSystemArn"),
    accessPointArn: config.require("accessPointArn"),
    subnetIds: config.requireObject<string[]>("subnetIds"),
    securityGroupIds: config.requireObject<string[]>("securityGroupIds"),
    catalogueSecretArn: config.require("catalogueSecretArn"),
    bucketKeyArn: config.require("bucketKeyArn"),
    schedule: "rate(10 minutes)",
    periodSeconds: 600,
    logRetentionDays: 365,
    kmsKeyArn: null,
    alarmTopicArns: [config.require("alarmTopicArn")],
  },
  { provider: aws },
);

export const functionName = cleanup.functionName;
