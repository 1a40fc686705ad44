import * as pulumi from "@pulumi/pulumi";

import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { awsPlaceholders } from "./aws-placeholders.js";
import { OPTIONAL_SECRET_KEYS, SECRET_KEYS } from "./config.js";
import { GeneratedSecrets } from "./generated-secrets.js";
import { manifestsOf } from "./manifests.js";
import type { Manifest } from "./manifests.js";
import { settled, startRecording } from "./recording-monitor.js";
import type { RecordedResource } from "./recording-monitor.js";
import { PROJECT, stackConfiguration } from "./stack-files.js";
import type { ConfigValues } from "./stack-files.js";

export interface RenderOptions {
  /** The stack's name, such as `local`. */
  readonly stack: string;
  /** Configuration over that of Pulumi.yaml and Pulumi.{stack}.yaml: objects are merged, lists replaced. */
  readonly config?: ConfigValues;
  /** Values of the secret keys; placeholders where they aren't given, for manifests that are only looked at. */
  readonly secretConfig?: Readonly<Partial<Record<(typeof SECRET_KEYS)[number], string>>>;
  /** File (mode 0600) that keeps generated passwords and keys the same from run to run. Without it they are new every time. */
  readonly keepSecretsIn?: string;
  /** Is called after each resource, with how many have been declared so far. */
  readonly onDeclared?: (count: number) => void;
}

/** The stack's outputs; the same whichever way it was brought up. */
export type StackOutputs = StackContract & {
  readonly contract: StackContract;
  /** What the probe found out about the bucket's endpoint; null without object storage, or without an engine. */
  readonly objectStorageCapabilities: ObjectStorageCapabilities | null;
};

export interface Rendered {
  /** Everything declared, components and providers too, in order of registration. */
  readonly resources: RecordedResource[];
  /** The Kubernetes objects, each after what it depends on. */
  readonly manifests: Manifest[];
  readonly outputs: StackOutputs;
}

/** Runs the program in this process, which can be done once; `render` does it in a new one. */
export async function renderProgram(options: RenderOptions): Promise<Rendered> {
  const secrets = new GeneratedSecrets(options.keepSecretsIn);
  const recording = await startRecording({
    project: PROJECT,
    stack: options.stack,
    stateOf: (type, name, inputs) =>
      secrets.stateOf(type, name, inputs) ?? awsPlaceholders(type, name, inputs) ?? inputs,
    ...(options.onDeclared && { onDeclared: options.onDeclared }),
  });
  const values = {
    context: "none",
    ...stackConfiguration(options.stack, options.config),
    ...Object.fromEntries(
      SECRET_KEYS.map((key) => [
        key,
        options.secretConfig?.[key] ?? (OPTIONAL_SECRET_KEYS.includes(key) ? "" : "placeholder"),
      ]),
    ),
  };
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(values).map(([key, value]) => [
        `${PROJECT}:${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
    SECRET_KEYS.map((key) => `${PROJECT}:${key}`),
  );

  const program = (await import("./index.js")) as Record<string, unknown>;
  await settled();
  secrets.save();
  const outputs = await new Promise<StackOutputs>((resolve) => {
    pulumi.output({ ...program }).apply((value) => resolve(value as unknown as StackOutputs));
  });
  return { resources: recording.resources, manifests: manifestsOf(recording.resources), outputs };
}
