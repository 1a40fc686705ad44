import {
  ApiException,
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  ServerConfiguration,
} from "@kubernetes/client-node";
import { kubernetesRequests } from "@video-storage/contract/kubernetes-requests";
import type { PodLiveness } from "@video-storage/contract/plan";
import { UsageError } from "./configuration.js";

/** Whoever knows whether a pod lives. */
export interface PodSource {
  liveness(namespace: string, pod: string): Promise<PodLiveness>;
}

export interface PodOptions {
  readonly timeoutMilliseconds?: number;
  /** Told why a pod's answer isn't known: a missing permission would otherwise keep jobs for ever unnoticed. */
  readonly onUnknown?: (pod: string, problem: string) => void;
}

/**
 * Asks Kubernetes. Only a clear answer counts as dead: 404, or a phase that a pod doesn't leave. Everything
 * else (no answer within 5 seconds, no permission, a server that is ill) is `unknown`.
 *
 * One namespace, because the Role that the sweep runs under covers one.
 */
export function podsOfCluster(
  namespace: string,
  kubeConfig: KubeConfig = inCluster(),
  { timeoutMilliseconds = 5_000, onUnknown = () => {} }: PodOptions = {},
): PodSource {
  const cluster = kubeConfig.getCurrentCluster();
  if (!cluster)
    throw new UsageError("no Kubernetes cluster is configured: run in a pod, or set checkPods to false");
  const api = new CoreV1Api(
    createConfiguration({
      baseServer: new ServerConfiguration(cluster.server, {}),
      authMethods: { default: kubeConfig },
      promiseMiddleware: [kubernetesRequests({ timeoutMilliseconds })],
    }),
  );
  const answers = new Map<string, Promise<PodLiveness>>();
  return {
    liveness(ofNamespace, pod) {
      if (ofNamespace !== namespace) return Promise.resolve("unknown");
      const known = answers.get(pod);
      if (known) return known;
      const asked = ask(api, namespace, pod, onUnknown);
      answers.set(pod, asked);
      return asked;
    },
  };
}

async function ask(
  api: CoreV1Api,
  namespace: string,
  name: string,
  onUnknown: NonNullable<PodOptions["onUnknown"]>,
): Promise<PodLiveness> {
  try {
    const pod = await api.readNamespacedPod({ name, namespace });
    return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed" ? "dead" : "alive";
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) return "dead";
    const { message, cause } = error as Error;
    // An ApiException's message holds the answer's body and headers.
    const problem = error instanceof ApiException ? `status ${error.code}` : message;
    onUnknown(name, cause instanceof Error ? `${problem}: ${cause.message}` : problem);
    return "unknown";
  }
}

/** From a file, or without one the pod's own. */
export function configurationFrom(file: string | undefined): KubeConfig {
  if (file === undefined) return inCluster();
  const configuration = new KubeConfig();
  configuration.loadFromFile(file);
  return configuration;
}

function inCluster(): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (process.env["KUBERNETES_SERVICE_HOST"]) kubeConfig.loadFromCluster();
  return kubeConfig;
}
