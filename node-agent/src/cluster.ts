import {
  ApiException,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  ServerConfiguration,
  Watch,
  createConfiguration,
  setHeaderOptions,
} from "@kubernetes/client-node";
import type { V1Node, V1PersistentVolume } from "@kubernetes/client-node";
import { kubernetesRequests } from "@video-storage/contract/kubernetes-requests";

import { ClusterUnavailableError } from "./cluster-unavailable.js";
import type { PatchOperation, Volume } from "./decisions.js";
import { KEYS } from "./volume-object.js";

const REQUEST_TIMEOUT_MILLISECONDS = 15_000;

/** The cluster of a kubeconfig, by default the one that the pod runs in. Throws where there is none. */
export function clusterOf(kubeconfig: string | undefined): Cluster {
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  return new Cluster(config);
}

/** The few calls that the agent makes. */
export class Cluster {
  private readonly core: CoreV1Api;
  private readonly kubeConfig: KubeConfig;

  constructor(kubeConfig: KubeConfig) {
    this.kubeConfig = kubeConfig;
    const cluster = kubeConfig.getCurrentCluster();
    if (!cluster)
      throw new ClusterUnavailableError("no cluster is configured: run in a pod, or give --kubeconfig");
    this.core = new CoreV1Api(
      createConfiguration({
        baseServer: new ServerConfiguration(cluster.server, {}),
        authMethods: { default: kubeConfig },
        promiseMiddleware: [kubernetesRequests({ timeoutMilliseconds: REQUEST_TIMEOUT_MILLISECONDS })],
      }),
    );
  }

  async node(name: string): Promise<V1Node> {
    return ask(() => this.core.readNode({ name }), `node ${name}`);
  }

  /** The `kubernetes.io/hostname` of every node. */
  async hostnames(): Promise<Set<string>> {
    const { items } = await ask(() => this.core.listNode(), "the nodes");
    return new Set(items.map(hostnameOf));
  }

  /** Sets labels and annotations of a node; null removes one. */
  async noteOnNode(
    name: string,
    metadata: { labels: Record<string, string | null>; annotations: Record<string, string | null> },
  ): Promise<void> {
    await ask(
      () =>
        this.core.patchNode(
          { name, body: { metadata } },
          setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
        ),
      `node ${name}`,
    );
  }

  async volumes(selector: string): Promise<Volume[]> {
    const { items } = await ask(
      () => this.core.listPersistentVolume({ labelSelector: selector }),
      "the PersistentVolumes",
    );
    return items.map(volumeOf);
  }

  /** As it is now, and not as a list of a while ago had it; undefined where there is none. */
  async volume(name: string): Promise<Volume | undefined> {
    try {
      return volumeOf(await this.core.readPersistentVolume({ name }));
    } catch (error) {
      if (error instanceof ApiException && error.code === 404) return undefined;
      throw unavailable(error, `PersistentVolume ${name}`);
    }
  }

  async createVolume(body: V1PersistentVolume): Promise<void> {
    await ask(() => this.core.createPersistentVolume({ body }), `PersistentVolume ${body.metadata?.name}`);
  }

  /** The annotations of this very claim; undefined where it is gone. */
  async claimAnnotations(claim: {
    namespace: string;
    name: string;
    uid: string;
  }): Promise<Record<string, string> | undefined> {
    const { namespace, name, uid } = claim;
    try {
      const { metadata } = await this.core.readNamespacedPersistentVolumeClaim({ namespace, name });
      return metadata?.uid === uid ? (metadata.annotations ?? {}) : undefined;
    } catch (error) {
      if (error instanceof ApiException && error.code === 404) return undefined;
      throw unavailable(error, `claim ${namespace}/${name}`);
    }
  }

  /** Changes a volume; false where one of the tests in the patch fails: it has changed meanwhile. */
  async patchVolume(name: string, body: readonly PatchOperation[]): Promise<boolean> {
    try {
      await this.core.patchPersistentVolume(
        { name, body },
        setHeaderOptions("Content-Type", PatchStrategy.JsonPatch),
      );
      return true;
    } catch (error) {
      // A failed test is 422; a volume that is gone, or was changed in the same instant, is another answer.
      if (error instanceof ApiException && [404, 409, 422].includes(error.code)) return false;
      throw unavailable(error, `PersistentVolume ${name}`);
    }
  }

  /** Deletes this very volume, and none that took its name; false where it is gone. */
  async deleteVolume({ name, uid }: Volume): Promise<boolean> {
    return deleted(() => this.core.deletePersistentVolume({ name, body: { preconditions: { uid } } }), name);
  }

  /** Deletes this very claim, and none that took its name; false where it is gone. */
  async deleteClaim(claim: { namespace: string; name: string; uid: string }): Promise<boolean> {
    const { namespace, name, uid } = claim;
    return deleted(
      () =>
        this.core.deleteNamespacedPersistentVolumeClaim({
          namespace,
          name,
          body: { preconditions: { uid } },
        }),
      `${namespace}/${name}`,
    );
  }

  /** Calls back whenever one of the volumes may have changed, until the signal; goes on after every failure. */
  watchVolumes(selector: string, changed: () => void, stop: AbortSignal): void {
    const begin = async (): Promise<void> => {
      if (stop.aborted) return;
      const again = (): void => {
        changed();
        setTimeout(() => void begin(), 1000).unref();
      };
      try {
        const controller = await new Watch(this.kubeConfig).watch(
          "/api/v1/persistentvolumes",
          { labelSelector: selector, allowWatchBookmarks: true, timeoutSeconds: 300 },
          changed,
          again,
        );
        stop.addEventListener("abort", () => controller.abort(), { once: true });
      } catch {
        again();
      }
    };
    void begin();
  }
}

export function hostnameOf(node: V1Node): string {
  return node.metadata?.labels?.["kubernetes.io/hostname"] ?? node.metadata?.name ?? "";
}

/** Selects the volumes of one node. */
export function ofNode(hostname: string): string {
  return `${KEYS.node}=${hostname}`;
}

function volumeOf({ metadata, spec, status }: V1PersistentVolume): Volume {
  const claim = spec?.claimRef;
  return {
    name: metadata!.name!,
    uid: metadata!.uid!,
    phase: status?.phase ?? "",
    labels: metadata!.labels ?? {},
    annotations: metadata!.annotations ?? {},
    storageClass: spec?.storageClassName ?? "",
    path: spec?.local?.path,
    claim: claim && { namespace: claim.namespace ?? "", name: claim.name ?? "", uid: claim.uid || undefined },
    deleting: metadata!.deletionTimestamp !== undefined,
    phaseSince: status?.lastPhaseTransitionTime && new Date(status.lastPhaseTransitionTime),
  } as Volume;
}

async function ask<T>(call: () => Promise<T>, about: string): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw unavailable(error, about);
  }
}

async function deleted(call: () => Promise<unknown>, about: string): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    if (error instanceof ApiException && [404, 409].includes(error.code)) return false;
    throw unavailable(error, about);
  }
}

function unavailable(error: unknown, about: string): ClusterUnavailableError {
  if (!(error instanceof ApiException)) {
    const { message, cause } = error as Error;
    return new ClusterUnavailableError(
      `Kubernetes gives no answer about ${about}: ${cause instanceof Error ? cause.message : message}`,
    );
  }
  const said = typeof error.body === "string" ? error.body : JSON.stringify(error.body);
  let message = said;
  try {
    message = (JSON.parse(said) as { message?: string }).message ?? said;
  } catch {
    // Not every answer is Kubernetes's own.
  }
  return new ClusterUnavailableError(
    `Kubernetes answers ${error.code} about ${about}: ${message.slice(0, 300)}`,
  );
}
