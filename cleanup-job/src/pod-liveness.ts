import { KubeConfig } from "@kubernetes/client-node";
import { KubernetesConnection } from "@video-storage/contract/kubernetes-connection";
import type { KubernetesAnswer } from "@video-storage/contract/kubernetes-connection";
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
 * Asks Kubernetes. Only a clear answer counts as dead: that Kubernetes says there is none, or a phase that a pod doesn't
 * leave. Everything else (no answer within 5 seconds, no permission, a server that is ill, or another server) is `unknown`.
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
  const connection = new KubernetesConnection(cluster, kubeConfig);
  const ask: Ask = (path) => connection.ask(path, { withinMilliseconds: timeoutMilliseconds });
  const answers = new Map<string, Promise<PodLiveness>>();
  return {
    liveness(ofNamespace, pod) {
      if (ofNamespace !== namespace) return Promise.resolve("unknown");
      const known = answers.get(pod);
      if (known) return known;
      const asked = livenessOf(ask, namespace, pod, onUnknown);
      answers.set(pod, asked);
      return asked;
    },
  };
}

type Ask = (path: string) => Promise<KubernetesAnswer>;

async function livenessOf(
  ask: Ask,
  namespace: string,
  name: string,
  onUnknown: NonNullable<PodOptions["onUnknown"]>,
): Promise<PodLiveness> {
  try {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
    const { status, body } = await ask(path);
    if (status === 404 && isStatusOfKubernetes(body)) return "dead";
    if (status !== 200) throw new Error(`status ${status}`);
    const { phase } = (JSON.parse(body) as { status?: { phase?: unknown } }).status ?? {};
    return phase === "Succeeded" || phase === "Failed" ? "dead" : "alive";
  } catch (error) {
    onUnknown(name, (error as Error).message);
    return "unknown";
  }
}

/** Anybody else's 404, such as a proxy's, says nothing about the pod. */
function isStatusOfKubernetes(body: string): boolean {
  try {
    return (JSON.parse(body) as { kind?: unknown } | null)?.kind === "Status";
  } catch {
    return false;
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
