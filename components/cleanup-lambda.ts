// One file each: the package's root takes half a second to load, and every program would wait for it.
import { LogGroup } from "@pulumi/aws/cloudwatch/logGroup.js";
import { MetricAlarm } from "@pulumi/aws/cloudwatch/metricAlarm.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { Function as LambdaFunction } from "@pulumi/aws/lambda/function.js";
import { FunctionEventInvokeConfig } from "@pulumi/aws/lambda/functionEventInvokeConfig.js";
import { Schedule } from "@pulumi/aws/scheduler/schedule.js";
import { Queue } from "@pulumi/aws/sqs/queue.js";
import * as pulumi from "@pulumi/pulumi";

import type { CleanupConfig } from "@video-storage/contract/cleanup-config";

import { childOptions } from "./lib/child-options.js";
import { cleanupLambdaPolicy, serviceTrust } from "./lib/cleanup-lambda-policies.js";

/** Where the file system is mounted in the function; Lambda allows no place outside /mnt. */
export const LAMBDA_MOUNT = "/mnt/video-jobs";

export interface CleanupLambdaArgs {
  /** Name of the stack, in the name of the function and in all tags. */
  readonly environment: string;
  /** In which everything is made. */
  readonly region: string;
  /** The account that everything is made in. */
  readonly accountId: string;
  /** The directory that `cleanup-job/build-lambda.mjs` leaves. */
  readonly code: pulumi.asset.Archive;
  /** The layer of AWS's Parameters and Secrets extension for the region and architecture. */
  readonly secretsLayerArn: string;
  /** Of the code and of the layer. */
  readonly architecture: "arm64" | "x86_64";
  /** `checkPods` false; `objectStorage.credentials` ambient, or no object storage. */
  readonly config: CleanupConfig;
  /** The volumes by their names in the catalogue, each a directory below the access point's root. */
  readonly volumes: readonly { readonly name: string; readonly directory: string }[];
  /** The EFS file system with the volumes. */
  readonly fileSystemArn: string;
  /** Its user owns the volumes: the sweep deletes as their owner, and needs no privilege. */
  readonly accessPointArn: string;
  /** Private, with a way to the catalogue, Secrets Manager and S3. */
  readonly subnetIds: readonly string[];
  /** They let the function reach the mount targets and the catalogue. */
  readonly securityGroupIds: readonly string[];
  /** JSON with username and password. */
  readonly catalogueSecretArn: string;
  /** Null for S3's own key, and where there is no object storage. */
  readonly bucketKeyArn: string | null;
  /** How often, as `rate(10 minutes)` or `cron(…)`; longer than the function's 15 minutes costs nothing. */
  readonly schedule: string;
  /** Of the schedule in seconds: twice without a success is an alarm. */
  readonly periodSeconds: number;
  /** How long CloudWatch keeps the log. */
  readonly logRetentionDays: 1 | 3 | 5 | 7 | 14 | 30 | 60 | 90 | 180 | 365 | 400 | 731;
  /** Encrypts log and queue; null for AWS's own keys. */
  readonly kmsKeyArn: string | null;
  /** Told of alarms. */
  readonly alarmTopicArns: readonly string[];
}

/** The longest that Lambda lets a function run. */
const TIMEOUT_SECONDS = 900;
const DEAD_LETTER_SECONDS = 14 * 86_400;

/**
 * The cleanup job for teams without Kubernetes: a Lambda function that sweeps directories on EFS, on a schedule, one
 * at a time, with a role of its own, a queue for what failed, and alarms.
 */
export class CleanupLambda extends pulumi.ComponentResource {
  /** Name of the function, to invoke it by hand. */
  readonly functionName: pulumi.Output<string>;
  /** Name of the role that it runs as. */
  readonly roleName: pulumi.Output<string>;

  constructor(name: string, args: CleanupLambdaArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:aws:CleanupLambda", name, {}, opts);
    requireUsable(args);
    const child = (own?: pulumi.CustomResourceOptions) => childOptions(this, opts, own);
    const { region } = args;
    const tags = { "video-storage/environment": args.environment, "managed-by": "video-storage" };
    const functionName = cleanupFunctionName(args.environment);
    const kms = args.kmsKeyArn === null ? {} : { kmsKeyId: args.kmsKeyArn };

    const logs = new LogGroup(
      `${name}-logs`,
      { name: `/aws/lambda/${functionName}`, retentionInDays: args.logRetentionDays, ...kms, region, tags },
      child(),
    );
    const deadLetters = new Queue(
      `${name}-dead-letters`,
      {
        name: `${functionName}-dead-letters`,
        messageRetentionSeconds: DEAD_LETTER_SECONDS,
        ...(args.kmsKeyArn === null ? { sqsManagedSseEnabled: true } : { kmsMasterKeyId: args.kmsKeyArn }),
        region,
        tags,
      },
      child(),
    );
    const role = new Role(
      `${name}-role`,
      {
        name: functionName,
        assumeRolePolicy: JSON.stringify(serviceTrust("lambda.amazonaws.com", args.accountId)),
        tags,
      },
      child(),
    );
    const bucket = args.config.objectStorage && {
      name: args.config.objectStorage.bucket,
      kmsKeyArn: args.bucketKeyArn,
    };
    const { fileSystemArn, accessPointArn, catalogueSecretArn } = args;
    const policy = pulumi.all([logs.arn, deadLetters.arn]).apply(([logGroupArn, deadLetterQueueArn]) => {
      const functionArn = `arn:aws:lambda:${region}:${args.accountId}:function:${functionName}`;
      const arns = {
        functionArn,
        logGroupArn,
        deadLetterQueueArn,
        fileSystemArn,
        accessPointArn,
        catalogueSecretArn,
      };
      return JSON.stringify(cleanupLambdaPolicy({ ...arns, bucket }));
    });
    const rolePolicy = new RolePolicy(`${name}-role`, { name: "cleanup", role: role.name, policy }, child());
    const sweep = new LambdaFunction(
      `${name}-function`,
      {
        ...buildCleanupFunction(args),
        name: functionName,
        role: role.arn,
        deadLetterConfig: { targetArn: deadLetters.arn },
        loggingConfig: { logFormat: "JSON", logGroup: logs.name },
        region,
        tags,
      },
      // Without its rights it can't be made: Lambda tries them.
      child({ dependsOn: [rolePolicy, logs] }),
    );
    new FunctionEventInvokeConfig(
      `${name}-invocations`,
      // The next sweep is the retry: it knows what this one left unfinished.
      { functionName: sweep.name, maximumRetryAttempts: 0, maximumEventAgeInSeconds: 300, region },
      child(),
    );
    const scheduler = new Role(
      `${name}-schedule-role`,
      {
        name: `${functionName}-schedule`,
        assumeRolePolicy: JSON.stringify(serviceTrust("scheduler.amazonaws.com", args.accountId)),
        tags,
      },
      child(),
    );
    const mayInvoke = new RolePolicy(
      `${name}-schedule-role`,
      {
        name: "invoke",
        role: scheduler.name,
        policy: sweep.arn.apply((arn) =>
          JSON.stringify({
            Version: "2012-10-17",
            Statement: [{ Effect: "Allow", Action: ["lambda:InvokeFunction"], Resource: [arn] }],
          }),
        ),
      },
      child(),
    );
    new Schedule(
      `${name}-schedule`,
      {
        name: functionName,
        scheduleExpression: args.schedule,
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: sweep.arn,
          roleArn: scheduler.arn,
          retryPolicy: { maximumRetryAttempts: 0, maximumEventAgeInSeconds: 300 },
        },
        region,
      },
      child({ dependsOn: [mayInvoke] }),
    );
    for (const [alarm, settings] of Object.entries(buildAlarms(args))) {
      const { metric, ...rest } = settings;
      const ofQueue = metric.namespace === "AWS/SQS";
      new MetricAlarm(
        `${name}-${alarm}`,
        {
          ...{ ...rest, ...metric, name: `${functionName}-${alarm}`, region, tags },
          dimensions: ofQueue ? { QueueName: deadLetters.name } : { FunctionName: sweep.name },
          alarmActions: [...args.alarmTopicArns],
        },
        child(),
      );
    }

    this.functionName = sweep.name;
    this.roleName = role.name;
    this.registerOutputs({ functionName: this.functionName, roleName: this.roleName });
  }
}

/** The function, its role, its log and its queue are called so. */
export function cleanupFunctionName(environment: string): string {
  return `video-storage-cleanup-${environment}`;
}

function requireUsable({ config, volumes }: CleanupLambdaArgs): void {
  const problems = [
    ...(config.checkPods ? ["config.checkPods is true: there is no Kubernetes to ask"] : []),
    ...(config.objectStorage && config.objectStorage.credentials !== "ambient"
      ? ["config.objectStorage.credentials is secret: the function has a role and no access key; use ambient"]
      : []),
    ...(volumes.length === 0 ? ["volumes is empty: name at least one"] : []),
    ...volumes
      .filter(({ directory }) => !/^[\w-][\w.-]*$/.test(directory))
      .map(
        ({ directory }) => `volume directory ${JSON.stringify(directory)} is no single name below the mount`,
      ),
  ];
  if (problems.length > 0) throw new Error(`the cleanup function can't be made:\n  ${problems.join("\n  ")}`);
}

/** Everything of the function that is known before anything is made. */
export function buildCleanupFunction(args: CleanupLambdaArgs) {
  const volumes = args.volumes.map(({ name, directory }) => ({ name, path: `${LAMBDA_MOUNT}/${directory}` }));
  return {
    description: "Sweeps video jobs on EFS, and looks after their bucket",
    runtime: "nodejs24.x",
    handler: "lambda.handler",
    architectures: [args.architecture],
    code: args.code,
    layers: [args.secretsLayerArn],
    memorySize: 512,
    timeout: TIMEOUT_SECONDS,
    // Two sweeps of one volume never run at once, and on EFS no lock says so.
    reservedConcurrentExecutions: 1,
    vpcConfig: { subnetIds: [...args.subnetIds], securityGroupIds: [...args.securityGroupIds] },
    fileSystemConfig: { arn: args.accessPointArn, localMountPath: LAMBDA_MOUNT },
    environment: {
      variables: {
        VIDEO_STORAGE_CLEANUP_CONFIG: JSON.stringify(args.config),
        VIDEO_STORAGE_VOLUMES: JSON.stringify(volumes),
        // Its name, not what is in it.
        VIDEO_STORAGE_CATALOGUE_SECRET: args.catalogueSecretArn,
      },
    },
    ...(args.kmsKeyArn !== null && { kmsKeyArn: args.kmsKeyArn }),
  };
}

/** What somebody has to be told: it fails, it doesn't run, it takes nearly all of its time, something was given up. */
export function buildAlarms({ periodSeconds }: Pick<CleanupLambdaArgs, "periodSeconds">) {
  // CloudWatch takes whole minutes; a day is the longest that one evaluation may span.
  const period = Math.min(86_400, Math.max(60, Math.ceil((2 * periodSeconds) / 60) * 60));
  const ofLambda = (metricName: string, statistic: string) => ({
    metric: { namespace: "AWS/Lambda", metricName, statistic, period },
    evaluationPeriods: 1,
  });
  const above = { comparisonOperator: "GreaterThanThreshold", treatMissingData: "notBreaching" };
  return {
    failing: {
      ...{ ...ofLambda("Errors", "Sum"), ...above, threshold: 0 },
      alarmDescription:
        "A sweep failed: see the function's log, and docs/cleanup.md for what each reason means",
    },
    stale: {
      ...ofLambda("Invocations", "Sum"),
      ...{ comparisonOperator: "LessThanThreshold", treatMissingData: "breaching", threshold: 1 },
      alarmDescription: "No sweep ran for two periods: is the schedule on, and the concurrency not used up?",
    },
    slow: {
      ...{ ...ofLambda("Duration", "Maximum"), ...above, threshold: 0.9 * TIMEOUT_SECONDS * 1000 },
      alarmDescription:
        "A sweep takes nearly all of the function's time: sweep more often, or fewer volumes each",
    },
    "given-up": {
      metric: {
        ...{
          namespace: "AWS/SQS",
          metricName: "ApproximateNumberOfMessagesVisible",
          statistic: "Maximum",
          period,
        },
      },
      ...{ evaluationPeriods: 1, ...above, threshold: 0 },
      alarmDescription: "An invocation was given up and lies in the dead letter queue",
    },
  };
}
