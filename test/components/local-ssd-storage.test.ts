import * as k8s from "@pulumi/kubernetes";
import { describe, expect, it } from "vitest";

import { LocalSsdStorage, buildVolume } from "../../components/local-ssd-storage.js";
import type { LocalSsdStorageArgs } from "../../components/local-ssd-storage.js";
import { buildFilesystemOnlyPolicy, buildStorageClass } from "../../components/lib/storage-classes.js";
import { declared } from "../support/recorder.js";

const common = { environment: "test", className: "fast" };
const LABELS = {
  "app.kubernetes.io/name": "storage",
  "app.kubernetes.io/instance": "test",
  "app.kubernetes.io/component": "storage",
  "app.kubernetes.io/part-of": "video-storage",
  "app.kubernetes.io/managed-by": "video-storage",
};
const volume = {
  name: "jobs-node-a-slot-0",
  node: "node-a",
  path: "/mnt/a/slot-0",
  bytes: 2n ** 26n,
  claim: { namespace: "jobs", name: "node-a-slot-0" },
};

describe("the class of each mode", () => {
  it.each([["static"], ["cloud-instance-store"]] as const)(
    "%s: provisioned by nobody, kept when released",
    (mode) => {
      expect(buildStorageClass({ ...common, mode })).toEqual({
        metadata: { name: "fast", labels: LABELS },
        provisioner: "kubernetes.io/no-provisioner",
        volumeBindingMode: "WaitForFirstConsumer",
        reclaimPolicy: "Retain",
        allowVolumeExpansion: false,
      });
    },
  );

  it("topolvm: logical volumes of a device class, removed when released", () => {
    const args = { ...common, mode: "topolvm", deviceClass: "ssd", filesystem: "xfs" } as const;
    expect(buildStorageClass(args)).toEqual({
      metadata: { name: "fast", labels: LABELS },
      provisioner: "topolvm.io",
      parameters: { "csi.storage.k8s.io/fstype": "xfs", "topolvm.io/device-class": "ssd" },
      volumeBindingMode: "WaitForFirstConsumer",
      mountOptions: ["noexec", "nodev", "nosuid", "noatime"],
      reclaimPolicy: "Delete",
      allowVolumeExpansion: true,
    });
  });

  it("openebs-lvm: logical volumes that are thick, and that the sweep can mount beside a worker", () => {
    const args = { ...common, mode: "openebs-lvm", volumeGroup: "vg", filesystem: "ext4" } as const;
    expect(buildStorageClass(args)).toEqual({
      metadata: { name: "fast", labels: LABELS },
      provisioner: "local.csi.openebs.io",
      parameters: { storage: "lvm", volgroup: "vg", fsType: "ext4", thinProvision: "no", shared: "yes" },
      volumeBindingMode: "WaitForFirstConsumer",
      mountOptions: ["noexec", "nodev", "nosuid", "noatime"],
      reclaimPolicy: "Delete",
      allowVolumeExpansion: true,
    });
  });
});

describe("a declared volume", () => {
  it("is on one node, for one claim, and says what is to become of it", () => {
    expect(buildVolume(common, { ...volume, onRelease: "wipe" })).toEqual({
      metadata: {
        name: "jobs-node-a-slot-0",
        labels: { ...LABELS, "video-storage/node": "node-a", "video-storage/slot": "slot-0" },
        annotations: {
          "video-storage/on-release": "wipe",
          "video-storage/reserved-for": "jobs/node-a-slot-0",
        },
      },
      spec: {
        capacity: { storage: "64Mi" },
        volumeMode: "Filesystem",
        accessModes: ["ReadWriteOnce"],
        persistentVolumeReclaimPolicy: "Retain",
        storageClassName: "fast",
        mountOptions: ["noexec", "nodev", "nosuid"],
        claimRef: {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          namespace: "jobs",
          name: "node-a-slot-0",
        },
        local: { path: "/mnt/a/slot-0" },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-a"] }] },
            ],
          },
        },
      },
    });
  });

  it("is kept as it was left unless it is said that it may be wiped", () => {
    const { metadata } = buildVolume(common, volume);
    expect(metadata.annotations["video-storage/on-release"]).toBe("keep");
  });

  it("can be for any claim of the class", () => {
    const { metadata, spec } = buildVolume(common, { ...volume, claim: null });
    expect(metadata.annotations).toEqual({ "video-storage/on-release": "keep" });
    expect(spec).not.toHaveProperty("claimRef");
  });
});

describe("LocalSsdStorage", () => {
  const declare = (args: LocalSsdStorageArgs) =>
    declared(() => {
      const cluster = new k8s.Provider("cluster", { context: "test" });
      new LocalSsdStorage("ssd", args, { providers: [cluster] });
    });
  const kinds = async (args: LocalSsdStorageArgs) =>
    (await declare(args))
      .names()
      .filter((name) => !/^(kubernetes|LocalSsdStorage) /.test(name))
      .sort();

  it("declares volumes where they are declared, and a guard against raw claims where blocks are shared", async () => {
    expect(await kinds({ ...common, mode: "static", volumes: [volume] })).toEqual([
      "PersistentVolume ssd-jobs-node-a-slot-0",
      "StorageClass ssd-class",
    ]);
    expect(await kinds({ ...common, mode: "cloud-instance-store" })).toEqual(["StorageClass ssd-class"]);
    const lvm = [
      "StorageClass ssd-class",
      "ValidatingAdmissionPolicy ssd-filesystem-only",
      "ValidatingAdmissionPolicyBinding ssd-filesystem-only",
    ];
    const filesystem = "xfs";
    expect(await kinds({ ...common, mode: "topolvm", deviceClass: "ssd", filesystem })).toEqual(lvm);
    expect(await kinds({ ...common, mode: "openebs-lvm", volumeGroup: "vg", filesystem })).toEqual(lvm);
  });

  it("replaces what the API can't change, the old object first, and volumes after their class", async () => {
    const { one } = await declare({ ...common, mode: "static", volumes: [volume] });
    const storageClass = one("StorageClass", "ssd-class");
    expect(storageClass).toMatchObject({
      replaceOnChanges: ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
      deleteBeforeReplace: true,
      protect: false,
    });
    expect(one("PersistentVolume", "ssd-jobs-node-a-slot-0")).toMatchObject({
      replaceOnChanges: ["spec.local", "spec.nodeAffinity"],
      deleteBeforeReplace: true,
      dependencies: [storageClass.urn],
    });
  });

  it("binds the guard after its policy, and refuses by its words", async () => {
    const { one } = await declare({ ...common, mode: "topolvm", deviceClass: "ssd", filesystem: "xfs" });
    const policy = one("ValidatingAdmissionPolicy", "ssd-filesystem-only");
    expect(one("ValidatingAdmissionPolicyBinding", "ssd-filesystem-only").dependencies).toEqual([policy.urn]);
    const { policy: built, binding } = buildFilesystemOnlyPolicy(common);
    expect(binding.spec).toEqual({ policyName: "fast-filesystem-only", validationActions: ["Deny"] });
    expect(built.spec.validations[0]!.message).toBe(
      "claims of class fast have to be of volumeMode Filesystem: a raw device would show what its blocks held before",
    );
  });
});
