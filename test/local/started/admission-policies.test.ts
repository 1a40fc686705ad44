import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { KubernetesObjectApi } from "@kubernetes/client-node";
import type { KubernetesObject } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { apiClient } from "../../../local/api-client.js";
import { CLAIM_QUOTA_LABEL, buildAdmissionPolicies } from "../../../components/lib/admission-policies.js";
import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment } from "../../support/running-environment.js";

let environment: RunningEnvironment;
let objects: KubernetesObjectApi;
let storageClass: string;

/** A namespace of this file's own, with policies of its own, whose claims have no quota at first. */
const strange = `strange-${randomBytes(3).toString("hex")}`;

/** What the API server says to an object that it would not keep: nothing, or the refusal. */
async function refusal(object: object): Promise<string | undefined> {
  try {
    await objects.create(object as KubernetesObject, undefined, "All");
    return undefined;
  } catch (error) {
    return JSON.stringify((error as { body?: unknown }).body ?? String(error));
  }
}

const claim = (change: Record<string, unknown> = {}, namespace = environment.contract.namespace) => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "admitted", namespace },
  spec: {
    accessModes: ["ReadWriteOnce"],
    storageClassName: storageClass,
    resources: { requests: { storage: "64Mi" } },
    ...change,
  },
});
const pod = (change: Record<string, unknown>) => {
  const { contract, images } = environment;
  const { metadata, spec } = buildWorkerPod({
    contract,
    image: images.demoWorker,
    slot: contract.slots[0]!.name,
    tenant: "acme",
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, name: "admitted", namespace: contract.namespace },
    spec: { ...spec, ...change },
  };
};
const volume = (change: Record<string, unknown>) => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: `${strange}-volume` },
  spec: {
    capacity: { storage: "64Mi" },
    accessModes: ["ReadWriteOnce"],
    storageClassName: storageClass,
    local: { path: "/mnt/strange" },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-0"] }] },
        ],
      },
    },
    ...change,
  },
});
const quota = {
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: { name: "claims", namespace: strange, labels: { ...CLAIM_QUOTA_LABEL } },
  spec: { hard: { "requests.storage": "1Gi", persistentvolumeclaims: "4" } },
};
const own = () =>
  buildAdmissionPolicies({
    environment: "test",
    prefix: strange,
    namespaces: [strange],
    storageClasses: [storageClass],
  }).map((object) => ({ apiVersion: "admissionregistration.k8s.io/v1", ...object }));

beforeAll(async () => {
  environment = await runningEnvironment();
  objects = apiClient(environment.kubeConfig, KubernetesObjectApi as never);
  storageClass = environment.contract.storageClass;
  await environment.core.createNamespace({ body: { metadata: { name: strange } } });
  for (const object of own()) await objects.create(object);
  // The API server compiles a policy some moments after it is made, and admits everything until then.
  while ((await refusal(claim({}, strange))) === undefined) await sleep(500);
});

afterAll(async () => {
  for (const object of own().reverse()) await objects.delete(object);
  await environment.core.deleteNamespace({ name: strange });
});

describe("the API server", () => {
  it("takes a worker's pod and a local volume", async () => {
    expect([await refusal(pod({})), await refusal(volume({}))]).toEqual([undefined, undefined]);
  });

  it.each([
    ["of another class", { storageClassName: "standard" }, "the claim's class is not one of this namespace"],
    ["without a class", { storageClassName: undefined }, "the claim's class is not one of this namespace"],
    ["for many nodes", { accessModes: ["ReadWriteMany"] }, "a local disk has one node"],
    [
      "that is too large",
      { resources: { requests: { storage: "17Ti" } } },
      "is forbidden: maximum storage usage per",
    ],
    ["that is too small", { resources: { requests: { storage: "1Ki" } } }, "ask for 1Mi to 16Ti"],
  ])("refuses a claim %s", async (_what, change, message) => {
    expect(await refusal(claim(change))).toContain(message);
  });

  it("refuses a claim in a namespace without a quota, and takes it once there is one", async () => {
    expect(await refusal(claim({}, strange))).toContain("no params found");
    await objects.create(quota);
    await expect.poll(() => refusal(claim({}, strange)), { timeout: 30_000, interval: 500 }).toBeUndefined();
  });

  it("refuses a claim beside a quota that limits something else", async () => {
    await objects.delete(quota);
    await objects.create({ ...quota, spec: { hard: { pods: "4" } } } as KubernetesObject);
    await expect
      .poll(() => refusal(claim({}, strange)), { timeout: 30_000, interval: 500 })
      .toContain("the namespace's quota doesn't limit requests.storage and persistentvolumeclaims");
  });

  it.each([
    [
      "mounts its node",
      () => ({ volumes: [...pod({}).spec.volumes, { name: "host", hostPath: { path: "/" } }] }),
    ],
    ["has its node's network", () => ({ hostNetwork: true })],
  ])("refuses a pod that %s", async (_what, change) => {
    // Pod Security refuses these too, and answers first or second: in a namespace that forgot its label, ours is left.
    const namespaced = pod(change());
    const elsewhere = { ...namespaced, metadata: { ...namespaced.metadata, namespace: strange } };
    const body = { ...elsewhere, spec: { ...elsewhere.spec, serviceAccountName: "default" } };
    // Each policy is compiled by itself, so that of the claims, which was waited for, says nothing of this one.
    await expect
      .poll(async () => (await refusal(body)) ?? "admitted", { timeout: 30_000, interval: 500 })
      .toMatch(/a volume of the pod is a path of its node|the pod shares a namespace with its node/);
  });

  it.each([
    [
      "is a path",
      { local: undefined, nodeAffinity: undefined, hostPath: { path: "/mnt" } },
      "a hostPath has no size and no node",
    ],
  ])("refuses a volume of the stack's class that %s", async (_what, change, message) => {
    expect(await refusal(volume(change))).toContain(message);
  });

  it("leaves volumes of other classes alone", async () => {
    const hostPath = { local: undefined, nodeAffinity: undefined, hostPath: { path: "/mnt" } };
    expect(await refusal(volume({ ...hostPath, storageClassName: "theirs" }))).toBeUndefined();
  });
});
