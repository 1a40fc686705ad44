import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { KubeConfig } from "@kubernetes/client-node";

import { apply, ApplyError, destroyApplied } from "../../infra/apply.js";
import type { Progress } from "../../infra/apply.js";
import { planPrune, union } from "../../infra/apply/inventory.js";
import type { InventoryEntry } from "../../infra/apply/inventory.js";
import { readinessOf } from "../../infra/apply/readiness.js";
import { manifestId } from "../../infra/manifests.js";
import type { KubernetesObject, Manifest } from "../../infra/manifests.js";
import { KubernetesApi } from "../support/kubernetes-api.js";

let api: KubernetesApi;
let kubeconfig: KubeConfig;
beforeEach(async () => {
  api = new KubernetesApi();
  kubeconfig = await api.start();
  // Jobs complete at once unless a test says otherwise.
  api.onApply = (object) => {
    if (object.kind === "Job") object.status ??= { conditions: [{ type: "Complete", status: "True" }] };
    if (object.kind === "ResourceQuota") object.status ??= { hard: {} };
  };
});
afterEach(() => api.stop());

function manifest(
  kind: string,
  name: string,
  dependsOn: string[] = [],
  fields: Record<string, unknown> = {},
): Manifest {
  const apiVersion = { Job: "batch/v1", NetworkPolicy: "networking.k8s.io/v1" }[kind] ?? "v1";
  const namespaced = !["Namespace", "PersistentVolume"].includes(kind);
  const metadata = { name, ...(namespaced && { namespace: "system" }) };
  const object: KubernetesObject = { apiVersion, kind, metadata, ...fields };
  return { id: manifestId(object), object, dependsOn, protect: false };
}

const NAMESPACE = manifest("Namespace", "system");
const options = (manifests: Manifest[], onProgress?: (progress: Progress) => void) => ({
  kubeconfig,
  systemNamespace: "system",
  timeoutSeconds: 2,
  manifests,
  ...(onProgress && { onProgress }),
});
const changed = () =>
  api.changes
    .splice(0)
    .map((change) => change.replace(/\/(api|apis\/[^/]+)\/v1\/(namespaces\/system\/)?/, ""));

describe("applying", () => {
  const job = manifest("Job", "migrate", [NAMESPACE.id]);
  const after = manifest("ConfigMap", "after", [NAMESPACE.id, job.id], { data: { a: "1" } });

  it("goes by the dependencies, and notes what it makes before it makes it", async () => {
    const result = await apply(options([NAMESPACE, job, after]));
    expect(changed()).toEqual([
      "PATCH namespaces/system",
      "PATCH configmaps/video-storage-inventory",
      "PATCH jobs/migrate",
      "PATCH configmaps/after",
      "PATCH configmaps/video-storage-inventory",
    ]);
    expect(result).toEqual({
      created: ["Namespace/system", "Job/system/migrate", "ConfigMap/system/after"],
      changed: [],
      unchanged: [],
      pruned: [],
      kept: [],
    });
  });

  it("again changes nothing, and once something is different only that", async () => {
    await apply(options([NAMESPACE, job, after]));
    const again = await apply(options([NAMESPACE, job, after]));
    expect([again.created, again.changed, again.unchanged.length]).toEqual([[], [], 3]);
    const other = { ...after, object: { ...after.object, data: { a: "2" } } };
    expect((await apply(options([NAMESPACE, job, other]))).changed).toEqual(["ConfigMap/system/after"]);
  });

  it("sends fields as they are named in Kubernetes", async () => {
    const policy = manifest("NetworkPolicy", "open", [NAMESPACE.id], {
      spec: { ingress: [{ from: [{ podSelector: {} }] }] },
    });
    await apply(options([NAMESPACE, policy]));
    const path = "/apis/networking.k8s.io/v1/namespaces/system/networkpolicies/open";
    expect(api.objects.get(path)!.spec).toEqual({ ingress: [{ from: [{ podSelector: {} }] }] });
  });

  it("waits for a job, and says so", async () => {
    api.onApply = (object) => {
      if (object.kind !== "Job") return;
      object.status = {};
      setTimeout(() => (object.status = { conditions: [{ type: "Complete", status: "True" }] }), 200);
    };
    const seen: string[] = [];
    await apply(
      options([NAMESPACE, job, after], ({ step, id, detail }) =>
        seen.push([step, id, detail].join(" ").trim()),
      ),
    );
    expect(seen).toEqual([
      "created Namespace/system",
      "ready Namespace/system",
      "created Job/system/migrate",
      "waiting Job/system/migrate the job runs",
      "ready Job/system/migrate",
      "created ConfigMap/system/after",
      "ready ConfigMap/system/after",
    ]);
  });

  it("stops at a job that fails, with what its pod wrote, and goes on the next time", async () => {
    api.onApply = (object) => {
      if (object.kind === "Job") {
        object.status = { conditions: [{ type: "Failed", status: "True", message: "too many attempts" }] };
      }
    };
    api.put("pod", {
      kind: "Pod",
      metadata: { name: "migrate-x" },
      spec: { containers: [{ name: "migrate" }] },
    });
    api.logs.set("migrate-x", "role storage_worker: permission denied\n");
    const failure = await apply(options([NAMESPACE, job, after])).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplyError);
    expect((failure as Error).message).toBe(
      "Job/system/migrate failed: too many attempts\nrole storage_worker: permission denied",
    );
    expect(changed().filter((change) => change.includes("after"))).toEqual([]);

    api.onApply = (object) => {
      if (object.kind === "Job") object.status ??= { conditions: [{ type: "Complete", status: "True" }] };
    };
    const result = await apply(options([NAMESPACE, job, after]));
    expect(changed()).toContain("DELETE jobs/migrate");
    expect(result.created).toEqual(["Job/system/migrate", "ConfigMap/system/after"]);
  });

  it("ends at its time limit, with what it waited for", async () => {
    api.onApply = () => undefined;
    await expect(apply(options([NAMESPACE, job]))).rejects.toThrow(
      "Job/system/migrate was not ready after 2 s: the job runs",
    );
  });

  it("tries again where the API was busy, and not where it refused", async () => {
    api.failures.push({ status: 503, message: "busy" });
    expect((await apply(options([NAMESPACE]))).created).toEqual(["Namespace/system"]);
    api.failures.push({ status: 422, message: "field is immutable" });
    await expect(apply(options([NAMESPACE]))).rejects.toThrow(
      "GET /api/v1/namespaces/system: field is immutable",
    );
  });

  it("binds a volume again whose claim was deleted", async () => {
    const volume = manifest("PersistentVolume", "v", [], { spec: { claimRef: { name: "c" } } });
    await apply(options([NAMESPACE, volume]));
    api.objects.get("/api/v1/persistentvolumes/v")!.status = { phase: "Released" };
    changed();
    await apply(options([NAMESPACE, volume]));
    expect(changed().filter((change) => change.includes("persistentvolumes"))).toEqual([
      "PATCH persistentvolumes/v",
      "PATCH persistentvolumes/v",
    ]);
  });

  it("refuses a context that isn't there", async () => {
    await expect(apply({ ...options([]), context: "production" })).rejects.toThrow(
      "the kubeconfig has no context production; it has test",
    );
  });
});

describe("pruning", () => {
  const config = manifest("ConfigMap", "gone", [NAMESPACE.id]);
  const claim = manifest("PersistentVolumeClaim", "data", [NAMESPACE.id]);
  const guarded = { ...manifest("Secret", "key", [NAMESPACE.id]), protect: true };

  it("deletes what is declared no longer, and only reports what holds data", async () => {
    await apply(options([NAMESPACE, config, claim, guarded]));
    changed();
    const result = await apply(options([NAMESPACE]));
    expect(result.pruned).toEqual(["ConfigMap/system/gone"]);
    expect(result.kept).toEqual(["PersistentVolumeClaim/system/data", "Secret/system/key"]);
    expect(changed().filter((change) => change.startsWith("DELETE"))).toEqual(["DELETE configmaps/gone"]);
    expect((await apply(options([NAMESPACE]))).kept).toEqual(result.kept);
  });

  it("knows what a run that was killed has made", async () => {
    api.onApply = () => undefined;
    await apply(options([NAMESPACE, config, manifest("Job", "never", [NAMESPACE.id])])).catch(
      () => undefined,
    );
    expect((await apply(options([NAMESPACE]))).pruned).toEqual(["Job/system/never", "ConfigMap/system/gone"]);
  });

  it("leaves what somebody else made", async () => {
    api.put("/api/v1/namespaces/system/configmaps/other", { kind: "ConfigMap", metadata: { name: "other" } });
    await apply(options([NAMESPACE, config]));
    await apply(options([NAMESPACE]));
    expect(api.objects.has("/api/v1/namespaces/system/configmaps/other")).toBe(true);
  });

  it("is planned from both inventories", () => {
    const entry = (kind: string, name: string): InventoryEntry => ({
      apiVersion: "v1",
      kind,
      metadata: { name },
      protect: false,
    });
    const before = [
      entry("ConfigMap", "a"),
      entry("ConfigMap", "b"),
      entry("Namespace", "n"),
      entry("Secret", "s"),
    ];
    expect(planPrune(before, [entry("Secret", "s")])).toEqual({
      remove: [entry("ConfigMap", "b"), entry("ConfigMap", "a")],
      keep: [entry("Namespace", "n")],
    });
    expect(
      union(before.slice(0, 2), [entry("ConfigMap", "b"), entry("ConfigMap", "c")]).map(manifestId),
    ).toEqual(["ConfigMap/a", "ConfigMap/b", "ConfigMap/c"]);
  });
});

describe("destroying", () => {
  it("deletes all that was applied, the inventory's namespace last", async () => {
    const claim = manifest("PersistentVolumeClaim", "data", [NAMESPACE.id]);
    await apply(options([NAMESPACE, claim, manifest("PersistentVolume", "v")]));
    changed();
    const deleted = await destroyApplied(options([]));
    expect(deleted.at(-1)).toBe("Namespace/system");
    expect([...deleted].sort()).toEqual([
      "Namespace/system",
      "PersistentVolume/v",
      "PersistentVolumeClaim/system/data",
    ]);
    expect(changed().at(-1)).toBe("DELETE namespaces/system");
  });

  it("does nothing where nothing was applied", async () => {
    expect(await destroyApplied(options([]))).toEqual([]);
    expect(changed()).toEqual([]);
  });
});

describe("readiness", () => {
  const live = (kind: string, status: unknown, spec: unknown = {}) =>
    ({
      apiVersion: "v1",
      kind,
      metadata: { name: "x", uid: "u", resourceVersion: "1", generation: 2 },
      spec,
      status,
    }) as never;

  it.each([
    ["Job", { conditions: [{ type: "Complete", status: "True" }] }, {}, "ready"],
    ["Job", { conditions: [{ type: "Complete", status: "False" }] }, {}, "waiting"],
    ["Job", { failed: 1 }, {}, "waiting"],
    ["Job", { conditions: [{ type: "Failed", status: "True" }] }, {}, "failed"],
    [
      "StatefulSet",
      { observedGeneration: 2, readyReplicas: 1, updatedReplicas: 1 },
      { replicas: 1 },
      "ready",
    ],
    [
      "StatefulSet",
      { observedGeneration: 1, readyReplicas: 1, updatedReplicas: 1 },
      { replicas: 1 },
      "waiting",
    ],
    ["StatefulSet", { observedGeneration: 2, readyReplicas: 1 }, { replicas: 1 }, "waiting"],
    [
      "Deployment",
      { observedGeneration: 2, readyReplicas: 1, updatedReplicas: 2 },
      { replicas: 2 },
      "waiting",
    ],
    ["ResourceQuota", {}, {}, "waiting"],
    ["ResourceQuota", { hard: { pods: "1" } }, {}, "ready"],
    ["ConfigMap", undefined, {}, "ready"],
  ])("of a %s with status %j is read from its status", (kind, status, spec, state) => {
    expect(readinessOf(live(kind, status, spec)).state).toBe(state);
  });
});
