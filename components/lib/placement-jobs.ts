import { readFileSync } from "node:fs";

import { PREPARED_DIRECTORY } from "@video-storage/contract/layout";
import { KEYS } from "@video-storage/node-agent/volume-object";

import { REPLACE_UNREADY } from "./annotations.js";
import { GROUP_LABEL, labels, POOL_LABEL } from "./labels.js";
import { claimVolume } from "./mounts.js";
import { cappedName, contentHash } from "./names.js";
import {
  containerSecurity,
  podSecurity,
  SETUP_USER,
  UPLOAD_GROUP,
  userNamespace,
} from "./security-context.js";
import type { Slot } from "./slots.js";

/** Name of the ServiceAccount, Role and RoleBinding of the placement pods. */
export const PLACEMENT = "placement";

export interface PlacementArgs {
  /** An image with Node.js on its PATH, by digest: the cleanup job's is one. */
  readonly image: string;
  /** Labels of the nodes of each pool that slots are of. */
  readonly pools: readonly {
    readonly name: string;
    readonly nodeSelector: Readonly<Record<string, string>>;
  }[];
  /** How long nodes may take to come. */
  readonly deadlineSeconds: number;
}

export interface PlacementJobsArgs {
  readonly environment: string;
  readonly namespace: string;
  readonly slots: readonly Slot[];
  readonly placement: PlacementArgs;
  /** Taints of the pools' nodes. */
  readonly tolerations?: readonly object[];
  readonly userNamespaces?: boolean;
}

const PROGRAM = readFileSync(new URL("./placement-program.mjs", import.meta.url), "utf8");
const RESOURCES = {
  requests: { cpu: "1m", memory: "32Mi", "ephemeral-storage": "1Mi" },
  limits: { memory: "128Mi", "ephemeral-storage": "16Mi" },
} as const;

/** The slots of pools, by the group that is to lie on one node. */
export function poolGroups(slots: readonly Slot[]): Map<string, Slot[]> {
  const groups = new Map<string, Slot[]>();
  for (const slot of slots) {
    if (slot.pool !== null) groups.set(slot.group, [...(groups.get(slot.group) ?? []), slot]);
  }
  return groups;
}

/**
 * For each group of a pool's slots a Job that runs once: one pod with all claims of the group, so that they
 * are bound on one node, and away from the other groups' pods, so that no node has more slots than its own.
 * It is the claims' first consumer, with the workers' own constraints, and leaves in each volume the directory
 * that is mounted as the jobs' root. A group that grows has a new Job under a new name; its older claims are
 * where they are, and the new ones join them.
 */
export function buildPlacementJobs(args: PlacementJobsArgs) {
  const groups = poolGroups(args.slots);
  return [...groups].map(([group, slots]) => {
    const { pool } = slots[0]!;
    const nodeSelector = args.placement.pools.find(({ name }) => name === pool)?.nodeSelector;
    if (nodeSelector === undefined) {
      const known = args.placement.pools.map(({ name }) => name).join(", ");
      throw new Error(`slots are of pool ${pool}, and placement.pools has only ${known || "none"}`);
    }
    const ofPool = [...groups.values()].filter(([first]) => first!.pool === pool);
    return buildJob(args, { pool: pool!, group, slots, nodeSelector, groupsOfPool: ofPool.length });
  });
}

interface Group {
  readonly pool: string;
  readonly group: string;
  readonly slots: readonly Slot[];
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly groupsOfPool: number;
}

function buildJob(args: PlacementJobsArgs, { pool, group, slots, nodeSelector, groupsOfPool }: Group) {
  const own = { ...labels(args.environment, "placement"), [POOL_LABEL]: pool, [GROUP_LABEL]: group };
  const content = [slots.map(({ claim, runAsUser }) => [claim, runAsUser]), nodeSelector];
  return {
    metadata: {
      name: `${cappedName(`place-${group}`, 52)}-${contentHash(content)}`,
      namespace: args.namespace,
      labels: own,
      annotations: REPLACE_UNREADY,
    },
    spec: {
      backoffLimit: 2,
      activeDeadlineSeconds: args.placement.deadlineSeconds,
      template: {
        metadata: { labels: own },
        spec: {
          restartPolicy: "Never",
          serviceAccountName: PLACEMENT,
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          ...userNamespace(args.userNamespaces ?? false),
          nodeSelector: { ...nodeSelector },
          ...(args.tolerations && args.tolerations.length > 0 && { tolerations: [...args.tolerations] }),
          affinity: {
            podAntiAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: [
                awayFromOtherGroups(args.environment, { pool, group }),
              ],
            },
          },
          // The group owns the new volume's root, so that a slot's user may make its directory there.
          securityContext: podSecurity(SETUP_USER, { fsGroup: UPLOAD_GROUP }),
          initContainers: slots.map((slot) => buildPreparation(args.placement.image, slot)),
          containers: [
            {
              name: "wait",
              image: args.placement.image,
              imagePullPolicy: "IfNotPresent",
              command: ["node", "--input-type=module", "-e", PROGRAM],
              env: [
                { name: "NAMESPACE", value: args.namespace },
                { name: "POOL_LABEL", value: POOL_LABEL },
                { name: "GROUP_LABEL", value: GROUP_LABEL },
                { name: "NODE_LABEL", value: KEYS.node },
                { name: "POOL", value: pool },
                { name: "GROUPS", value: String(groupsOfPool) },
              ],
              resources: RESOURCES,
              securityContext: containerSecurity(),
            },
          ],
          volumes: slots.map((slot) => claimVolume(`slot-${slot.indexOnNode}`, slot.claim)),
        },
      },
    },
  };
}

/** Makes the jobs' root on a slot: the slot's user's, readable by the upload group, which what is made in it inherits. */
function buildPreparation(image: string, slot: Slot) {
  const directory = `/volume/${PREPARED_DIRECTORY}`;
  const program = `const fs = require("node:fs");
fs.mkdirSync(${JSON.stringify(directory)}, { recursive: true });
fs.chmodSync(${JSON.stringify(directory)}, 0o2750);`;
  return {
    name: `prepare-slot-${slot.indexOnNode}`,
    image,
    imagePullPolicy: "IfNotPresent",
    command: ["node", "-e", program],
    resources: RESOURCES,
    securityContext: containerSecurity(slot.runAsUser),
    volumeMounts: [{ name: `slot-${slot.indexOnNode}`, mountPath: "/volume" }],
  };
}

/** No worker and no placement of another group of the pool on the same node: one group a node, and so its slots. */
export function awayFromOtherGroups(environment: string, { pool, group }: { pool: string; group: string }) {
  return {
    labelSelector: {
      matchLabels: { "app.kubernetes.io/instance": environment, [POOL_LABEL]: pool },
      matchExpressions: [
        { key: "app.kubernetes.io/component", operator: "In", values: ["placement", "worker"] },
        { key: GROUP_LABEL, operator: "NotIn", values: [group] },
      ],
    },
    topologyKey: "kubernetes.io/hostname",
  };
}

/**
 * What the placement pods may do: see the claims that they wait for, and the volumes that these came to lie on. Volumes
 * have no namespace, so neither has the right to see them.
 */
export function buildPlacementAccess(environment: string, namespace: string) {
  const metadata = { name: PLACEMENT, namespace, labels: labels(environment, "placement") };
  const clusterWide = { name: `${namespace}-${PLACEMENT}`, labels: labels(environment, "placement") };
  const list = (resource: string) => [{ apiGroups: [""], resources: [resource], verbs: ["list"] }];
  const subjects = [{ kind: "ServiceAccount", name: PLACEMENT, namespace }];
  const roleRef = (kind: "Role" | "ClusterRole", name: string) => {
    return { apiGroup: "rbac.authorization.k8s.io", kind, name };
  };
  return {
    account: { metadata, automountServiceAccountToken: false },
    role: { metadata, rules: list("persistentvolumeclaims") },
    binding: { metadata, roleRef: roleRef("Role", PLACEMENT), subjects },
    clusterRole: { metadata: clusterWide, rules: list("persistentvolumes") },
    clusterBinding: { metadata: clusterWide, roleRef: roleRef("ClusterRole", clusterWide.name), subjects },
  };
}
