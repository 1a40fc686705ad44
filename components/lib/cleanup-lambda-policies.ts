import { cleanupPolicy } from "./bucket-policies.js";

/** An AWS IAM policy document. */
export interface IamPolicy {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Readonly<Record<string, unknown>>[];
}

export interface CleanupLambdaPolicyArgs {
  readonly functionArn: string;
  readonly logGroupArn: string;
  readonly fileSystemArn: string;
  readonly accessPointArn: string;
  readonly catalogueSecretArn: string;
  readonly deadLetterQueueArn: string;
  /** Null where there is no object storage. */
  readonly bucket: { readonly name: string; readonly kmsKeyArn: string | null } | null;
}

/** Whoever is that service of AWS may be the role, for this account's own resources only. */
export function serviceTrust(service: string, accountId: string): IamPolicy {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: service },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "aws:SourceAccount": accountId } },
      },
    ],
  };
}

/** What the function may do, and nothing else: one access point, one secret, one queue, one bucket's tenants, its log. */
export function cleanupLambdaPolicy(args: CleanupLambdaPolicyArgs): IamPolicy {
  const allow = (Action: readonly string[], Resource: readonly string[], Condition?: object) => {
    return { Effect: "Allow", Action, Resource, ...(Condition && { Condition }) };
  };
  const ofAccessPoint = { StringEquals: { "elasticfilesystem:AccessPointArn": args.accessPointArn } };
  const mount = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"];
  const { bucket } = args;
  return {
    Version: "2012-10-17",
    Statement: [
      allow(["logs:CreateLogStream", "logs:PutLogEvents"], [`${args.logGroupArn}:*`]),
      allow(mount, [args.fileSystemArn], ofAccessPoint),
      allow(["secretsmanager:GetSecretValue"], [args.catalogueSecretArn]),
      allow(["sqs:SendMessage"], [args.deadLetterQueueArn]),
      // Lambda makes the function's network interfaces with this role. These actions know no narrower resource, and
      // the function's own code gets no use of them: a deny for it follows.
      allow(NETWORK_ACTIONS, ["*"]),
      {
        Effect: "Deny",
        Action: NETWORK_ACTIONS,
        Resource: ["*"],
        Condition: { ArnEquals: { "lambda:SourceFunctionArn": [args.functionArn] } },
      },
      ...(bucket ? cleanupPolicy(bucket.name).Statement : []),
      ...(bucket?.kmsKeyArn ? [allow(["kms:Decrypt", "kms:GenerateDataKey"], [bucket.kmsKeyArn])] : []),
    ],
  };
}

const NETWORK_ACTIONS = [
  "ec2:CreateNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:DeleteNetworkInterface",
  "ec2:AssignPrivateIpAddresses",
  "ec2:UnassignPrivateIpAddresses",
];
