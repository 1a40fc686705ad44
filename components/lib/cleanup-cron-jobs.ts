import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import { JOBS_ROOT } from "@video-storage/contract/layout";
import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";

import { labels } from "./labels.js";
import { CLEANUP_CONFIG_MAP, claimVolume, configMapVolume, fieldVariable, secretVolume } from "./mounts.js";
import { cronJobName } from "./names.js";
import { containerSecurity, podSecurity } from "./security-context.js";
import type { Slot } from "./slots.js";

export interface CleanupCronJobsArgs {
  readonly environment: string;
  /** Namespace of the workers and their claims. */
  readonly namespace: string;
  readonly slots: readonly Slot[];
  /** Image of the cleanup job, by digest. */
  readonly image: string;
  /** Five cron fields. */
  readonly schedule: string;
  readonly timeZone: string;
  /** A sweep that takes longer is ended; the next one finishes its work. At least 10. */
  readonly activeDeadlineSeconds: number;
  /** How late a sweep may still start. At least 10, or the controller may miss it for ever. */
  readonly startingDeadlineSeconds: number;
  /** Whether the sweep may ask Kubernetes for pods; only then does it get a token. */
  readonly checkPods: boolean;
  readonly priorityClass: string;
  readonly catalogueSecret: string;
  readonly objectStorageSecret: string | null;
  /** Changes with the settings, so that a running CronJob's pods are told apart by what they were told. */
  readonly configHash: string;
}

/**
 * One CronJob for each node, because a CronJob can't run on every node (kubernetes#36601): its pod has a
 * container for each slot, which sees that slot alone and runs as the slot's own user, so that it can delete
 * what the worker made unreadable and needs no privilege. The volumes' affinity takes it to their node.
 */
export function buildCleanupCronJobs(args: CleanupCronJobsArgs) {
  const groups = [...new Set(args.slots.map((slot) => slot.group))];
  return groups.map((group) =>
    buildCronJob(
      args,
      group,
      args.slots.filter((slot) => slot.group === group),
    ),
  );
}

/** The CronJob's name for a group of slots that are on one node. */
export function cleanupCronJobName(group: string): string {
  return cronJobName(`cleanup-${group}`);
}

function buildCronJob(args: CleanupCronJobsArgs, group: string, slots: readonly Slot[]) {
  const podLabels = labels(args.environment, "cleanup");
  return {
    metadata: { name: cleanupCronJobName(group), namespace: args.namespace, labels: podLabels },
    spec: {
      schedule: args.schedule,
      timeZone: args.timeZone,
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: args.startingDeadlineSeconds,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 5,
      suspend: false,
      jobTemplate: {
        metadata: { labels: podLabels },
        spec: {
          // The next sweep is the retry: it knows what this one left unfinished.
          backoffLimit: 0,
          activeDeadlineSeconds: args.activeDeadlineSeconds,
          template: {
            metadata: { labels: podLabels, annotations: { "video-storage/config-hash": args.configHash } },
            spec: buildPodSpec(args, slots),
          },
        },
      },
    },
  };
}

function buildPodSpec(args: CleanupCronJobsArgs, slots: readonly Slot[]) {
  return {
    restartPolicy: "Never",
    serviceAccountName: "cleanup",
    automountServiceAccountToken: args.checkPods,
    enableServiceLinks: false,
    priorityClassName: args.priorityClass,
    // A full disk taints its node, and then it is the cleaner that is needed (local-path-provisioner#322).
    tolerations: [{ key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" }],
    securityContext: podSecurity(slots[0]!.runAsUser),
    containers: slots.map((slot) => buildContainer(args, slot)),
    volumes: [
      ...slots.map((slot) => claimVolume(volumeName(slot), slot.claim)),
      configMapVolume("config", CLEANUP_CONFIG_MAP),
      secretVolume("catalogue", args.catalogueSecret),
      ...(args.objectStorageSecret === null
        ? []
        : [secretVolume("object-storage", args.objectStorageSecret)]),
    ],
  };
}

function buildContainer(args: CleanupCronJobsArgs, slot: Slot) {
  return {
    name: `sweep-slot-${slot.indexOnNode}`,
    image: args.image,
    imagePullPolicy: "IfNotPresent",
    args: ["sweep", "--volume", slot.name, "--root", JOBS_ROOT, "--config", CLEANUP_CONFIG_FILE],
    env: [
      fieldVariable("NODE_NAME", "spec.nodeName"),
      fieldVariable("POD_NAME", "metadata.name"),
      fieldVariable("POD_NAMESPACE", "metadata.namespace"),
    ],
    resources: {
      requests: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
      limits: { memory: "256Mi", "ephemeral-storage": "64Mi" },
    },
    securityContext: containerSecurity(slot.runAsUser),
    volumeMounts: [
      { name: volumeName(slot), mountPath: JOBS_ROOT },
      {
        name: "config",
        mountPath: CLEANUP_CONFIG_FILE.slice(0, CLEANUP_CONFIG_FILE.lastIndexOf("/")),
        readOnly: true,
      },
      { name: "catalogue", mountPath: CATALOGUE_CREDENTIALS_DIRECTORY, readOnly: true },
      ...(args.objectStorageSecret === null
        ? []
        : [{ name: "object-storage", mountPath: OBJECT_STORAGE_CREDENTIALS_DIRECTORY, readOnly: true }]),
    ],
  };
}

function volumeName(slot: Slot): string {
  return `slot-${slot.indexOnNode}`;
}
