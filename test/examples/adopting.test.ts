import { globSync } from "node:fs";
import { pathToFileURL } from "node:url";

import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { fenced, projectFile, tableRows } from "../documents/markdown.js";
import { image } from "../support/local-configuration.js";
import { declared } from "../support/recorder.js";
import type { Declared } from "../support/recorder.js";

const FILES = globSync("examples/adopting/*.ts", { cwd: PROJECT_DIRECTORY }).sort();
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

const document = projectFile("docs/adopting-one-component.md");
const rows = tableRows(document.split("<!-- examples:begin -->")[1]!.split("<!-- examples:end -->")[0]!);

/** Every kind of resource and how many of it there are, as the document says it. */
function told({ resources }: Declared): string {
  const kinds = resources.map(({ type, custom }) =>
    type.startsWith("pulumi:providers:")
      ? `provider ${type.split(":").at(-1)!}`
      : custom
        ? type.split(":").at(-1)!
        : undefined,
  );
  const counts = new Map<string, number>();
  for (const kind of kinds) if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const isProvider = (kind: string): boolean => kind.startsWith("provider ");
  return [...counts]
    .sort(([a], [b]) => Number(isProvider(a)) - Number(isProvider(b)) || (a < b ? -1 : 1))
    .map(([kind, count]) => (count === 1 ? kind : `${count} ${kind}`))
    .join(", ");
}

async function run(file: string): Promise<Declared> {
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

describe.each(FILES)("%s", (file) => {
  let program: Declared;
  beforeAll(async () => {
    program = await run(file);
  });

  it("declares what it says, each with a provider of its own", () => {
    const row = rows.find(([example]) => example!.endsWith(`](../${file})`));
    expect(row?.[2]).toBe(told(program));
    const ambient = program.resources.filter(
      ({ custom, type, provider }) => custom && !type.startsWith("pulumi:providers:") && provider === "",
    );
    expect(ambient.map(({ name }) => name)).toEqual([]);
  });

  it("finishes each component once", () => {
    const components = program.resources.filter(({ custom }) => !custom).map(({ urn }) => urn);
    expect([...program.finished].sort()).toEqual(components.sort());
  });
});

it("every component has an example", () => {
  const used = new Set(
    FILES.flatMap((file) =>
      [...projectFile(file).matchAll(/from "\.\.\/\.\.\/(components\/[\w-]+)\.js"/g)].map(
        (match) => `${match[1]}.ts`,
      ),
    ),
  );
  expect(globSync("components/*.ts", { cwd: PROJECT_DIRECTORY }).filter((file) => !used.has(file))).toEqual(
    [],
  );
});

describe("docs/adopting-one-component.md", () => {
  it("has every workspace that a component imports, and the versions of the lockfile", () => {
    const [text] = fenced(document, ["json"]);
    const theirs = JSON.parse(text!) as { workspaces: string[]; dependencies: Record<string, string> };
    const ours = JSON.parse(projectFile("package.json")) as {
      workspaces: string[];
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    // The policy pack is run by the engine and imported by nobody.
    const needed = ours.workspaces.filter((workspace) => workspace !== "policies");
    expect(theirs.workspaces).toEqual([
      "video-storage",
      ...needed.map((workspace) => `video-storage/${workspace}`),
    ]);
    const pinned = { ...ours.devDependencies, ...ours.dependencies };
    expect(theirs.dependencies).toEqual(
      Object.fromEntries(Object.keys(theirs.dependencies).map((name) => [name, pinned[name]])),
    );
  });
});
