import { accessSync, constants } from "node:fs";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { UsageError } from "./configuration.js";
import type { PodSource } from "./pod-liveness.js";

/*
 * The clients of Kubernetes and of object storage are large: together 60 MiB of memory and a quarter of a second. Most
 * sweeps need neither, so they are loaded when one does.
 */

/** Object storage that is connected when it is first used. */
export function objectStorageWhenUsed(bucket: string, connect: () => Promise<ObjectStorage>): ObjectStorage {
  let connected: Promise<ObjectStorage> | undefined;
  const store = (): Promise<ObjectStorage> => (connected ??= connect());
  return {
    bucket,
    putFile: async (...args) => (await store()).putFile(...args),
    putBytes: async (...args) => (await store()).putBytes(...args),
    putStream: async (...args) => (await store()).putStream(...args),
    open: async (...args) => (await store()).open(...args),
    close: () => void connected?.then((used) => used.close()).catch(() => undefined),
  };
}

/** Whoever answers about pods, once somebody asks. Throws UsageError at once where it is clear that nobody can. */
export function podsWhenUsed(
  namespace: string,
  kubeconfig: string | undefined,
  onUnknown: (pod: string, problem: string) => void,
): PodSource {
  if (kubeconfig === undefined && !process.env["KUBERNETES_SERVICE_HOST"]) {
    throw new UsageError("no Kubernetes cluster is configured: run in a pod, or set checkPods to false");
  }
  if (kubeconfig !== undefined) requireReadable(kubeconfig);
  let loaded: Promise<PodSource> | undefined;
  const load = async (): Promise<PodSource> => {
    const { configurationFrom, podsOfCluster } = await import("./pod-liveness.js");
    return podsOfCluster(namespace, configurationFrom(kubeconfig), { onUnknown });
  };
  return { liveness: async (ofNamespace, pod) => (await (loaded ??= load())).liveness(ofNamespace, pod) };
}

function requireReadable(kubeconfig: string): void {
  try {
    accessSync(kubeconfig, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`the kubeconfig ${kubeconfig} can't be read (${code}): name one with --kubeconfig`);
  }
}
