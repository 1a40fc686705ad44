import { globSync } from "node:fs";
import { pathToFileURL } from "node:url";

import * as pulumi from "@pulumi/pulumi";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { image } from "./local-configuration.js";
import { declared } from "./recorder.js";
import type { Declared } from "./recorder.js";

/** The programs of examples/adopting, from the root of the project. */
export const EXAMPLES = globSync("examples/adopting/*.ts", { cwd: PROJECT_DIRECTORY }).sort();

const ACCOUNT = "123456789012";

/** What an installation sets for the examples. */
const CONFIGURATION = {
  kubeconfig: "kubeconfig-of-the-test",
  catalogueAdminUrl: "postgresql://admin:hunter2-of-the-test@postgres/storage",
  nodeAgentImage: image("node-agent"),
  cleanupImage: image("cleanup-job"),
  catalogueImage: image("catalogue"),
  probeImage: image("object-storage-probe"),
  minioImage: image("minio"),
  minioClientImage: image("mc"),
  monitorImage: image("monitor"),
  // Documents of version 1, as a stack that runs has them.
  contractFile: `${PROJECT_DIRECTORY}/test/contract/golden/stack-contract.first.json`,
  cleanupFile: `${PROJECT_DIRECTORY}/test/contract/golden/cleanup-config.first.json`,
  accountId: ACCOUNT,
  secretsLayerArn: "arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets:1",
  fileSystemArn: `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:file-system/fs-1`,
  accessPointArn: `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:access-point/fsap-1`,
  subnetIds: JSON.stringify(["subnet-1"]),
  securityGroupIds: JSON.stringify(["sg-1"]),
  catalogueSecretArn: `arn:aws:secretsmanager:eu-west-1:${ACCOUNT}:secret:catalogue`,
  bucketKeyArn: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/bucket`,
  alarmTopicArn: `arn:aws:sns:eu-west-1:${ACCOUNT}:alarms`,
};

/** What a program declares. Once for each file and process: a module runs when it is first imported. */
export async function declaredBy(file: string): Promise<Declared> {
  const prefixed = Object.entries(CONFIGURATION).map(([key, value]) => [`video-storage:${key}`, value]);
  return declared(
    async () => {
      pulumi.runtime.setAllConfig(Object.fromEntries(prefixed) as Record<string, string>);
      await import(pathToFileURL(`${PROJECT_DIRECTORY}/${file}`).href);
    },
    { stateOf: withArn },
  );
}

/** Providers give back what they made up: here an ARN, and the random values of the recorder. */
function withArn(type: string, name: string, inputs: Record<string, unknown>): Record<string, unknown> {
  if (type.startsWith("random:")) return { ...inputs, result: `${name}-result`, base64: BYTES };
  return { ...inputs, arn: `arn:aws:of:${name}` };
}
const BYTES = Buffer.alloc(32, 1).toString("base64");
