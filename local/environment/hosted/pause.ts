import { setTimeout as sleep } from "node:timers/promises";

import { RUN_LABEL } from "../../demo/pods.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../../stack.js";
import type { Access } from "./access.js";
import { SERVICES_NAMESPACE } from "./names.js";

const NAMESPACES = [WORKERS_NAMESPACE, SYSTEM_NAMESPACE, SERVICES_NAMESPACE];

/** How many replicas a workload had before it was paused; of a CronJob, that it ran. */
const PAUSED = "video-storage/paused";

const PODS_GONE_WITHIN_SECONDS = 60;

interface Workload {
  readonly reference: { apiVersion: string; kind: string; metadata: { name: string; namespace: string } };
  /** Replicas; of a CronJob 1 unless it is suspended. */
  readonly running: number;
  readonly paused: string | undefined;
}

/** Ends every pod of the environment and keeps new ones from being made. Returns whether anything ran. */
export async function pauseWorkloads(access: Access): Promise<boolean> {
  const { client } = access;
  const running = (await workloads(access)).filter((workload) => workload.running > 0);
  for (const { reference, running: before } of running) {
    await client.merge(reference, {
      metadata: { annotations: { [PAUSED]: String(before) } },
      spec: reference.kind === "CronJob" ? { suspend: true } : { replicas: 0 },
    });
  }
  await deleteDemoPods(access);
  const deadline = Date.now() + PODS_GONE_WITHIN_SECONDS * 1000;
  while (Date.now() < deadline && (await anyPodRuns(access))) await sleep(500);
  return running.length > 0;
}

/** Undoes {@link pauseWorkloads}. */
export async function resumeWorkloads(access: Access): Promise<void> {
  for (const { reference, paused } of await workloads(access)) {
    if (paused === undefined) continue;
    await access.client.merge(reference, {
      metadata: { annotations: { [PAUSED]: null } },
      spec: reference.kind === "CronJob" ? { suspend: false } : { replicas: Number(paused) },
    });
  }
}

/** Deletes the pods of every run of jobs. */
export async function deleteDemoPods({ core }: Access): Promise<void> {
  await core.deleteCollectionNamespacedPod({
    namespace: WORKERS_NAMESPACE,
    labelSelector: RUN_LABEL,
    gracePeriodSeconds: 5,
  });
}

async function workloads({ apps, batch }: Access): Promise<Workload[]> {
  const lists = await Promise.all(
    NAMESPACES.flatMap((namespace) => [
      apps
        .listNamespacedDeployment({ namespace })
        .then(({ items }) =>
          items.map(({ metadata, spec }) => ({ kind: "Deployment", metadata, running: spec?.replicas ?? 1 })),
        ),
      apps.listNamespacedStatefulSet({ namespace }).then(({ items }) =>
        items.map(({ metadata, spec }) => ({
          kind: "StatefulSet",
          metadata,
          running: spec?.replicas ?? 1,
        })),
      ),
      batch
        .listNamespacedCronJob({ namespace })
        .then(({ items }) =>
          items.map(({ metadata, spec }) => ({ kind: "CronJob", metadata, running: spec?.suspend ? 0 : 1 })),
        ),
    ]),
  );
  return lists.flat().map(({ kind, metadata, running }) => ({
    reference: {
      apiVersion: kind === "CronJob" ? "batch/v1" : "apps/v1",
      kind,
      metadata: { name: metadata!.name!, namespace: metadata!.namespace! },
    },
    running,
    paused: metadata?.annotations?.[PAUSED],
  }));
}

async function anyPodRuns({ core }: Access): Promise<boolean> {
  const lists = await Promise.all(NAMESPACES.map((namespace) => core.listNamespacedPod({ namespace })));
  return lists.some(({ items }) =>
    items.some(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed"),
  );
}
