import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import type { KubernetesObject } from "../../../infra/manifests.js";
import { Failure } from "../../failure.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../../stack.js";
import type { Access } from "./access.js";
import { SERVICES_NAMESPACE } from "./names.js";

const OWNER = "video-storage/environment";

/** The services' namespace, which says whose it is. */
export function servicesNamespace(stateDirectory: string): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: SERVICES_NAMESPACE,
      labels: {
        "app.kubernetes.io/part-of": "video-storage",
        // The slots are mounted by a privileged pod, and node-exporter sees the node's filesystems.
        "pod-security.kubernetes.io/enforce": "privileged",
      },
      annotations: { [OWNER]: ownerOf(stateDirectory) },
    },
  };
}

/** Whether the cluster's services namespace is this environment's. Undefined where there is none. */
export async function isOurs({ client }: Access, stateDirectory: string): Promise<boolean | undefined> {
  const live = await client.read(servicesNamespace(stateDirectory));
  return live && live.metadata.annotations?.[OWNER] === ownerOf(stateDirectory);
}

/**
 * Sees to it that this environment may use the cluster, and waits for an earlier one of its own that is on its
 * way out. Throws {@link Failure} where the services' namespace or one of the stack's is somebody else's.
 */
export async function refuseIfTaken(access: Access, stateDirectory: string): Promise<void> {
  const { client, context } = access;
  const namespace = servicesNamespace(stateDirectory);
  let live = await client.read(namespace);
  for (let tries = 0; live?.metadata.deletionTimestamp !== undefined && tries < 240; tries++) {
    await sleep(500);
    live = await client.read(namespace);
  }
  const owner = live?.metadata.annotations?.[OWNER];
  if (live && owner !== ownerOf(stateDirectory)) {
    throw taken(context, SERVICES_NAMESPACE, `it belongs to ${owner ?? "somebody else"}`);
  }
  if (live) return;
  for (const name of [SYSTEM_NAMESPACE, WORKERS_NAMESPACE]) {
    const reference = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
    if (await client.read(reference)) throw taken(context, name, "this environment did not make it");
  }
}

function taken(context: string, namespace: string, why: string): Failure {
  return new Failure(
    `The cluster of context ${context} has a namespace ${namespace} already, and ${why}.`,
    "Destroy that environment where it was started, or use another cluster.",
  );
}

function ownerOf(stateDirectory: string): string {
  return `${hostname()}:${stateDirectory}`;
}
