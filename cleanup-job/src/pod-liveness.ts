import {
  ApiException,
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  ServerConfiguration,
} from "@kubernetes/client-node";
import type { PodLiveness } from "./plan.js";

/** Whoever knows whether a pod lives. */
export interface PodSource {
  liveness(namespace: string, pod: string): Promise<PodLiveness>;
}

const TIMEOUT_MILLISECONDS = 5_000;

/**
 * Asks Kubernetes. Only a clear answer counts as dead: 404, or a phase that a pod doesn't leave. Everything
 * else (no answer within 5 seconds, no permission, a server that is ill) is `unknown`.
 *
 * One namespace, because the Role that the sweep runs under covers one.
 */
export function podsOfCluster(namespace: string, kubeConfig: KubeConfig = inCluster()): PodSource {
  const cluster = kubeConfig.getCurrentCluster();
  if (!cluster)
    throw new Error("no Kubernetes cluster is configured: run in a pod, or set checkPods to false");
  const api = new CoreV1Api(
    createConfiguration({
      baseServer: new ServerConfiguration(cluster.server, {}),
      authMethods: { default: kubeConfig },
      promiseMiddleware: [
        {
          pre: async (context) => {
            context.setSignal(AbortSignal.timeout(TIMEOUT_MILLISECONDS));
            return context;
          },
          post: async (context) => context,
        },
      ],
    }),
  );
  const answers = new Map<string, Promise<PodLiveness>>();
  return {
    liveness(ofNamespace, pod) {
      if (ofNamespace !== namespace) return Promise.resolve("unknown");
      const known = answers.get(pod);
      if (known) return known;
      const asked = ask(api, namespace, pod);
      answers.set(pod, asked);
      return asked;
    },
  };
}

async function ask(api: CoreV1Api, namespace: string, name: string): Promise<PodLiveness> {
  try {
    const pod = await api.readNamespacedPod({ name, namespace });
    return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed" ? "dead" : "alive";
  } catch (error) {
    return error instanceof ApiException && error.code === 404 ? "dead" : "unknown";
  }
}

function inCluster(): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (process.env["KUBERNETES_SERVICE_HOST"]) kubeConfig.loadFromCluster();
  return kubeConfig;
}
