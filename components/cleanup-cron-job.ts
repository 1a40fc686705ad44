import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import type { CleanupConfig } from "@video-storage/contract/cleanup-config";

import { childOptions } from "./lib/child-options.js";
import { buildCleanupCronJobs } from "./lib/cleanup-cron-jobs.js";
import type { CleanupCronJobsArgs } from "./lib/cleanup-cron-jobs.js";
import { labels } from "./lib/labels.js";
import { CLEANUP_CONFIG_MAP } from "./lib/mounts.js";
import { contentHash } from "./lib/names.js";

export interface CleanupCronJobArgs extends Omit<CleanupCronJobsArgs, "priorityClass" | "configHash"> {
  /** What the sweep is told; it reaches the pods as a file. */
  readonly config: CleanupConfig;
}

/**
 * The sweep of every volume: its settings, a priority above the workers', and a CronJob for each node. Its
 * pods are restricted, hold no privilege and mount no path of the host.
 */
export class CleanupCronJob extends pulumi.ComponentResource {
  /** Names of the CronJobs, one for each node. */
  readonly cronJobs: pulumi.Output<string>[];

  constructor(name: string, args: CleanupCronJobArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:CleanupCronJob", name, {}, opts);
    const priorityClass = cleanupPriorityClassName(args.namespace);
    const settings = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      buildCleanupSettings(args),
      childOptions(this, opts),
    );
    const priority = new k8s.scheduling.v1.PriorityClass(
      `${name}-priority`,
      buildPriorityClass(args.environment, priorityClass),
      childOptions(this, opts, {
        // Immutable in the API.
        replaceOnChanges: ["value", "preemptionPolicy"],
        deleteBeforeReplace: true,
      }),
    );
    const cronJobs = buildCleanupCronJobs({ ...args, priorityClass, configHash: contentHash(args.config) });
    this.cronJobs = cronJobs.map((cronJob) => {
      const dependsOn = [settings, priority];
      const options = childOptions(this, opts, { dependsOn });
      return new k8s.batch.v1.CronJob(`${name}-${cronJob.metadata.name}`, cronJob, options).metadata.name;
    });

    this.registerOutputs({ cronJobs: this.cronJobs });
  }
}

/** PriorityClasses have no namespace, so it is in the name. */
export function cleanupPriorityClassName(namespace: string): string {
  return `${namespace}-cleanup`;
}

export function buildPriorityClass(environment: string, name: string) {
  return {
    metadata: { name, labels: labels(environment, "cleanup") },
    value: 1_000_000,
    // First in the queue, but an extraction is never ended for a sweep.
    preemptionPolicy: "Never",
    description: "The cleanup job goes before the workers: on a full node nothing else helps.",
  };
}

export function buildCleanupSettings(args: Pick<CleanupCronJobArgs, "environment" | "namespace" | "config">) {
  return {
    metadata: {
      name: CLEANUP_CONFIG_MAP,
      namespace: args.namespace,
      labels: labels(args.environment, "cleanup"),
    },
    data: { "cleanup.json": `${JSON.stringify(args.config, undefined, 2)}\n` },
  };
}
