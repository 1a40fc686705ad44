import { setTimeout as sleep } from "node:timers/promises";

import type { KubeConfig } from "@kubernetes/client-node";
import { KubernetesConnection, NoAnswerError } from "@video-storage/contract/kubernetes-connection";
import type { KubernetesAnswer } from "@video-storage/contract/kubernetes-connection";

import type { KubernetesObject } from "../manifests.js";

/** What names an object in the API. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** An object as the API returns it. */
export interface LiveObject extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & {
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly deletionTimestamp?: string;
  };
  readonly status?: Record<string, unknown>;
}

/** The API refused, or could not be reached. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** Who applies, in `metadata.managedFields`. */
export const FIELD_MANAGER = "video-storage";

const ATTEMPTS = 6;
const REQUEST_TIMEOUT = 30_000;
const TRANSIENT_STATUS = new Set([429, 500, 502, 503, 504]);

/**
 * The few calls that applying needs, over the connection and credentials of a kubeconfig. Objects go as
 * they are: client-node's own calls rename fields to those of its models first, and would drop the `from`
 * of a NetworkPolicy, which it calls `_from`.
 */
export class ClusterClient {
  private readonly connection: KubernetesConnection;
  private readonly resources = new Map<
    string,
    Promise<Map<string, { plural: string; namespaced: boolean }>>
  >();

  constructor(kubeConfig: KubeConfig) {
    const cluster = kubeConfig.getCurrentCluster();
    if (!cluster)
      throw new ClusterError("the kubeconfig names no current cluster; choose one with a context");
    // Straight to the server, also where the kubeconfig names a proxy.
    this.connection = new KubernetesConnection({ server: cluster.server }, kubeConfig);
  }

  /** Creates the object or changes what of it is ours, taking over fields that others have set. */
  async apply(object: KubernetesObject): Promise<LiveObject> {
    const path = `${await this.pathOf(object)}?fieldManager=${FIELD_MANAGER}&force=true`;
    return this.json("PATCH", path, object, "application/apply-patch+yaml");
  }

  /** Changes single fields; null removes one. */
  async merge(reference: ObjectReference, patch: unknown): Promise<LiveObject> {
    return this.json("PATCH", await this.pathOf(reference), patch, "application/merge-patch+json");
  }

  /** Undefined where there is none. */
  async read(reference: ObjectReference): Promise<LiveObject | undefined> {
    return absentWhenNotFound(this.json("GET", await this.pathOf(reference)));
  }

  /** Begins the deletion of the object and what it owns; false where there is none. */
  async delete(reference: ObjectReference): Promise<boolean> {
    const options = { propagationPolicy: "Background" };
    const deleted = this.json("DELETE", await this.pathOf(reference), options, "application/json");
    return (await absentWhenNotFound(deleted)) !== undefined;
  }

  /** The pods of a namespace that carry a label. */
  async pods(namespace: string, selector: string): Promise<LiveObject[]> {
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
    return (await this.json<{ items: LiveObject[] }>("GET", path)).items;
  }

  /** The last lines that a container wrote; empty where there are none to be had. */
  async log(namespace: string, pod: string, container: string, lines: number): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}&tailLines=${lines}`;
    const answer = await this.request("GET", path);
    return answer.status === 200 ? answer.body.trimEnd() : "";
  }

  close(): void {
    this.connection.close();
  }

  private async json<T = LiveObject>(
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once<T>(method, path, body, type);
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof ClusterError) || !isTransient(error)) throw error;
        await sleep(200 * 2 ** attempt);
      }
    }
  }

  private async once<T>(method: string, path: string, body?: unknown, type?: string): Promise<T> {
    const answer = await this.request(method, path, body, type);
    if (answer.status >= 200 && answer.status < 300) return JSON.parse(answer.body) as T;
    throw new ClusterError(`${method} ${path.split("?")[0]}: ${reasonOf(answer)}`, answer.status);
  }

  private async request(
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Promise<KubernetesAnswer> {
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    // Node states no length for the body of a DELETE by itself.
    const headers = content && { "content-length": content.length, "content-type": type };
    try {
      return await this.connection.ask(path, { method, timeout: REQUEST_TIMEOUT, headers }, content);
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      throw new ClusterError(
        `${method} ${path.split("?")[0]}: no answer from ${this.connection.host}: ${error.message}`,
      );
    }
  }

  private async pathOf({ apiVersion, kind, metadata }: ObjectReference): Promise<string> {
    const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    let known = this.resources.get(base);
    if (!known) this.resources.set(base, (known = this.discover(base)));
    const resource = (await known).get(kind);
    if (!resource) throw new ClusterError(`the cluster has no kind ${kind} in ${apiVersion}`, 404);
    const namespace = resource.namespaced ? `/namespaces/${metadata.namespace ?? "default"}` : "";
    return `${base}${namespace}/${resource.plural}/${metadata.name}`;
  }

  private async discover(base: string): Promise<Map<string, { plural: string; namespaced: boolean }>> {
    const list = await this.json<{ resources: { name: string; kind: string; namespaced: boolean }[] }>(
      "GET",
      base,
    );
    const own = list.resources.filter((resource) => !resource.name.includes("/"));
    return new Map(own.map(({ kind, name, namespaced }) => [kind, { plural: name, namespaced }]));
  }
}

function isTransient({ status, message }: ClusterError): boolean {
  // The quota's first count takes a moment, and until then it refuses everything (kubernetes, resource_quota).
  return (
    status === undefined ||
    TRANSIENT_STATUS.has(status) ||
    (status === 403 && message.includes("status unknown"))
  );
}

function reasonOf(answer: KubernetesAnswer): string {
  try {
    return (JSON.parse(answer.body) as { message?: string }).message ?? `status ${answer.status}`;
  } catch {
    return `status ${answer.status}: ${answer.body.slice(0, 200)}`;
  }
}

async function absentWhenNotFound<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof ClusterError && error.status === 404) return undefined;
    throw error;
  }
}
