import { join } from "node:path";

import { must } from "../../command.js";
import { Failure } from "../../failure.js";
import { fingerprint } from "../../paths.js";

/**
 * A cluster that kind makes for one environment. The commands were shown with programs that stand for kind and
 * docker, on a cluster built here, and never with a Docker engine: no machine of this project has one.
 */
export interface KindCluster {
  readonly name: string;
  /** Name of its context. */
  readonly context: string;
  readonly kubeconfig: string;
}

/** The cluster of an environment: named after it, and apart from that of the same name in another checkout. */
export function kindClusterOf(environment: string, stateDirectory: string): KindCluster {
  const name = `video-storage-${environment}-${fingerprint(stateDirectory).slice(0, 6)}`;
  return { name, context: `kind-${name}`, kubeconfig: join(stateDirectory, "kind.kubeconfig") };
}

/** Creates the cluster, or starts its nodes where it was stopped. */
export async function ensureKindCluster(
  cluster: KindCluster,
  report: (detail: string) => void,
): Promise<void> {
  const { name, kubeconfig } = cluster;
  if (await exists(cluster)) {
    report("starting its nodes");
    await docker("start", cluster);
    await must("kind", ["export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig]);
    return;
  }
  const args = ["create", "cluster", "--name", name, "--kubeconfig", kubeconfig, "--wait", "3m"];
  await must("kind", args, { onLine: report }).catch((error: Error) => {
    throw new Failure(
      `kind could not create the cluster ${name}: ${error.message}`,
      "Mend what it says, or build a cluster without kind: npm start -- --build.",
    );
  });
}

/** Stops the cluster's nodes; their data stays. */
export async function stopKindCluster(cluster: KindCluster): Promise<void> {
  await docker("stop", cluster);
}

/** Deletes the cluster with everything in it. Returns whether there was one. */
export async function deleteKindCluster(cluster: KindCluster): Promise<boolean> {
  const was = await exists(cluster);
  if (was) {
    await must("kind", ["delete", "cluster", "--name", cluster.name, "--kubeconfig", cluster.kubeconfig]);
  }
  return was;
}

/** Whether the cluster is there, running or stopped. */
export async function exists({ name }: KindCluster): Promise<boolean> {
  return lines(await must("kind", ["get", "clusters"])).includes(name);
}

async function docker(verb: "start" | "stop", { name }: KindCluster): Promise<void> {
  await must("docker", [verb, ...lines(await must("kind", ["get", "nodes", "--name", name]))]);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}
