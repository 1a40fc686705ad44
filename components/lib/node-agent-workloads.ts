import { createHash } from "node:crypto";

import { NODE_AGENT_CONFIG_FILE } from "@video-storage/contract/node-agent-config";
import type { KeySettings, NodeAgentConfig } from "@video-storage/contract/node-agent-config";

import { buildPriorityQuota, NODE_CRITICAL } from "./critical-priority.js";
import { labels, selectorLabels } from "./labels.js";
import type { Role } from "./labels.js";
import { configMapVolume, fieldVariable } from "./mounts.js";
import { cappedName } from "./names.js";
import { ANYWHERE } from "./network-policies.js";
import { containerSecurity, podSecurity, SETUP_USER } from "./security-context.js";

/** Service account of the agents, which are privileged, and of the collector, which is not. */
export const AGENT_ACCOUNT = "node-agent";
export const COLLECTOR_ACCOUNT = "volume-collector";

/** Where the Secret with the LUKS key is mounted in the agent's pod. */
export const KEY_DIRECTORY = "/run/secrets/luks";

/** As many nodes as Kubernetes is made for (its "Considerations for large clusters"): how many there are is not known here. */
const MOST_AGENTS = 5_000;

const STATE_DIRECTORY = "/var/lib/video-storage/node-agent";
const WORK_DIRECTORY = "/run/video-storage/node-agent";

export interface Toleration {
  /** The taint's; absent for every taint. */
  readonly key?: string;
  /** `Exists`, or `Equal` with a value. */
  readonly operator?: "Exists" | "Equal";
  /** Of the taint, with `Equal`. */
  readonly value?: string;
  /** Of the taint; absent for every effect. */
  readonly effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** Nodes that are prepared by one group of settings. */
export interface NodeGroup {
  /** Part of the names of its objects; unique among the groups. */
  readonly name: string;
  /** Labels of the nodes; empty for every node. */
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Only nodes with one of these `kubernetes.io/hostname`s; null for all that the selector finds. */
  readonly hostnames: readonly string[] | null;
  /** The taints that keep others off these nodes. */
  readonly tolerations: readonly Toleration[];
  /** What the agents make of the disks: medium, slots, encryption, what becomes of released volumes. */
  readonly settings: Omit<NodeAgentConfig, "version" | "environment" | "encryption"> & {
    readonly encryption: GroupEncryption;
  };
}

/** As in the agent's settings, with the key as the component hands it over. */
export type GroupEncryption =
  | { readonly kind: "luks"; readonly key: "secret" | Extract<KeySettings, { kind: "tpm2" }> }
  | { readonly kind: "medium"; readonly reason: string }
  | { readonly kind: "none" };

export interface NodeAgentArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** The agent's own namespace, which lets its pods be privileged. */
  readonly namespace: string;
  /** Image of the node agent, by digest. */
  readonly image: string;
  /** Each has a DaemonSet and settings of its own. */
  readonly groups: readonly NodeGroup[];
}

/** Name of a group's DaemonSet and ConfigMap. */
export function groupName(group: string): string {
  return cappedName(`node-agent-${group}`, 52);
}

/** Name of the collector of a group's vanished nodes. */
export function collectorName(group: string): string {
  return cappedName(`volume-collector-${group}`, 52);
}

/** The Secret with the key, and the files in it in the order in which they are tried. */
export interface KeySecret {
  /** Name of a Secret of the agent's namespace. */
  readonly name: string;
  /** Its keys: at least 32 random bytes each. The first encrypts new slots. */
  readonly files: readonly string[];
}

/** The agent's settings of a group, as its pods read them. */
export function agentSettings(environment: string, group: NodeGroup, key: KeySecret | null): NodeAgentConfig {
  const { encryption, ...settings } = group.settings;
  if (encryption.kind !== "luks") return { version: 1, environment, ...settings, encryption };
  if (encryption.key !== "secret") {
    return { version: 1, environment, ...settings, encryption: { kind: "luks", key: encryption.key } };
  }
  if (!key) throw new Error(`group ${group.name} is encrypted by a key of a Secret, and no Secret is given`);
  const files = key.files.map((file) => `${KEY_DIRECTORY}/${file}`);
  return {
    version: 1,
    environment,
    ...settings,
    encryption: { kind: "luks", key: { kind: "files", files } },
  };
}

/** The namespace. Pod Security's lower levels forbid what the agent is for; nothing else may run here. */
export function buildAgentNamespace({ environment, namespace }: NodeAgentArgs) {
  return {
    metadata: {
      name: namespace,
      labels: {
        ...labels(environment, "node-agent"),
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "privileged",
      },
    },
  };
}

/** Leave for the agents to be critical. */
export function buildAgentQuota({ environment, namespace }: NodeAgentArgs) {
  return buildPriorityQuota({
    ...{ name: "node-agent-priority", namespace, labels: labels(environment, "node-agent") },
    priorityClass: NODE_CRITICAL,
    pods: MOST_AGENTS,
  });
}

/**
 * The settings of a group. The agent reads them in each round, so a node that grows restarts nothing, and one that
 * joins a pool changes nothing. One that is declared does restart the agents, by turns: the pods' affinity names it.
 */
export function buildAgentSettings(args: NodeAgentArgs, group: NodeGroup, key: KeySecret | null) {
  const settings = agentSettings(args.environment, group, key);
  return {
    metadata: {
      name: groupName(group.name),
      namespace: args.namespace,
      labels: labels(args.environment, "node-agent"),
    },
    data: { [NODE_AGENT_CONFIG_FILE.split("/").at(-1)!]: `${JSON.stringify(settings, undefined, 2)}\n` },
  };
}

/**
 * The agents of a group, one on each of its nodes.
 *
 * They are privileged, and nothing less would do: partitioning, `mount` in the node's own mount namespace and
 * device-mapper each need CAP_SYS_ADMIN, the disks are host devices, and what is mounted has to be seen by the
 * kubelet. In exchange they have a namespace of their own, no host network or processes, a read-only root, no
 * way in from the network, and an account that an admission policy confines to their own node.
 */
export function buildAgentDaemonSet(args: NodeAgentArgs, group: NodeGroup, key: KeySecret | null) {
  const podLabels = agentLabels(args.environment, "node-agent", group.name);
  const selector = agentSelector(args.environment, "node-agent", group.name);
  const { medium, layout } = group.settings;
  const slotDirectories =
    layout.kind === "slots" ? Object.values(layout.nodes).map(({ directory }) => directory) : [];
  const hostDirectories = [...new Set(slotDirectories)].map((path) => ({ path, propagated: true }));
  if (medium.kind === "loop-files") hostDirectories.push({ path: medium.directory, propagated: false });
  const secret = group.settings.encryption.kind === "luks" && group.settings.encryption.key === "secret";
  // What programs insist on writing to below a read-only root.
  const scratch = ["/run/video-storage", "/run/cryptsetup", "/run/lvm", "/run/lock", "/etc/lvm", "/tmp"];
  const lvm = layout.kind === "volume-group";
  const writable = scratch.filter((path) => lvm || !/lvm|lock/.test(path));
  return {
    metadata: { name: groupName(group.name), namespace: args.namespace, labels: podLabels },
    spec: {
      selector: { matchLabels: selector },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "10%" } },
      template: {
        metadata: { labels: podLabels },
        spec: {
          serviceAccountName: AGENT_ACCOUNT,
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          // Workers wait for it after a reboot, so it goes before everything that can be evicted.
          priorityClassName: NODE_CRITICAL,
          terminationGracePeriodSeconds: 60,
          ...(Object.keys(group.nodeSelector).length > 0 && { nodeSelector: { ...group.nodeSelector } }),
          ...(group.hostnames && { affinity: onNodes(group.hostnames) }),
          tolerations: group.tolerations.map((toleration) => ({ ...toleration })),
          containers: [
            {
              name: "node-agent",
              image: args.image,
              imagePullPolicy: "IfNotPresent",
              args: [
                ...["run", "--config", NODE_AGENT_CONFIG_FILE],
                ...["--state-directory", STATE_DIRECTORY, "--work-directory", WORK_DIRECTORY],
              ],
              env: [fieldVariable("NODE_NAME", "spec.nodeName")],
              readinessProbe: {
                exec: { command: ["cat", `${WORK_DIRECTORY}/ready`] },
                periodSeconds: 2,
                timeoutSeconds: 5,
                failureThreshold: 3,
              },
              resources: {
                requests: { cpu: "20m", memory: "96Mi", "ephemeral-storage": "16Mi" },
                limits: { memory: "512Mi", "ephemeral-storage": "64Mi" },
              },
              securityContext: {
                privileged: true,
                runAsUser: 0,
                runAsGroup: 0,
                readOnlyRootFilesystem: true,
              },
              volumeMounts: [
                { name: "devices", mountPath: "/dev" },
                { name: "state", mountPath: STATE_DIRECTORY },
                ...hostDirectories.map(({ path, propagated }) => ({
                  name: volumeName(path),
                  mountPath: path,
                  // What is mounted in here is to be seen on the node, and what was mounted before in here.
                  ...(propagated && { mountPropagation: "Bidirectional" }),
                })),
                ...writable.map((path) => ({ name: volumeName(path), mountPath: path })),
                { name: "settings", mountPath: directoryOf(NODE_AGENT_CONFIG_FILE), readOnly: true },
                ...(secret ? [{ name: "key", mountPath: KEY_DIRECTORY, readOnly: true }] : []),
              ],
            },
          ],
          volumes: [
            { name: "devices", hostPath: { path: "/dev", type: "Directory" } },
            { name: "state", hostPath: { path: STATE_DIRECTORY, type: "DirectoryOrCreate" } },
            ...hostDirectories.map(({ path }) => ({
              name: volumeName(path),
              hostPath: { path, type: "DirectoryOrCreate" },
            })),
            ...writable.map((path) => ({
              name: volumeName(path),
              emptyDir: { medium: "Memory", sizeLimit: "16Mi" },
            })),
            configMapVolume("settings", groupName(group.name)),
            ...(secret ? [{ name: "key", secret: { secretName: key!.name, defaultMode: 0o400 } }] : []),
          ],
        },
      },
    },
  };
}

/** Removes the volumes of nodes that are gone; it touches no disk, so it has no privilege. One for a group. */
export function buildCollector(args: NodeAgentArgs, group: NodeGroup) {
  const podLabels = agentLabels(args.environment, "volume-collector", group.name);
  const selector = agentSelector(args.environment, "volume-collector", group.name);
  return {
    metadata: { name: collectorName(group.name), namespace: args.namespace, labels: podLabels },
    spec: {
      replicas: 1,
      // Two at once would do no harm, but say everything twice.
      strategy: { type: "Recreate" },
      selector: { matchLabels: selector },
      template: {
        metadata: { labels: podLabels },
        spec: {
          serviceAccountName: COLLECTOR_ACCOUNT,
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          securityContext: podSecurity(SETUP_USER),
          containers: [
            {
              name: "volume-collector",
              image: args.image,
              imagePullPolicy: "IfNotPresent",
              args: ["collect", "--config", NODE_AGENT_CONFIG_FILE],
              resources: {
                requests: { cpu: "10m", memory: "64Mi", "ephemeral-storage": "16Mi" },
                limits: { memory: "256Mi", "ephemeral-storage": "64Mi" },
              },
              securityContext: containerSecurity(),
              volumeMounts: [
                { name: "settings", mountPath: directoryOf(NODE_AGENT_CONFIG_FILE), readOnly: true },
              ],
            },
          ],
          volumes: [configMapVolume("settings", groupName(group.name))],
        },
      },
    },
  };
}

/** Whether the agents of a group make the PersistentVolumes, so that somebody has to remove those of lost nodes. */
export function makesVolumes(group: NodeGroup): boolean {
  return group.settings.volumes?.owner === "agent";
}

/** What the agents may do: note things on nodes, and see to PersistentVolumes. */
export function agentRules(groups: readonly NodeGroup[]) {
  const make = groups.some(makesVolumes);
  const see = groups.some(({ settings }) => settings.volumes !== null);
  return [
    { apiGroups: [""], resources: ["nodes"], verbs: ["get", "patch"] },
    ...(see
      ? [
          {
            apiGroups: [""],
            resources: ["persistentvolumes"],
            verbs: ["get", "list", "watch", "patch", ...(make ? ["create"] : [])],
          },
        ]
      : []),
    // The user that a claim wants to own the volume it came to lie on.
    ...(make ? [{ apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["get"] }] : []),
  ];
}

/** What the collector may do; deleting claims only where some group's settings say so. */
export function collectorRules(groups: readonly NodeGroup[]) {
  const claims = groups.some(
    (group) => makesVolumes(group) && group.settings.vanishedNodes.claims === "delete",
  );
  return [
    { apiGroups: [""], resources: ["nodes"], verbs: ["list"] },
    { apiGroups: [""], resources: ["persistentvolumes"], verbs: ["list", "patch", "delete"] },
    ...(claims ? [{ apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["delete"] }] : []),
  ];
}

/** Name of the cluster-wide objects; PersistentVolumes and nodes have no namespace, so neither has what guards them. */
export function clusterName(args: NodeAgentArgs, role: Role): string {
  return `${args.namespace}-${role}`;
}

/**
 * RBAC can't say "its own node". This says it, by the node that Kubernetes writes into every pod's token: an agent
 * changes the labels and annotations of ours on its own Node and nothing else there, and only volumes of its node.
 */
export function buildOwnNodePolicy(args: NodeAgentArgs) {
  const name = clusterName(args, "node-agent");
  const keys = (field: string) =>
    `(has(object.metadata.${field}) ? object.metadata.${field} : {}).all(k, k.startsWith('video-storage/') || ` +
    `(has(oldObject.metadata.${field}) && k in oldObject.metadata.${field} && ` +
    `oldObject.metadata.${field}[k] == object.metadata.${field}[k])) && ` +
    `(has(oldObject.metadata.${field}) ? oldObject.metadata.${field} : {}).all(k, k.startsWith('video-storage/') || ` +
    `(has(object.metadata.${field}) && k in object.metadata.${field}))`;
  return {
    policy: {
      metadata: { name, labels: labels(args.environment, "node-agent") },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: [""],
              apiVersions: ["v1"],
              operations: ["CREATE", "UPDATE"],
              resources: ["nodes", "persistentvolumes"],
            },
          ],
        },
        matchConditions: [
          {
            name: "by-an-agent",
            expression: `request.userInfo.username == 'system:serviceaccount:${args.namespace}:${AGENT_ACCOUNT}'`,
          },
        ],
        variables: [
          {
            name: "node",
            expression:
              "'authentication.kubernetes.io/node-name' in request.userInfo.extra ? request.userInfo.extra['authentication.kubernetes.io/node-name'][0] : ''",
          },
          { name: "isNode", expression: "request.resource.resource == 'nodes'" },
        ],
        validations: [
          {
            expression: "!variables.isNode || object.metadata.name == variables.node",
            message: "an agent may change its own node only",
          },
          {
            expression: `!variables.isNode || (object.spec == oldObject.spec && ${keys("labels")} && ${keys("annotations")})`,
            message: "of its node an agent may change the labels and annotations video-storage/* only",
          },
          {
            expression:
              "variables.isNode || (has(object.metadata.labels) && 'video-storage/node' in object.metadata.labels && object.metadata.labels['video-storage/node'] == variables.node && has(object.spec.local))",
            message: "an agent may change local volumes of its own node only",
          },
          {
            expression:
              "variables.isNode || request.operation == 'CREATE' || (has(oldObject.metadata.labels) && 'video-storage/node' in oldObject.metadata.labels && oldObject.metadata.labels['video-storage/node'] == variables.node)",
            message: "an agent may not take over a volume of another node",
          },
        ],
      },
    },
    binding: {
      metadata: { name, labels: labels(args.environment, "node-agent") },
      spec: { policyName: name, validationActions: ["Deny"] },
    },
  };
}

/** Nothing comes in, and nothing goes out but to name service and API server. */
export function buildAgentNetworkPolicy(args: NodeAgentArgs) {
  const tcp = (port: number) => ({ protocol: "TCP", port });
  return {
    metadata: {
      name: "node-agent",
      namespace: args.namespace,
      labels: labels(args.environment, "node-agent"),
    },
    spec: {
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
      egress: [
        // The API server behind its Service: policies are applied after the translation.
        { to: [...ANYWHERE], ports: [tcp(443), tcp(6443)] },
        {
          to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }],
          ports: [tcp(53), { protocol: "UDP", port: 53 }],
        },
      ],
    },
  };
}

function agentLabels(environment: string, role: Role, group: string) {
  return { ...labels(environment, role), "video-storage/group": group };
}

function agentSelector(environment: string, role: Role, group: string) {
  return { ...selectorLabels(environment, role), "video-storage/group": group };
}

function onNodes(hostnames: readonly string[]) {
  return {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          {
            matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [...hostnames] }],
          },
        ],
      },
    },
  };
}

function directoryOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/"));
}

/** A name for the pod's volume at a path; paths that differ have names that differ. */
function volumeName(path: string): string {
  const readable = path
    .slice(1)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  const digest = createHash("sha256").update(path).digest("hex").slice(0, 6);
  return `${readable.slice(0, 50).replace(/-+$/, "")}-${digest}`;
}
