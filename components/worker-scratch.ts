import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { formatSize } from "@video-storage/contract/sizes";

import { CONTAINER_DEFAULTS } from "./lib/container-limits.js";
import { childOptions } from "./lib/child-options.js";
import { buildClaim } from "./lib/claims.js";
import { labels } from "./lib/labels.js";
import type { Slot } from "./lib/slots.js";
import { buildStorageQuota } from "./lib/storage-quota.js";

export interface WorkerScratchArgs {
  readonly environment: string;
  /** Namespace of the workers. */
  readonly namespace: string;
  readonly storageClass: string;
  readonly slots: readonly Slot[];
  /** Size of every slot. */
  readonly slotBytes: bigint;
}

/**
 * One claim for every slot, and the quota that lets the namespace claim that much and no more. As many
 * workers can run as there are claims, which is what limits concurrent extractions.
 */
export class WorkerScratch extends pulumi.ComponentResource {
  /** Names of the claims, in the order of the slots. */
  readonly claims: pulumi.Output<string>[];

  constructor(name: string, args: WorkerScratchArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:WorkerScratch", name, {}, opts);

    const quota = new k8s.core.v1.ResourceQuota(`${name}-quota`, buildQuota(args), childOptions(this, opts));
    const limits = new k8s.core.v1.LimitRange(`${name}-limits`, buildLimits(args), childOptions(this, opts));
    this.claims = args.slots.map((slot) => {
      const claim = new k8s.core.v1.PersistentVolumeClaim(
        `${name}-${slot.name}`,
        buildClaim({
          environment: args.environment,
          role: "worker",
          namespace: args.namespace,
          name: slot.claim,
          storageClass: args.storageClass,
          volume: slotVolumeName(args.namespace, slot),
          bytes: args.slotBytes,
        }),
        // After the quota, so that its deletion comes last too and no claim is refused for an unknown status.
        childOptions(this, opts, { dependsOn: [quota, limits] }),
      );
      return claim.metadata.name;
    });

    this.registerOutputs({ claims: this.claims });
  }
}

/** Name of the PersistentVolume behind a slot. PersistentVolumes have no namespace, so it is in the name. */
export function slotVolumeName(namespace: string, slot: Slot): string {
  return `${namespace}-${slot.name}`;
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
