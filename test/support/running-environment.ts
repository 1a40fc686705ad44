import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CoreV1Api } from "@kubernetes/client-node";
import type { ApiType, KubeConfig, V1Pod } from "@kubernetes/client-node";
import { parseStackContract } from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { apiClient } from "../../local/api-client.js";
import { CONTRACT_CONFIG_MAP } from "../../components/lib/mounts.js";
import { unpackDebianPackages } from "../../local/build/debian-packages.js";
import { buildPrograms } from "../../local/build/programs.js";
import { Pods, RUN_LABEL } from "../../local/demo/pods.js";
import { findSandbox } from "../../local/environment/sandbox.js";
import type { Sandbox } from "../../local/environment/sandbox.js";
import { buildStackImages } from "../../local/images/images.js";
import type { StackImages } from "../../local/images/images.js";
import { cacheDirectory, stateDirectory } from "../../local/paths.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../../local/stack.js";
import { kubeConfigOf, local } from "./local-environment.js";
import type { Ended } from "./local-environment.js";

/** With the variable set to anything, the environment is kept after the tests, and the next run of them finds it running. */
export const KEPT = Boolean(process.env["VIDEO_STORAGE_KEEP_ENVIRONMENTS"]);

/** The environment's name, and its images' references by their names in {@link StackImages}; from the setup to the tests. */
const NAME = "TEST_RUNNING_ENVIRONMENT";
const IMAGES = "TEST_RUNNING_IMAGES";

/**
 * Starts the one environment that every file of a project uses, with the engine that `npm start` would choose, and
 * destroys it when the last file is done. Starts that come before that one are `before`'s.
 */
export async function startForAll(
  name: string,
  args: readonly string[],
  before: () => Promise<void> = async () => undefined,
): Promise<{ started: Ended; end: () => Promise<void> }> {
  if (!KEPT) {
    await local("destroy", name);
    await before();
  }
  const started = await local("start", name, ...args);
  if (started.code !== 0) {
    // Whoever fails to set up is not asked to tear down, and its programs would go on.
    if (!KEPT) await local("destroy", name);
    throw new Error(`npm start ended with ${started.code}:\n${started.output}`);
  }
  const sources = {
    directory: join(cacheDirectory(), "images"),
    programs: await buildPrograms(),
    debian: await unpackDebianPackages(),
  };
  const images = Object.entries(await buildStackImages(sources, () => {}));
  process.env[NAME] = name;
  process.env[IMAGES] = JSON.stringify(
    Object.fromEntries(images.map(([image, { reference }]) => [image, reference])),
  );
  const end = async (): Promise<void> => {
    if (KEPT) return;
    const ended = await local("destroy", name);
    if (ended.code !== 0) throw new Error(`npm run destroy ended with ${ended.code}:\n${ended.output}`);
  };
  return { started, end };
}

/** The environment that all files of a project share. Whatever a file adds to it, it removes again. */
export interface RunningEnvironment {
  readonly name: string;
  readonly stateDirectory: string;
  readonly kubeConfig: KubeConfig;
  readonly core: CoreV1Api;
  readonly contract: StackContract;
  /** Namespace of what is not the workers'. */
  readonly systemNamespace: string;
  /** By digest, as the cluster has them. */
  readonly images: Readonly<Record<keyof StackImages, string>>;
  /** The node as a machine: its mounts, processes and network. */
  readonly node: Sandbox;
  api<T extends ApiType>(type: new (...args: never[]) => T): T;
  /** Pods of the calling file, in the workers' namespace unless another is given; close them at the end. */
  pods(namespace?: string): TestPods;
}

/** The name of the environment that the project's setup started. */
export const runningName = (): string => process.env[NAME]!;

/** The environment that the project's setup started, as the calling file's process sees it. */
export async function runningEnvironment(): Promise<RunningEnvironment> {
  const name = runningName();
  const state = stateDirectory(name);
  const kubeConfig = kubeConfigOf(name);
  const core = apiClient(kubeConfig, CoreV1Api);
  const { data } = await core.readNamespacedConfigMap({
    namespace: WORKERS_NAMESPACE,
    name: CONTRACT_CONFIG_MAP,
  });
  const contract = parseStackContract(JSON.parse(data!["contract.json"]!));
  return {
    name,
    stateDirectory: state,
    kubeConfig,
    core,
    contract,
    systemNamespace: SYSTEM_NAMESPACE,
    images: JSON.parse(process.env[IMAGES]!) as Record<keyof StackImages, string>,
    node: (await findSandbox(state))!,
    api: (type) => apiClient(kubeConfig, type as never),
    pods: (namespace = contract.namespace) => new TestPods(join(state, "admin.kubeconfig"), namespace, core),
  };
}

/** The same, with the jobs that `npm start` ran ended: for a file that has the slots. */
export async function environmentWithoutJobs(): Promise<RunningEnvironment> {
  const environment = await runningEnvironment();
  await removePods(environment.core, environment.contract.namespace, RUN_LABEL);
  return environment;
}

/** Removes pods, and waits until they are gone and have let go of their volumes. */
async function removePods(core: CoreV1Api, namespace: string, labelSelector: string): Promise<void> {
  // With no grace at all, the API server forgets a pod before its processes have ended.
  await core.deleteCollectionNamespacedPod({ namespace, labelSelector, gracePeriodSeconds: 1 });
  let left: V1Pod[];
  do {
    await sleep(200);
    left = (await core.listNamespacedPod({ namespace, labelSelector })).items;
  } while (left.length > 0);
}

/** Metadata and spec, as the builders of pods return them. */
export interface PodBody {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: object;
}

/** Pods that a test makes, kept apart from everybody else's. */
export class TestPods {
  private readonly run = randomBytes(4).toString("hex");
  private readonly pods: Pods;
  private readonly namespace: string;
  private readonly core: CoreV1Api;

  constructor(kubeconfig: string, namespace: string, core: CoreV1Api) {
    this.namespace = namespace;
    this.core = core;
    this.pods = new Pods(kubeconfig, namespace, this.run);
  }

  /** Creates a pod and returns its full name. */
  create(name: string, body: PodBody): Promise<string> {
    return this.pods.create(name, body);
  }

  /** Waits until a pod has printed a JSON line with this event, and returns the line. */
  said(pod: string, event = "result", seconds?: number): Promise<Record<string, unknown>> {
    return this.pods.said(pod, event, seconds);
  }

  /** Creates a pod, and waits for the JSON line with the event `result` that it prints. */
  async result(name: string, body: PodBody): Promise<Record<string, unknown>> {
    return this.said(await this.create(name, body));
  }

  /** Waits until a pod has ended, and returns whether it did so with 0. */
  ended(pod: string, seconds?: number): Promise<boolean> {
    return this.pods.ended(pod, seconds);
  }

  /** Removes every pod of this object. */
  close(): Promise<void> {
    return removePods(this.core, this.namespace, `${RUN_LABEL}=${this.run}`);
  }
}

/** Command of a container that runs an ECMAScript module's text with the image's Node.js. */
export function nodeCommand(script: string): string[] {
  return ["/usr/local/bin/node", "--input-type=module", "-e", script];
}
