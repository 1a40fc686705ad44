import { writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

import type { V1Node, V1PersistentVolume, V1PersistentVolumeClaim } from "@kubernetes/client-node";

interface Operation {
  readonly op: "test" | "add" | "remove";
  readonly path: string;
  readonly value?: unknown;
}

/**
 * As much of the Kubernetes API as the node agent uses, in this process: nodes, claims, and PersistentVolumes with
 * JSON patches and the phases that the volume controller gives them. What the real ones do is tested on the local
 * cluster; this one is there to be interrupted at any request, thousands of times.
 */
export class VolumeApi {
  readonly nodes = new Map<string, V1Node>();
  readonly volumes = new Map<string, V1PersistentVolume>();
  readonly claims = new Map<string, V1PersistentVolumeClaim>();
  /** `METHOD path` of every request, in order. */
  readonly requests: string[] = [];
  /** Called before a request takes effect, and after, before its answer goes out. */
  onRequest: (when: "before" | "after", number: number) => void = () => {};
  /** Status that requests for these paths get instead of an answer. */
  readonly refusals = new Map<string, number>();

  private uids = 0;
  private readonly watchers = new Set<http.ServerResponse>();
  private readonly server = http.createServer((request, response) => void this.answer(request, response));

  /** Starts to answer and writes a kubeconfig for it. */
  async start(kubeconfig: string): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    const { port } = this.server.address() as AddressInfo;
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      clusters: [
        { name: "test", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } },
      ],
      users: [{ name: "test", user: {} }],
    };
    writeFileSync(kubeconfig, JSON.stringify(config));
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  addNode(name: string): void {
    this.nodes.set(name, { metadata: { name, labels: { "kubernetes.io/hostname": name } } });
  }

  addVolume(volume: V1PersistentVolume): V1PersistentVolume {
    volume.metadata!.uid ??= `uid-${++this.uids}`;
    this.volumes.set(volume.metadata!.name!, volume);
    this.changed(volume);
    return volume;
  }

  /** Binds a volume to a claim with a new uid, as the controller does. */
  bind(name: string, claim: { namespace: string; name: string }): string {
    const volume = this.volumes.get(name)!;
    const uid = `claim-${++this.uids}`;
    volume.spec!.claimRef = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      ...claim,
      uid,
      resourceVersion: "1",
    };
    volume.status = { phase: "Bound", lastPhaseTransitionTime: new Date() };
    this.claims.set(`${claim.namespace}/${claim.name}`, { metadata: { ...claim, uid } });
    this.changed(volume);
    return uid;
  }

  /** Deletes the claim of a volume, which releases it. */
  release(name: string): void {
    const volume = this.volumes.get(name)!;
    const { namespace, name: claim } = volume.spec!.claimRef!;
    this.claims.delete(`${namespace}/${claim}`);
    volume.status = { phase: "Released", lastPhaseTransitionTime: new Date() };
    this.changed(volume);
  }

  private changed(volume: V1PersistentVolume): void {
    for (const watcher of this.watchers)
      watcher.write(`${JSON.stringify({ type: "MODIFIED", object: volume })}\n`);
  }

  private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url!, "http://test");
    const body = await text(request);
    const reply = (status: number, content: unknown): void => {
      this.onRequest("after", this.requests.length);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
    };
    if (url.searchParams.get("watch")) {
      response.writeHead(200, { "content-type": "application/json" });
      response.write("");
      response.flushHeaders();
      this.watchers.add(response);
      response.once("close", () => this.watchers.delete(response));
      return;
    }
    this.requests.push(`${request.method} ${url.pathname}`);
    this.onRequest("before", this.requests.length);
    const refusal = this.refusals.get(url.pathname);
    if (refusal) return reply(refusal, { message: "refused" });
    const parts = url.pathname.replace("/api/v1/", "").split("/");
    if (parts[0] === "nodes") return this.node(request.method!, parts[1], body, reply);
    if (parts[0] === "persistentvolumes") return this.volume(request.method!, parts[1], url, body, reply);
    return this.claim(request.method!, `${parts[1]}/${parts[3]}`, body, reply);
  }

  private node(method: string, name: string | undefined, body: string, reply: Reply): void {
    if (name === undefined) return reply(200, { items: [...this.nodes.values()] });
    const node = this.nodes.get(name);
    if (!node) return reply(404, { message: `nodes "${name}" not found` });
    if (method === "PATCH") {
      const { metadata } = JSON.parse(body) as {
        metadata: Record<"labels" | "annotations", Record<string, string | null>>;
      };
      for (const field of ["labels", "annotations"] as const) {
        const merged = Object.entries({ ...node.metadata![field], ...metadata[field] });
        node.metadata![field] = Object.fromEntries(merged.filter(([, value]) => value !== null)) as Record<
          string,
          string
        >;
      }
    }
    reply(200, node);
  }

  private volume(method: string, name: string | undefined, url: URL, body: string, reply: Reply): void {
    if (method === "POST") {
      const created = JSON.parse(body) as V1PersistentVolume;
      if (this.volumes.has(created.metadata!.name!)) return reply(409, { message: "already exists" });
      created.status = { phase: "Available" };
      return reply(201, this.addVolume(created));
    }
    if (name === undefined) {
      const [key, value] = (url.searchParams.get("labelSelector") ?? "").split("=");
      const items = [...this.volumes.values()].filter(({ metadata }) => metadata!.labels?.[key!] === value);
      return reply(200, { items });
    }
    const found = this.volumes.get(name);
    if (!found) return reply(404, { message: `persistentvolumes "${name}" not found` });
    if (method === "DELETE") {
      const { preconditions } = JSON.parse(body) as { preconditions?: { uid: string } };
      if (preconditions && preconditions.uid !== found.metadata!.uid)
        return reply(409, { message: "another uid" });
      this.volumes.delete(name);
      return reply(200, found);
    }
    if (method === "PATCH") {
      const patched = applyOperations(structuredClone(found), JSON.parse(body) as Operation[]);
      if (!patched) return reply(422, { message: "a test of the patch failed" });
      if (!patched.spec!.claimRef?.uid) patched.status = { phase: "Available" };
      return reply(200, this.addVolume(patched));
    }
    reply(200, found);
  }

  private claim(method: string, key: string, body: string, reply: Reply): void {
    const found = this.claims.get(key);
    if (!found) return reply(404, { message: `${key} not found` });
    if (method === "DELETE") {
      const { preconditions } = JSON.parse(body) as { preconditions?: { uid: string } };
      if (preconditions && preconditions.uid !== found.metadata!.uid)
        return reply(409, { message: "another uid" });
      const volume = [...this.volumes.values()].find(
        ({ spec }) => spec?.claimRef?.uid === found.metadata!.uid,
      );
      if (volume) this.release(volume.metadata!.name!);
      this.claims.delete(key);
    }
    reply(200, found);
  }
}

type Reply = (status: number, content: unknown) => void;

/** RFC 6902, as far as it is used; undefined where a test fails or a path isn't there. */
function applyOperations(
  target: V1PersistentVolume,
  operations: readonly Operation[],
): V1PersistentVolume | undefined {
  for (const { op, path, value } of operations) {
    const keys = path
      .slice(1)
      .split("/")
      .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = keys.pop()!;
    let parent = target as unknown as Record<string, unknown> | undefined;
    for (const key of keys) parent = parent?.[key] as Record<string, unknown> | undefined;
    if (parent === undefined) return undefined;
    if (op === "test" && JSON.stringify(parent[last]) !== JSON.stringify(value)) return undefined;
    if (op === "add") parent[last] = value;
    if (op === "remove") {
      if (!(last in parent)) return undefined;
      delete parent[last];
    }
  }
  return target;
}
