import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseTenantId } from "@video-storage/contract/identity";

import { buildUploaderPod } from "../../components/lib/uploader-pod.js";
import { buildWorkerPod, withWorkerScratch } from "../../components/lib/worker-pod.js";
import { stackContract } from "../support/documents.js";
import { image } from "../support/local-configuration.js";

const contract = stackContract();
const slot = "node-0-slot-0";
const tenant = "acme";
const use = { contract, slot, tenant };
const [first, second] = contract.slots as [(typeof contract.slots)[number], (typeof contract.slots)[number]];

/** The template of somebody's own Deployment, who knows nothing of this project's builders. */
const theirs = {
  metadata: { labels: { app: "extractor" }, annotations: { team: "video" } },
  spec: {
    nodeSelector: { disk: "ssd" },
    tolerations: [{ key: "gpu", operator: "Exists" }],
    containers: [
      {
        name: "extractor",
        image: image("extractor"),
        env: [{ name: "LEVEL", value: "debug" }],
        volumeMounts: [{ name: "models", mountPath: "/models" }],
        resources: { limits: { memory: "1Gi" } },
      },
    ],
    volumes: [{ name: "models", emptyDir: {} }],
  },
};

describe("somebody's own pod template with a worker's scratch", () => {
  const template = withWorkerScratch(theirs, use);

  it("keeps what it had", () => {
    expect(template.metadata).toMatchObject(theirs.metadata);
    expect(template.spec).toMatchObject({
      nodeSelector: { disk: "ssd" },
      tolerations: theirs.spec.tolerations,
    });
    expect(template.spec.containers[0]).toMatchObject({
      ...theirs.spec.containers[0],
      env: expect.arrayContaining(theirs.spec.containers[0]!.env) as unknown,
      volumeMounts: expect.arrayContaining(theirs.spec.containers[0]!.volumeMounts) as unknown,
    });
    expect(template.spec.volumes[0]).toEqual({ name: "models", emptyDir: {} });
  });

  it("has the slot where the layout says, and its tenant's credentials", () => {
    expect(template.spec.containers[0]!.volumeMounts).toEqual([
      { name: "models", mountPath: "/models" },
      { name: "jobs", mountPath: "/tmp/video-jobs" },
      { name: "contract", mountPath: "/etc/video-storage", readOnly: true },
      { name: "catalogue", mountPath: "/run/secrets/catalogue", readOnly: true },
      { name: "object-storage", mountPath: "/run/secrets/object-storage", readOnly: true },
    ]);
    expect(template.spec.volumes.slice(1)).toEqual([
      { name: "jobs", persistentVolumeClaim: { claimName: "slot-0" } },
      { name: "contract", configMap: { name: "video-storage-contract", defaultMode: 0o444 } },
      { name: "catalogue", secret: { secretName: "catalogue-acme", defaultMode: 0o444 } },
      { name: "object-storage", secret: { secretName: "objects-acme", defaultMode: 0o444 } },
    ]);
  });

  it("runs as the slot's user and in no other group, so that no other slot's files can be read", () => {
    expect(template.spec.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 21_000,
      runAsGroup: 21_000,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(template.spec).toMatchObject({
      serviceAccountName: "worker",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    });
  });

  it("meets no second worker on its slot: the scheduler is told so", () => {
    expect(template.spec["affinity"]).toEqual({
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            labelSelector: {
              matchLabels: {
                "app.kubernetes.io/name": "worker",
                "app.kubernetes.io/instance": "test",
                "app.kubernetes.io/component": "worker",
                "video-storage/volume": slot,
              },
            },
            topologyKey: "kubernetes.io/hostname",
          },
        ],
      },
    });
    expect(template.metadata.labels).toMatchObject({ "video-storage/volume": slot });
  });

  it("is told all in its environment", () => {
    expect(template.spec.containers[0]!.env!.slice(1)).toEqual([
      { name: "VIDEO_STORAGE_CONTRACT", value: "/etc/video-storage/contract.json" },
      { name: "VIDEO_STORAGE_TENANT", value: tenant },
      { name: "VIDEO_STORAGE_VOLUME", value: slot },
      { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
      { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
    ]);
  });

  it("can be had twice from the same template, which stays as it was", () => {
    expect(withWorkerScratch(theirs, use)).toEqual(template);
    expect(theirs.spec.containers[0]).not.toHaveProperty("securityContext");
  });

  it("restricts every container and gives the slot to the named one alone", () => {
    const two = {
      spec: { containers: [...theirs.spec.containers, { name: "proxy", image: image("proxy") }] },
    };
    const [worker, proxy] = withWorkerScratch(two, use, "extractor").spec.containers;
    expect(worker!.volumeMounts!.map(({ name }) => name)).toContain("jobs");
    expect(proxy).toEqual({ name: "proxy", image: image("proxy"), securityContext: worker!.securityContext });
    expect(() => withWorkerScratch(two, use)).toThrow(
      "it has the containers extractor, proxy, of which one must be",
    );
    expect(() => withWorkerScratch(two, use, "x")).toThrow(
      "containers extractor, proxy, of which x must be named",
    );
  });

  it("says everything at once that it contradicts", () => {
    const container = theirs.spec.containers[0]!;
    const wrong = {
      metadata: { labels: { "video-storage/tenant": "globex" } },
      spec: {
        ...theirs.spec,
        serviceAccountName: "default",
        securityContext: { runAsUser: 0 },
        volumes: [{ name: "jobs", emptyDir: {} }],
        containers: [
          {
            ...container,
            securityContext: { readOnlyRootFilesystem: false },
            env: [{ name: "VIDEO_STORAGE_TENANT", value: "globex" }],
            volumeMounts: [{ name: "x", mountPath: "/tmp/video-jobs" }],
          },
        ],
      },
    };
    expect(() => withWorkerScratch(wrong, use)).toThrow(
      [
        "the worker's pod template can't take its slot node-0-slot-0:",
        'metadata.labels.video-storage/tenant is "globex"; leave it out or set "acme"',
        'spec.serviceAccountName is "default"; leave it out or set "worker"',
        "spec.securityContext.runAsUser is 0; leave it out or set 21000",
        "container extractor: securityContext.readOnlyRootFilesystem is false; leave it out or set true",
        "container extractor: env has VIDEO_STORAGE_TENANT already",
        "container extractor: volumeMounts has /tmp/video-jobs already",
        "spec.volumes has jobs already",
      ].join("\n  "),
    );
  });
});

describe("what the contract says of pods", () => {
  it("reaches the worker: users of its own, tolerations, and the prepared directory of a volume", () => {
    const tolerations = [{ key: "dedicated", operator: "Equal" as const, value: "video" }];
    const slots = [{ ...first, subPath: "jobs" }, second];
    const changed = stackContract({ userNamespaces: true, tolerations, slots });
    const { spec } = withWorkerScratch(theirs, { ...use, contract: changed });
    expect(spec["hostUsers"]).toBe(false);
    expect(spec["tolerations"]).toEqual([...theirs.spec.tolerations, ...tolerations]);
    expect(spec.containers[0]!.volumeMounts![1]).toEqual({
      name: "jobs",
      mountPath: "/tmp/video-jobs",
      subPath: "jobs",
    });
    const plain = withWorkerScratch({ spec: { containers: theirs.spec.containers } }, use).spec;
    expect(plain).not.toHaveProperty("hostUsers");
    expect(plain).not.toHaveProperty("tolerations");
  });

  it("keeps a slot for its tenant", () => {
    const slots = [
      { ...first, tenant: parseTenantId("globex") },
      { ...second, tenant: parseTenantId("acme") },
    ];
    const kept = stackContract({ slots });
    expect(() => withWorkerScratch(theirs, { ...use, contract: kept })).toThrow(
      "slot node-0-slot-0 is kept for tenant globex, not acme, who may use node-0-slot-1; " +
        "change isolation.slotTenants to give it one",
    );
    const own = withWorkerScratch(theirs, { contract: kept, slot, tenant: "globex" });
    expect(own.metadata.labels["video-storage/tenant"]).toBe("globex");
  });

  it.each([
    [{ slot: "slot-9" }, 'the contract has no slot "slot-9"; it has node-0-slot-0, node-0-slot-1'],
    [{ tenant: "nobody" }, 'the contract has no tenant "nobody"; it has acme, globex'],
  ])("is all that can be used: %j is refused", (change, message) => {
    expect(() => withWorkerScratch(theirs, { ...use, ...change })).toThrow(message);
  });
});

describe("the upload process's pod", () => {
  const args = { ...use, image: image("uploader") };
  const pod = buildUploaderPod(args);

  it("reads every slot by its group and writes none", () => {
    expect(pod.spec.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 20_001,
      runAsGroup: 20_001,
      supplementalGroups: [20_000],
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(pod.spec.containers[0]!.volumeMounts[0]).toEqual({
      name: "jobs",
      mountPath: "/tmp/video-jobs",
      readOnly: true,
    });
  });

  it("is found by Prometheus where it serves metrics, as a worker is, and not otherwise", () => {
    const label = "video-storage/metrics";
    for (const build of [buildWorkerPod, buildUploaderPod]) {
      const args = { ...use, image: image("worker") };
      expect(build({ ...args, metrics: true }).metadata.labels[label]).toBe("true");
      expect(build(args).metadata.labels).not.toHaveProperty([label]);
    }
  });

  it("is no worker to the scheduler, and has the uploader's credentials instead of the tenant's", () => {
    expect(pod.spec.affinity).toBeUndefined();
    expect(pod.metadata.labels).toMatchObject({ "app.kubernetes.io/component": "uploader" });
    expect(pod.spec.volumes).toEqual([
      { name: "jobs", persistentVolumeClaim: { claimName: "slot-0" } },
      { name: "contract", configMap: { name: "video-storage-contract", defaultMode: 0o444 } },
      { name: "catalogue", secret: { secretName: "catalogue-uploader", defaultMode: 0o444 } },
    ]);
  });

  it("and the worker's never have a user or a group in common, whatever the slot", () => {
    fc.assert(
      fc.property(fc.integer({ min: 21_000, max: 65_511 }), (runAsUser) => {
        const slots = [{ ...first, runAsUser }];
        const worker = buildWorkerPod({ ...args, contract: stackContract({ slots }) }).spec.securityContext;
        const { securityContext } = pod.spec;
        const groups = [securityContext.runAsGroup, ...securityContext.supplementalGroups!];
        expect(worker["runAsUser"]).not.toBe(securityContext.runAsUser);
        expect(groups).not.toContain(worker["runAsGroup"]);
        expect(worker).not.toHaveProperty("supplementalGroups");
      }),
    );
  });
});
