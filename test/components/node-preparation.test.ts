import * as k8s from "@pulumi/kubernetes";
import * as random from "@pulumi/random";
import { parseNodeAgentConfig } from "@video-storage/contract/node-agent-config";
import { beforeAll, describe, expect, it } from "vitest";

import {
  agentRules,
  agentSettings,
  buildAgentDaemonSet,
  buildAgentNamespace,
  buildCollector,
  collectorRules,
} from "../../components/lib/node-agent-workloads.js";
import type { NodeGroup } from "../../components/lib/node-agent-workloads.js";
import { NodePreparation } from "../../components/node-preparation.js";
import type { NodePreparationArgs } from "../../components/node-preparation.js";
import { image } from "../support/local-configuration.js";
import { declared } from "../support/recorder.js";
import type { Declared } from "../support/recorder.js";

const slot = { name: "slot-0", bytes: 2 ** 30, user: 21_000, group: 20_000, mode: "2750" };
const declaredGroup: NodeGroup = {
  name: "declared",
  nodeSelector: {},
  hostnames: ["node-a"],
  tolerations: [{ operator: "Exists" }],
  settings: {
    medium: { kind: "devices", patterns: ["/dev/disk/by-id/nvme-*"] },
    layout: {
      kind: "slots",
      filesystem: "ext4",
      inodes: 1024,
      nodes: { "node-a": { directory: "/mnt/video-jobs", slots: [slot] } },
    },
    encryption: { kind: "luks", key: "secret" },
    volumes: { storageClass: "fast", owner: "declared", pool: null, wipeDelaySeconds: 0 },
    vanishedNodes: { graceSeconds: 600, claims: "keep" },
  },
};
const poolGroup: NodeGroup = {
  ...declaredGroup,
  name: "hot",
  nodeSelector: { tier: "hot" },
  hostnames: null,
  settings: {
    ...declaredGroup.settings,
    encryption: { kind: "medium", reason: "EC2 encrypts its instance stores" },
    volumes: { storageClass: "fast", owner: "agent", pool: "hot", wipeDelaySeconds: 0 },
    vanishedNodes: { graceSeconds: 600, claims: "delete" },
  },
};
const args = (groups: NodeGroup[]): NodePreparationArgs => ({
  environment: "test",
  namespace: "agents",
  image: image("node-agent"),
  groups,
  key: "generated",
  protectKey: true,
});
const KEY = { name: "node-agent-key", files: ["key"] };

const declare = (given: NodePreparationArgs) =>
  declared(() => {
    const providers = [new k8s.Provider("cluster", { context: "test" }), new random.Provider("random")];
    new NodePreparation("nodes", given, { providers });
  });

describe("NodePreparation", () => {
  let both: Declared;
  beforeAll(async () => {
    both = await declare(args([declaredGroup, poolGroup]));
  });

  it("declares its agents, their confinement, and a collector where agents make the volumes", () => {
    const names = both.names().filter((name) => !/^(kubernetes|random|NodePreparation) /.test(name));
    expect(names.sort()).toEqual([
      "ClusterRole nodes-node-agent",
      "ClusterRole nodes-volume-collector",
      "ClusterRoleBinding nodes-node-agent",
      "ClusterRoleBinding nodes-volume-collector",
      "ConfigMap nodes-node-agent-declared",
      "ConfigMap nodes-node-agent-hot",
      "DaemonSet nodes-node-agent-declared",
      "DaemonSet nodes-node-agent-hot",
      "Deployment nodes-volume-collector-hot",
      "Namespace nodes-namespace",
      "NetworkPolicy nodes-network",
      "RandomBytes nodes-key",
      "ResourceQuota nodes-priority",
      "Secret nodes-key",
      "ServiceAccount nodes-node-agent",
      "ServiceAccount nodes-volume-collector",
      "ValidatingAdmissionPolicy nodes-own-node",
      "ValidatingAdmissionPolicyBinding nodes-own-node",
    ]);
  });

  it("declares no collector and no key where none is needed", async () => {
    const settings = { ...declaredGroup.settings, encryption: { kind: "none" as const } };
    const plain: NodeGroup = { ...declaredGroup, settings };
    const names = (await declare(args([plain]))).names();
    expect(names.filter((name) => /Deployment|collector|Secret|RandomBytes/.test(name))).toEqual([]);
  });

  it("starts no agent before it is confined, and before it has its rights, settings and key", () => {
    const waited = both.one("DaemonSet", "nodes-node-agent-declared").dependencies;
    expect(waited.map((urn) => urn.split("::").at(-1)).sort()).toEqual([
      "nodes-key",
      "nodes-namespace",
      "nodes-network",
      "nodes-node-agent",
      "nodes-node-agent-declared",
      "nodes-own-node",
      "nodes-priority",
    ]);
  });

  it("gives its agents leave to be critical, which some clusters ask for outside kube-system", () => {
    const { inputs } = both.one("ResourceQuota", "nodes-priority");
    expect(inputs).toMatchObject({
      metadata: { name: "node-agent-priority", namespace: "agents" },
      spec: {
        hard: { pods: "5000" },
        scopeSelector: {
          matchExpressions: [
            { scopeName: "PriorityClass", operator: "In", values: ["system-node-critical"] },
          ],
        },
      },
    });
  });

  it("protects the key without which no slot can be read, and keeps it out of sight", () => {
    expect(both.one("RandomBytes", "nodes-key").protect).toBe(true);
    expect(JSON.stringify(both.one("Secret", "nodes-key").inputs["data"])).toContain(
      "4dabf18193072939515e22adb298388d",
    );
  });

  it("is parent of everything, keeps its inputs out of the state, and finishes once", () => {
    const component = both.one("NodePreparation", "nodes");
    expect(component.inputs).toEqual({});
    expect(both.finished).toEqual([component.urn]);
    const children = both.resources.filter(({ type }) => /^(kubernetes|random):/.test(type));
    expect([...new Set(children.map(({ parent }) => parent))]).toEqual([component.urn]);
  });

  it("refuses a group that needs a key where none is given", async () => {
    const { key, ...without } = args([declaredGroup]);
    expect(key).toBe("generated");
    await expect(declare(without)).rejects.toThrow("give key, as generated or as a Secret's name");
  });
});

describe("the agent's settings", () => {
  it("are such as the agent reads", () => {
    for (const group of [declaredGroup, poolGroup]) {
      const settings = agentSettings("test", group, KEY);
      expect(parseNodeAgentConfig(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
    }
  });

  it("name the key by the file that its Secret is mounted as", () => {
    const secret = { name: "keys", files: ["new", "old"] };
    expect(agentSettings("test", declaredGroup, secret).encryption).toEqual({
      kind: "luks",
      key: { kind: "files", files: ["/run/secrets/luks/new", "/run/secrets/luks/old"] },
    });
  });
});

describe("the agents' pods", () => {
  const pod = (group: NodeGroup) => buildAgentDaemonSet(args([group]), group, KEY).spec.template.spec;

  it("are privileged, alone among all, and otherwise as closed as they can be", () => {
    const spec = pod(declaredGroup);
    expect(spec.containers[0]!.securityContext).toEqual({
      privileged: true,
      runAsUser: 0,
      runAsGroup: 0,
      readOnlyRootFilesystem: true,
    });
    expect(spec).not.toHaveProperty("hostNetwork");
    expect(spec).not.toHaveProperty("hostPID");
    expect(spec.priorityClassName).toBe("system-node-critical");
    const { labels } = buildAgentNamespace(args([])).metadata;
    expect(labels).toMatchObject({ "pod-security.kubernetes.io/enforce": "privileged" });
  });

  it("have of the host its devices, their notes, and the slots' directory, seen from both sides", () => {
    const spec = pod(declaredGroup);
    const paths = spec.volumes.flatMap((volume) => ("hostPath" in volume ? [volume.hostPath!.path] : []));
    expect(paths).toEqual(["/dev", "/var/lib/video-storage/node-agent", "/mnt/video-jobs"]);
    const propagated = spec.containers[0]!.volumeMounts.filter((mount) => "mountPropagation" in mount);
    expect(propagated).toEqual([
      expect.objectContaining({ mountPath: "/mnt/video-jobs", mountPropagation: "Bidirectional" }),
    ]);
    expect(spec.volumes.at(-1)).toEqual({
      name: "key",
      secret: { secretName: "node-agent-key", defaultMode: 0o400 },
    });
    expect(pod(poolGroup).volumes.at(-1)).not.toHaveProperty("secret");
  });

  it("go to the nodes that are meant, whatever taint keeps others off", () => {
    expect(pod(declaredGroup).affinity).toEqual({
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-a"] }] },
          ],
        },
      },
    });
    expect(pod(poolGroup).nodeSelector).toEqual({ tier: "hot" });
    expect(pod(poolGroup).tolerations).toEqual([{ operator: "Exists" }]);
  });

  it("of the collector have no privilege, no host path and no key", () => {
    const { spec } = buildCollector(args([poolGroup]), poolGroup).spec.template;
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(spec.containers[0]!.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(spec.volumes.map((volume) => Object.keys(volume))).toEqual([["name", "configMap"]]);
  });
});

describe("what the agents may do", () => {
  const rule = (resource: string, ...verbs: string[]) => ({ apiGroups: [""], resources: [resource], verbs });

  it("is no more than their groups need", () => {
    expect(agentRules([declaredGroup])).toEqual([
      rule("nodes", "get", "patch"),
      rule("persistentvolumes", "get", "list", "watch", "patch"),
    ]);
    expect(agentRules([poolGroup])).toEqual([
      rule("nodes", "get", "patch"),
      rule("persistentvolumes", "get", "list", "watch", "patch", "create"),
      rule("persistentvolumeclaims", "get"),
    ]);
  });

  it("lets the collector delete claims only where that is wanted", () => {
    const volumes = [rule("nodes", "list"), rule("persistentvolumes", "list", "patch", "delete")];
    expect(collectorRules([poolGroup])).toEqual([...volumes, rule("persistentvolumeclaims", "delete")]);
    const vanishedNodes = { graceSeconds: 600, claims: "keep" as const };
    const keeping = { ...poolGroup, settings: { ...poolGroup.settings, vanishedNodes } };
    expect(collectorRules([keeping])).toEqual(volumes);
  });
});
