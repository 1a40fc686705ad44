import { posix } from "node:path";

import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import { JOBS_ROOT, PREPARED_DIRECTORY } from "@video-storage/contract/layout";
import {
  CAPABILITIES_CONFIG_MAP,
  CAPABILITIES_FILE,
} from "@video-storage/contract/object-storage-capabilities";
import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";

import { spreadSchedule } from "./cleanup-schedule.js";
import { NODE_CRITICAL } from "./critical-priority.js";
import { labels } from "./labels.js";
import { CLEANUP_CONFIG_MAP, claimVolume, configMapVolume, fieldVariable, secretVolume } from "./mounts.js";
import { cronJobName } from "./names.js";
import { containerSecurity, podSecurity, userNamespace } from "./security-context.js";
import type { Slot } from "./slots.js";

export interface CleanupCronJobsArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Namespace of the workers and their claims. */
  readonly namespace: string;
  /** What is swept: a CronJob for each group of them, with a container for each. */
  readonly slots: readonly Slot[];
  /** Image of the cleanup job, by digest. */
  readonly image: string;
  /** Five cron fields; each node begins at a minute of its own, see {@link spreadSchedule}. */
  readonly schedule: string;
  /** Of the schedule, such as `Etc/UTC`: the controller's own may change with its node. */
  readonly timeZone: string;
  /** A sweep that takes longer is ended; the next one finishes its work. At least 10. */
  readonly activeDeadlineSeconds: number;
  /** How late a sweep may still start. At least 10: the controller looks that seldom, and would miss it for ever. */
  readonly startingDeadlineSeconds: number;
  /** Whether the sweep may ask Kubernetes for pods; only then does it get a token. */
  readonly checkPods: boolean;
  /** Secret of the namespace with `username` and `password` of the login `cleanup`. */
  readonly catalogueSecret: string;
  /** Secret with `accessKeyId` and `secretAccessKey`; null where the ServiceAccount is its identity. */
  readonly objectStorageSecret: string | null;
  /** Whether there is object storage, with a report of what its endpoint keeps. Default: no. */
  readonly objectStorage?: boolean;
  /** Name of a PriorityClass that exists; {@link NODE_CRITICAL} unless the cluster keeps that for itself. */
  readonly priorityClass?: string;
  /** Taints of the nodes with the slots. Disk pressure and a cordon are tolerated anyway. */
  readonly tolerations?: readonly object[];
  /** Whether pods have users of their own (`hostUsers: false`). */
  readonly userNamespaces?: boolean;
}

/**
 * Little, so that it fits on any node: the scheduler would end a worker to make room for what is critical. What
 * a sweep uses is bounded by its limits.
 */
const RESOURCES = {
  requests: { cpu: "1m", memory: "8Mi", "ephemeral-storage": "1Mi" },
  limits: { memory: "256Mi", "ephemeral-storage": "64Mi" },
} as const;

/**
 * A full disk taints its node, and then it is the cleaner that is needed (local-path-provisioner#322); on a node
 * that takes no new pods, those that are there fill their slots on.
 */
const TOLERATIONS = ["disk-pressure", "unschedulable"].map((condition) => ({
  key: `node.kubernetes.io/${condition}`,
  operator: "Exists",
  effect: "NoSchedule",
}));

/**
 * A lookup of a name that nobody answers holds one of the threads that delete, and the process until it gives up, ended or
 * not (libuv joins its threads). By default that is ten seconds for each name that is tried, and the next sweep waits.
 */
const DNS = {
  options: [
    { name: "timeout", value: "1" },
    { name: "attempts", value: "2" },
  ],
};

/** Threads that delete at the same time; more than processors pay, since each mostly waits for the disk. */
const THREAD_POOL = { name: "UV_THREADPOOL_SIZE", value: "8" } as const;

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
      schedule: spreadSchedule(args.schedule, slots[0]!.groupNumber),
      timeZone: args.timeZone,
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: args.startingDeadlineSeconds,
      // What happened is in the catalogue and the metrics; each kept Job is a Job and a pod for every node.
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 2,
      suspend: false,
      jobTemplate: {
        metadata: { labels: podLabels },
        spec: {
          // The next sweep is the retry: it knows what this one left unfinished.
          backoffLimit: 0,
          activeDeadlineSeconds: args.activeDeadlineSeconds,
          template: {
            metadata: { labels: podLabels },
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
    dnsConfig: DNS,
    ...userNamespace(args.userNamespaces ?? false),
    priorityClassName: args.priorityClass ?? NODE_CRITICAL,
    tolerations: [...TOLERATIONS, ...(args.tolerations ?? [])],
    securityContext: podSecurity(slots[0]!.runAsUser),
    containers: slots.map((slot) => buildContainer(args, slot)),
    volumes: [
      ...slots.map((slot) => claimVolume(volumeName(slot), slot.claim)),
      configMapVolume("config", CLEANUP_CONFIG_MAP),
      secretVolume("catalogue", args.catalogueSecret),
      ...(args.objectStorageSecret === null
        ? []
        : [secretVolume("object-storage", args.objectStorageSecret)]),
      ...(args.objectStorage
        ? [configMapVolume("object-storage-capabilities", CAPABILITIES_CONFIG_MAP, { optional: true })]
        : []),
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
      THREAD_POOL,
      fieldVariable("NODE_NAME", "spec.nodeName"),
      fieldVariable("POD_NAME", "metadata.name"),
      fieldVariable("POD_NAMESPACE", "metadata.namespace"),
    ],
    resources: RESOURCES,
    securityContext: containerSecurity(slot.runAsUser),
    volumeMounts: [
      {
        name: volumeName(slot),
        mountPath: JOBS_ROOT,
        ...(slot.pool !== null && { subPath: PREPARED_DIRECTORY }),
      },
      {
        name: "config",
        mountPath: CLEANUP_CONFIG_FILE.slice(0, CLEANUP_CONFIG_FILE.lastIndexOf("/")),
        readOnly: true,
      },
      { name: "catalogue", mountPath: CATALOGUE_CREDENTIALS_DIRECTORY, readOnly: true },
      ...(args.objectStorageSecret === null
        ? []
        : [{ name: "object-storage", mountPath: OBJECT_STORAGE_CREDENTIALS_DIRECTORY, readOnly: true }]),
      ...(args.objectStorage
        ? [
            {
              name: "object-storage-capabilities",
              mountPath: posix.dirname(CAPABILITIES_FILE),
              readOnly: true,
            },
          ]
        : []),
    ],
  };
}

function volumeName(slot: Slot): string {
  return `slot-${slot.indexOnNode}`;
}
