import { writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

import { AppsV1Api, BatchV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";

import { apiClient } from "../../api-client.js";
import { ClusterClient } from "../../../infra/apply/cluster-client.js";
import { Failure } from "../../failure.js";

/** How somebody's cluster is reached: a kubeconfig with one context, and clients made from it. */
export interface Access {
  readonly kubeconfig: string;
  readonly context: string;
  readonly config: KubeConfig;
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly batch: BatchV1Api;
  readonly client: ClusterClient;
  /** What tells this cluster from every other: the uid of its kube-system namespace. */
  readonly identity: string;
}

/** File of an environment that holds the context it uses and no other. */
export function kubeconfigFile(stateDirectory: string): string {
  return join(stateDirectory, "admin.kubeconfig");
}

/**
 * Copies one context, with its cluster and user, from the given KUBECONFIG value (the default file without one)
 * into the state directory, so that no other cluster of it can be met by mistake. Throws {@link Failure}.
 */
export async function extractContext(
  stateDirectory: string,
  context: string,
  kubeconfig: string = join(homedir(), ".kube", "config"),
): Promise<string> {
  const all = new KubeConfig();
  for (const file of kubeconfig.split(delimiter).filter((part) => part !== "")) {
    const one = new KubeConfig();
    try {
      one.loadFromFile(file);
    } catch (error) {
      throw new Failure(
        `The kubeconfig ${file} can't be read: ${(error as Error).message}`,
        "Set KUBECONFIG to the file that has the context.",
      );
    }
    all.mergeConfig(one, true);
  }
  const found = all.getContextObject(context);
  const cluster = found && all.getCluster(found.cluster);
  const user = found && all.getUser(found.user);
  if (!found || !cluster || !user) {
    const names = all.getContexts().map(({ name }) => name);
    throw new Failure(
      `${kubeconfig} has no complete context ${context}; it has ${names.join(", ") || "none"}.`,
      "Give one of them to --context, or set KUBECONFIG to another file.",
    );
  }
  const single = new KubeConfig();
  single.loadFromOptions({
    clusters: [cluster],
    users: [user],
    contexts: [found],
    currentContext: context,
  });
  const file = kubeconfigFile(stateDirectory);
  await writeFile(file, `${single.exportConfig()}\n`, { mode: 0o600 });
  return file;
}

/** Connects to the cluster of a kubeconfig with one context. Throws {@link Failure} where it doesn't answer. */
export async function openAccess(kubeconfig: string): Promise<Access> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const context = config.getCurrentContext();
  const core = apiClient(config, CoreV1Api);
  const server = config.getCurrentCluster()?.server;
  const system = await withinSeconds(15, core.readNamespace({ name: "kube-system" })).catch(
    (error: Error) => {
      throw new Failure(
        `The cluster of context ${context} (${server}) does not answer as it should: ${error.message.split("\n")[0]}`,
        `See what kubectl --context ${context} get nodes says.`,
      );
    },
  );
  return {
    kubeconfig,
    context,
    config,
    core,
    apps: apiClient(config, AppsV1Api),
    batch: apiClient(config, BatchV1Api),
    client: new ClusterClient(config),
    identity: system.metadata!.uid!,
  };
}

async function withinSeconds<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
