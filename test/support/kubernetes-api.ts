import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

import { KubeConfig } from "@kubernetes/client-node";

type StoredObject = Record<string, unknown> & {
  kind: string;
  metadata: Record<string, unknown> & { name: string; namespace?: string };
};

const KINDS: Record<string, { kind: string; name: string; namespaced: boolean }[]> = {
  "/api/v1": [
    { kind: "Namespace", name: "namespaces", namespaced: false },
    { kind: "ConfigMap", name: "configmaps", namespaced: true },
    { kind: "Secret", name: "secrets", namespaced: true },
    { kind: "PersistentVolume", name: "persistentvolumes", namespaced: false },
    { kind: "PersistentVolumeClaim", name: "persistentvolumeclaims", namespaced: true },
    { kind: "ResourceQuota", name: "resourcequotas", namespaced: true },
    { kind: "Pod", name: "pods", namespaced: true },
  ],
  "/apis/batch/v1": [{ kind: "Job", name: "jobs", namespaced: true }],
  "/apis/networking.k8s.io/v1": [{ kind: "NetworkPolicy", name: "networkpolicies", namespaced: true }],
};

/**
 * As much of the Kubernetes API as applying uses, in this process: objects by path, resource versions,
 * status as the test sets it. It decides nothing; what real controllers do is tested on the local cluster.
 */
export class KubernetesApi {
  readonly objects = new Map<string, StoredObject>();
  /** `METHOD path` of every change, in order. */
  readonly changes: string[] = [];
  /** Statuses to answer the next requests with instead, oldest first. */
  readonly failures: { status: number; message: string }[] = [];
  /** Called after each apply; sets the status that a controller would. */
  onApply: (object: StoredObject) => void = () => undefined;
  /** What containers wrote, by pod. */
  readonly logs = new Map<string, string>();

  private version = 0;
  private readonly server = http.createServer((request, response) => void this.answer(request, response));

  async start(): Promise<KubeConfig> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    const config = new KubeConfig();
    const { port } = this.server.address() as AddressInfo;
    config.loadFromOptions({
      clusters: [{ name: "test", server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
      users: [{ name: "test" }],
      contexts: [{ name: "test", cluster: "test", user: "test" }],
      currentContext: "test",
    });
    return config;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Puts an object there as if somebody else had. */
  put(path: string, object: StoredObject): void {
    this.objects.set(path, object);
  }

  private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { pathname: path } = new URL(request.url!, "http://test");
    const body = await text(request);
    const reply = (status: number, content: unknown) =>
      response
        .writeHead(status, { "content-type": "application/json" })
        .end(typeof content === "string" ? content : JSON.stringify(content));
    if (KINDS[path]) return void reply(200, { resources: KINDS[path] });
    const failure = this.failures.shift();
    if (failure) return void reply(failure.status, { message: failure.message });
    if (path.endsWith("/log")) return void reply(200, this.logs.get(path.split("/").at(-2)!) ?? "");
    if (path.endsWith("/pods")) {
      return void reply(200, { items: [...this.objects.values()].filter(({ kind }) => kind === "Pod") });
    }
    const before = this.objects.get(path);
    if (request.method !== "GET") this.changes.push(`${request.method} ${path}`);
    if (request.method === "PATCH")
      return void reply(200, this.patch(path, before, JSON.parse(body) as StoredObject));
    if (!before) return void reply(404, { message: `${path} not found` });
    if (request.method === "DELETE") this.objects.delete(path);
    return void reply(200, before);
  }

  private patch(path: string, before: StoredObject | undefined, change: StoredObject): StoredObject {
    const { metadata = { name: "" }, ...rest } = change;
    const { resourceVersion, uid, ...oldMetadata } = before?.metadata ?? { name: "" };
    const merged = { ...before, ...rest, metadata: { ...oldMetadata, ...metadata } } as StoredObject;
    const same =
      before !== undefined && JSON.stringify({ ...before, metadata: oldMetadata }) === JSON.stringify(merged);
    const after = {
      ...merged,
      metadata: {
        ...merged.metadata,
        uid: uid ?? path,
        resourceVersion: same ? resourceVersion : String(++this.version),
      },
    };
    this.objects.set(path, after);
    this.onApply(after);
    return this.objects.get(path)!;
  }
}
