import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";

import { CleanupLambda, buildAlarms } from "../../components/cleanup-lambda.js";
import type { CleanupLambdaArgs } from "../../components/cleanup-lambda.js";
import { RETENTION } from "../support/documents.js";
import { declared } from "../support/recorder.js";
import type { Declared } from "../support/recorder.js";

const ACCOUNT = "123456789012";
const FUNCTION = "video-storage-cleanup-production";
const marks = { highWaterPercent: 85, lowWaterPercent: 70 };
const config = parseCleanupConfig({
  ...{ version: 1, retention: RETENTION, heartbeatTimeoutSeconds: 60, namespace: "none", checkPods: false },
  catalogue: { host: "db.internal", port: 5432, database: "storage", tls: true },
  objectStorage: {
    ...{ endpoint: null, region: "eu-west-1", bucket: "videos", forcePathStyle: false },
    credentials: "ambient",
  },
  pressure: { bytes: marks, inodes: marks },
});
const args: CleanupLambdaArgs = {
  ...{ environment: "production", region: "eu-west-1", accountId: ACCOUNT, architecture: "arm64", config },
  code: new pulumi.asset.AssetArchive({}),
  secretsLayerArn: "arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets:1",
  volumes: [{ name: "efs-0", directory: "volume-0" }],
  fileSystemArn: `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:file-system/fs-1`,
  accessPointArn: `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:access-point/fsap-1`,
  ...{ subnetIds: ["subnet-1", "subnet-2"], securityGroupIds: ["sg-1"] },
  catalogueSecretArn: `arn:aws:secretsmanager:eu-west-1:${ACCOUNT}:secret:catalogue`,
  bucketKeyArn: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/bucket`,
  ...{ schedule: "rate(10 minutes)", periodSeconds: 600, logRetentionDays: 365 },
  kmsKeyArn: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/logs`,
  alarmTopicArns: [`arn:aws:sns:eu-west-1:${ACCOUNT}:alarms`],
};

describe("the cleanup function on AWS", () => {
  let program: Declared;
  beforeAll(async () => {
    program = await declared(() => new CleanupLambda("cleanup", args), {
      stateOf: (_type: string, name: string, inputs: Record<string, unknown>) => ({
        ...inputs,
        arn: `arn:of:${name}`,
      }),
    });
  });
  const document = (kind: string, name: string, key: string) =>
    JSON.parse(program.inputs(kind, name)[key] as string) as Record<string, unknown>;

  it("is a function with its role, schedule, queue, log and alarms, all below one component", () => {
    expect(program.names().sort()).toEqual(
      [
        "CleanupLambda cleanup",
        "LogGroup cleanup-logs",
        "Queue cleanup-dead-letters",
        ...["Role cleanup-role", "RolePolicy cleanup-role"],
        "Function cleanup-function",
        "FunctionEventInvokeConfig cleanup-invocations",
        ...["Role cleanup-schedule-role", "RolePolicy cleanup-schedule-role"],
        "Schedule cleanup-schedule",
        ...["failing", "stale", "slow", "given-up"].map((alarm) => `MetricAlarm cleanup-${alarm}`),
      ].sort(),
    );
    const component = program.one("CleanupLambda", "cleanup").urn;
    for (const resource of program.resources.filter(({ custom }) => custom)) {
      expect(resource.parent).toBe(component);
    }
    expect(program.finished).toEqual([component]);
  });

  it("runs one at a time over the mount, in the network, with settings and no secret", () => {
    const sweep = program.inputs("Function", "cleanup-function");
    expect(sweep).toMatchObject({
      name: FUNCTION,
      ...{ runtime: "nodejs24.x", handler: "lambda.handler", architectures: ["arm64"], timeout: 900 },
      ...{ memorySize: 512, reservedConcurrentExecutions: 1, layers: [args.secretsLayerArn] },
      vpcConfig: { subnetIds: ["subnet-1", "subnet-2"], securityGroupIds: ["sg-1"] },
      fileSystemConfig: { arn: args.accessPointArn, localMountPath: "/mnt/video-jobs" },
      deadLetterConfig: { targetArn: "arn:of:cleanup-dead-letters" },
      loggingConfig: { logFormat: "JSON", logGroup: `/aws/lambda/${FUNCTION}` },
      role: "arn:of:cleanup-role",
      kmsKeyArn: args.kmsKeyArn,
    });
    const { variables } = sweep["environment"] as { variables: Record<string, string> };
    expect(Object.keys(variables).sort()).toEqual([
      "VIDEO_STORAGE_CATALOGUE_SECRET",
      "VIDEO_STORAGE_CLEANUP_CONFIG",
      "VIDEO_STORAGE_VOLUMES",
    ]);
    expect(parseCleanupConfig(JSON.parse(variables["VIDEO_STORAGE_CLEANUP_CONFIG"]!))).toEqual(config);
    expect(JSON.parse(variables["VIDEO_STORAGE_VOLUMES"]!)).toEqual([
      { name: "efs-0", path: "/mnt/video-jobs/volume-0" },
    ]);
    expect(variables["VIDEO_STORAGE_CATALOGUE_SECRET"]).toBe(args.catalogueSecretArn);
  });

  it("has the least that it needs", () => {
    expect(document("Role", "cleanup-role", "assumeRolePolicy")["Statement"]).toEqual([
      {
        Effect: "Allow",
        Principal: { Service: "lambda.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
      },
    ]);
    const statements = document("RolePolicy", "cleanup-role", "policy")["Statement"] as {
      Effect: string;
      Action: string[];
      Resource: string[];
      Condition?: object;
    }[];
    const allowed = (action: string) =>
      statements.filter((s) => s.Effect === "Allow" && s.Action.includes(action));
    expect(allowed("logs:PutLogEvents")[0]!.Resource).toEqual(["arn:of:cleanup-logs:*"]);
    expect(allowed("elasticfilesystem:ClientWrite")).toEqual([
      {
        Effect: "Allow",
        Action: ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
        Resource: [args.fileSystemArn],
        Condition: { StringEquals: { "elasticfilesystem:AccessPointArn": args.accessPointArn } },
      },
    ]);
    expect(allowed("secretsmanager:GetSecretValue")[0]!.Resource).toEqual([args.catalogueSecretArn]);
    expect(allowed("sqs:SendMessage")[0]!.Resource).toEqual(["arn:of:cleanup-dead-letters"]);
    expect(allowed("s3:DeleteObject")[0]!.Resource).toEqual(["arn:aws:s3:::videos/tenants/*"]);
    expect(allowed("kms:Decrypt")).toEqual([
      { Effect: "Allow", Action: ["kms:Decrypt", "kms:GenerateDataKey"], Resource: [args.bucketKeyArn] },
    ]);
    // The one thing without a resource of its own is Lambda's to use, and denied to the function's code.
    const everywhere = statements.filter(({ Resource }) => Resource.includes("*"));
    expect(everywhere.map(({ Effect }) => Effect)).toEqual(["Allow", "Deny"]);
    expect(everywhere[1]!.Action).toEqual(everywhere[0]!.Action);
    expect(everywhere[1]!.Condition).toEqual({
      ArnEquals: {
        "lambda:SourceFunctionArn": [`arn:aws:lambda:eu-west-1:${ACCOUNT}:function:${FUNCTION}`],
      },
    });
    expect(statements.flatMap(({ Action }) => Action).filter((action) => action.includes("*"))).toEqual([]);
  });

  it("is invoked on schedule, by a role that may do nothing else, and never twice for one failure", () => {
    expect(program.inputs("Schedule", "cleanup-schedule")).toMatchObject({
      scheduleExpression: "rate(10 minutes)",
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: "arn:of:cleanup-function",
        roleArn: "arn:of:cleanup-schedule-role",
        retryPolicy: { maximumRetryAttempts: 0, maximumEventAgeInSeconds: 300 },
      },
    });
    expect(document("RolePolicy", "cleanup-schedule-role", "policy")["Statement"]).toEqual([
      { Effect: "Allow", Action: ["lambda:InvokeFunction"], Resource: ["arn:of:cleanup-function"] },
    ]);
    expect(program.inputs("FunctionEventInvokeConfig", "cleanup-invocations")).toMatchObject({
      ...{ functionName: FUNCTION, maximumRetryAttempts: 0 },
    });
    const dependencies = program.one("Function", "cleanup-function").dependencies;
    expect(dependencies).toContain(program.one("RolePolicy", "cleanup-role").urn);
    expect(program.one("Schedule", "cleanup-schedule").dependencies).toContain(
      program.one("RolePolicy", "cleanup-schedule-role").urn,
    );
  });

  it("keeps its log and what failed, encrypted, for as long as was said", () => {
    expect(program.inputs("LogGroup", "cleanup-logs")).toMatchObject({
      ...{ name: `/aws/lambda/${FUNCTION}`, retentionInDays: 365, kmsKeyId: args.kmsKeyArn },
    });
    expect(program.inputs("Queue", "cleanup-dead-letters")).toMatchObject({
      ...{ messageRetentionSeconds: 1_209_600, kmsMasterKeyId: args.kmsKeyArn },
    });
  });

  it("tells when it fails, doesn't run, is slow or gave up", () => {
    expect(
      Object.entries(buildAlarms(args)).map(([name, { metric, threshold, comparisonOperator, ...rest }]) => [
        ...[name, metric.metricName, comparisonOperator, threshold, metric.period, rest.treatMissingData],
      ]),
    ).toEqual([
      ["failing", "Errors", "GreaterThanThreshold", 0, 1200, "notBreaching"],
      ["stale", "Invocations", "LessThanThreshold", 1, 1200, "breaching"],
      ["slow", "Duration", "GreaterThanThreshold", 810_000, 1200, "notBreaching"],
      ["given-up", "ApproximateNumberOfMessagesVisible", "GreaterThanThreshold", 0, 1200, "notBreaching"],
    ]);
    expect(program.inputs("MetricAlarm", "cleanup-stale")).toMatchObject({
      ...{ dimensions: { FunctionName: FUNCTION }, alarmActions: args.alarmTopicArns },
    });
    expect(program.inputs("MetricAlarm", "cleanup-given-up")).toMatchObject({
      dimensions: { QueueName: `${FUNCTION}-dead-letters` },
    });
  });

  it.each([
    [{ config: { ...config, checkPods: true } }, "config.checkPods is true"],
    [
      { config: { ...config, objectStorage: { ...config.objectStorage!, credentials: "secret" as const } } },
      "use ambient",
    ],
    [{ volumes: [] }, "volumes is empty"],
    [{ volumes: [{ name: "a", directory: "../b" }] }, 'volume directory "../b" is no single name'],
  ])("refuses what can't work (%#)", (changes, message) => {
    expect(() => new CleanupLambda("wrong", { ...args, ...changes })).toThrow(message);
  });
});
