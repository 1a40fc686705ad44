import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { formatSize } from "@video-storage/contract/sizes";

import { CONTAINER_DEFAULTS } from "./lib/container-limits.js";
import { childOptions } from "./lib/child-options.js";
import { buildClaim } from "./lib/claims.js";
import { GROUP_LABEL, labels, POOL_LABEL } from "./lib/labels.js";
import { buildPlacementAccess, buildPlacementJobs } from "./lib/placement-jobs.js";
import type { PlacementArgs } from "./lib/placement-jobs.js";
import type { Slot } from "./lib/slots.js";
import { buildStorageQuota } from "./lib/storage-quota.js";

export interface WorkerScratchArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Namespace of the workers. */
  readonly namespace: string;
  /** Name of the class, which waits for the first consumer. */
  readonly storageClass: string;
  /** Of declared nodes (`slotsOf`) or of pools (`slotsOfPools`). */
  readonly slots: readonly Slot[];
  /** Size of every slot. */
  readonly slotBytes: bigint;
  /**
   * Declared volumes by their names. Each claim waits for its own: were every one to wait for all of them, what
   * the engine has to keep would grow with the square of the slots.
   */
  readonly volumes?: ReadonlyMap<string, pulumi.Resource>;
  /** Needed where slots are of pools: how their claims come to a node. */
  readonly placement?: PlacementArgs;
  /** Taints of the pools' nodes. */
  readonly tolerations?: readonly object[];
  /** Whether pods have users of their own (`hostUsers: false`). */
  readonly userNamespaces?: boolean;
  /** Whether the engine refuses to delete the claims, with all that lies on their volumes. */
  readonly protectData: boolean;
}

/**
 * One claim for every slot, and the quota that lets the namespace claim that much and no more. A worker has a
 * slot to itself, so a node runs as many extractions as it has slots. Claims of pools, whose node the storage
 * finds when they are first used, are brought there by one Job for each node's slots. What uses the claims
 * should depend on this component: it is ready when they have their nodes.
 */
export class WorkerScratch extends pulumi.ComponentResource {
  /** Names of the claims, in the order of the slots. */
  readonly claims: pulumi.Output<string>[];
  /** By the groups of the slots: what a sweep of each has to wait for, and nothing of another's. */
  readonly ofGroup: ReadonlyMap<string, readonly pulumi.Resource[]>;

  constructor(name: string, args: WorkerScratchArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:WorkerScratch", name, {}, opts);
    const placementJobs = buildPlacements(args);

    const quota = new k8s.core.v1.ResourceQuota(`${name}-quota`, buildQuota(args), childOptions(this, opts));
    const limits = new k8s.core.v1.LimitRange(`${name}-limits`, buildLimits(args), childOptions(this, opts));
    const ofGroup = new Map<string, pulumi.Resource[]>();
    const claims = args.slots.map((slot) => {
      const volume = args.volumes?.get(slotVolumeName(args.namespace, slot));
      const claim = new k8s.core.v1.PersistentVolumeClaim(
        `${name}-${slot.name}`,
        buildSlotClaim(args, slot),
        childOptions(this, opts, {
          protect: args.protectData,
          // After the quota, so that its deletion comes last too and no claim is refused for an unknown status.
          dependsOn: [quota, limits, ...(volume ? [volume] : [])],
        }),
      );
      ofGroup.set(slot.group, [...(ofGroup.get(slot.group) ?? []), claim]);
      return claim;
    });
    if (placementJobs.length > 0) {
      const built = buildPlacementAccess(args.environment, args.namespace);
      const options = childOptions(this, opts);
      const access = [
        new k8s.core.v1.ServiceAccount(`${name}-placement`, built.account, options),
        new k8s.rbac.v1.Role(`${name}-placement`, built.role, options),
        new k8s.rbac.v1.RoleBinding(`${name}-placement`, built.binding, options),
        new k8s.rbac.v1.ClusterRole(`${name}-placement`, built.clusterRole, options),
        new k8s.rbac.v1.ClusterRoleBinding(`${name}-placement`, built.clusterBinding, options),
      ];
      // All at once, and named by what they place: one that waited for another would be waited for by it.
      for (const job of placementJobs) {
        const group = job.metadata.labels[GROUP_LABEL]!;
        const ownClaims = ofGroup.get(group) ?? [];
        const options = childOptions(this, opts, {
          dependsOn: [...access, ...ownClaims],
          // What has been placed stays so, whatever image would place it today.
          ignoreChanges: ["spec"],
          customTimeouts: { create: `${(args.placement?.deadlineSeconds ?? 0) + 60}s` },
        });
        const placed = new k8s.batch.v1.Job(`${name}-${job.metadata.name}`, job, options);
        ofGroup.set(group, [...ownClaims, placed]);
      }
    }
    this.claims = claims.map((claim) => claim.metadata.name);

    this.ofGroup = ofGroup;
    this.registerOutputs({ claims: this.claims });
  }
}

/** Name of the PersistentVolume behind a slot. PersistentVolumes have no namespace, so it is in the name. */
export function slotVolumeName(namespace: string, slot: Slot): string {
  return `${namespace}-${slot.name}`;
}

export function buildSlotClaim(args: WorkerScratchArgs, slot: Slot) {
  return buildClaim({
    environment: args.environment,
    role: "worker",
    namespace: args.namespace,
    name: slot.claim,
    storageClass: args.storageClass,
    bytes: args.slotBytes,
    // A volume of a pool isn't known before it is made, or found free.
    ...(slot.pool === null
      ? { volume: slotVolumeName(args.namespace, slot) }
      : { labels: { [POOL_LABEL]: slot.pool, [GROUP_LABEL]: slot.group } }),
  });
}

function buildPlacements(args: WorkerScratchArgs) {
  const { placement, slots } = args;
  if (placement) return buildPlacementJobs({ ...args, placement });
  const pools = [...new Set(slots.map(({ pool }) => pool).filter((pool) => pool !== null))];
  if (pools.length === 0) return [];
  throw new Error(
    `slots are of the pools ${pools.join(", ")}, and without \`placement\` whatever uses a claim first would ` +
      "decide on which node it lies; set placement",
  );
}

export function buildQuota(args: WorkerScratchArgs) {
  const { environment, namespace, storageClass, slots } = args;
  return buildStorageQuota({
    environment,
    role: "worker",
    namespace,
    name: "worker-scratch",
    storageClass,
    claims: slots.length,
    bytes: args.slotBytes * BigInt(slots.length),
  });
}

export function buildLimits(args: WorkerScratchArgs) {
  return {
    metadata: {
      name: "worker-scratch",
      namespace: args.namespace,
      labels: labels(args.environment, "worker"),
    },
    spec: {
      limits: [
        { type: "PersistentVolumeClaim", max: { storage: formatSize(args.slotBytes) } },
        CONTAINER_DEFAULTS,
      ],
    },
  };
}
