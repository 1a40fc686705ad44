import { setTimeout as sleep } from "node:timers/promises";

import type { V1Pod } from "@kubernetes/client-node";

import type { KubernetesObject } from "../../../infra/manifests.js";
import { Failure } from "../../failure.js";
import type { Access } from "./access.js";

/**
 * Creates a pod anew, waits until `done` holds of it and removes it. Throws {@link Failure} after so many
 * seconds, with what the pod waits for.
 */
export async function runPod(
  { client, core }: Access,
  pod: KubernetesObject,
  done: (pod: V1Pod) => boolean,
  seconds: number,
): Promise<{ pod: V1Pod; log: string }> {
  const { name } = pod.metadata;
  const namespace = pod.metadata.namespace!;
  const deadline = Date.now() + seconds * 1000;
  const inTime = (why: string): void => {
    if (Date.now() < deadline) return;
    throw new Failure(
      `Pod ${namespace}/${name} took longer than ${seconds} s: ${why}`,
      `kubectl -n ${namespace} describe pod ${name}`,
    );
  };
  const remove = async (): Promise<void> => {
    await client.delete(pod);
    while (await client.read(pod)) {
      inTime("an earlier one of its name does not go");
      await sleep(200);
    }
  };
  await remove();
  await client.apply(pod);
  for (;;) {
    const live = await core.readNamespacedPod({ namespace, name });
    if (done(live)) {
      const log = await core.readNamespacedPodLog({ namespace, name }).catch(() => "");
      await remove();
      return { pod: live, log: log.trim() };
    }
    inTime(whyWaiting(live));
    await sleep(250);
  }
}

/** Whether a pod has run to its end. */
export function hasEnded({ status }: V1Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

function whyWaiting({ status }: V1Pod): string {
  const waiting = status?.containerStatuses?.map(({ state }) => state?.waiting).find((found) => found);
  const condition = status?.conditions?.find((found) => found.status === "False");
  return waiting?.message ?? waiting?.reason ?? condition?.message ?? `it is ${status?.phase}`;
}
