import { basename } from "node:path";

import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { CATALOGUE_CA_FILE } from "@video-storage/contract/stack-contract";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";

import { childOptions } from "./lib/child-options.js";
import { buildCleanupCronJobs } from "./lib/cleanup-cron-jobs.js";
import type { CleanupCronJobsArgs } from "./lib/cleanup-cron-jobs.js";
import { buildPriorityQuota, isReserved, NODE_CRITICAL } from "./lib/critical-priority.js";
import { labels } from "./lib/labels.js";
import { CLEANUP_CONFIG_MAP } from "./lib/mounts.js";

export interface CleanupCronJobArgs extends Omit<CleanupCronJobsArgs, "objectStorage"> {
  /** What the sweep is told; it reaches the pods as a file, and so the next sweep without any other change. */
  readonly config: CleanupConfig;
  /**
   * What the sweep of each group of slots has to wait for besides, such as their claims: {@link WorkerScratch} has
   * it. As `dependsOn` of the whole, every CronJob would wait for everybody's, which grows with the square.
   */
  readonly after?: ReadonlyMap<string, readonly pulumi.Resource[]>;
  /** PEM of the authorities at the config's catalogue.caFile; null where it has none. */
  readonly catalogueCa?: string | null;
}

/**
 * The sweep of every volume: its settings, leave to run above the workers, and a CronJob for each node. Its
 * pods are restricted, hold no privilege and mount no path of the host.
 *
 * Depend on what binds the claims ({@link WorkerScratch}): a sweep must never be the first to use one, because
 * the first decides where a claim that isn't bound will lie.
 */
export class CleanupCronJob extends pulumi.ComponentResource {
  /** Names of the CronJobs, one for each node. */
  readonly cronJobs: pulumi.Output<string>[];

  constructor(name: string, args: CleanupCronJobArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:CleanupCronJob", name, {}, opts);
    const objectStorage = args.config.objectStorage !== null;
    const cronJobs = buildCleanupCronJobs({ ...args, objectStorage });
    const settings = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      buildCleanupSettings(args),
      childOptions(this, opts),
    );
    const leave = isReserved(args.priorityClass ?? NODE_CRITICAL)
      ? [
          new k8s.core.v1.ResourceQuota(
            `${name}-priority`,
            buildSweepQuota(args, cronJobs.length),
            childOptions(this, opts),
          ),
        ]
      : [];
    const groups = [...new Set(args.slots.map((slot) => slot.group))];
    this.cronJobs = cronJobs.map((cronJob, index) => {
      const own = args.after?.get(groups[index]!) ?? [];
      const options = childOptions(this, opts, { dependsOn: [settings, ...leave, ...own] });
      return new k8s.batch.v1.CronJob(`${name}-${cronJob.metadata.name}`, cronJob, options).metadata.name;
    });

    this.registerOutputs({ cronJobs: this.cronJobs });
  }
}

/** As many critical pods in the namespace as sweeps can run, one ending as the next begins. */
export function buildSweepQuota(
  args: Pick<CleanupCronJobArgs, "environment" | "namespace" | "priorityClass">,
  cronJobs: number,
) {
  return buildPriorityQuota({
    name: "cleanup-priority",
    namespace: args.namespace,
    labels: labels(args.environment, "cleanup"),
    priorityClass: args.priorityClass ?? NODE_CRITICAL,
    pods: 2 * cronJobs,
  });
}

export function buildCleanupSettings(
  args: Pick<CleanupCronJobArgs, "environment" | "namespace" | "config" | "catalogueCa">,
) {
  return {
    metadata: {
      name: CLEANUP_CONFIG_MAP,
      namespace: args.namespace,
      labels: labels(args.environment, "cleanup"),
    },
    data: {
      "cleanup.json": `${JSON.stringify(args.config, undefined, 2)}\n`,
      ...(args.catalogueCa != null && { [basename(CATALOGUE_CA_FILE)]: args.catalogueCa }),
    },
  };
}
