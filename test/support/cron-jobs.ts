import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import type { BatchV1Api } from "@kubernetes/client-node";
import type { StackContract } from "@video-storage/contract/stack-contract";

/** Lets no further sweep begin by the schedule, until the stack is applied again. */
export async function suspendCronJobs(
  batch: BatchV1Api,
  { namespace, cleanup }: StackContract,
): Promise<void> {
  const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
  for (const name of cleanup.cronJobs)
    await batch.patchNamespacedCronJob({ namespace, name, body: { spec: { suspend: true } } }, merge);
}

/** Has every slot swept as the schedule does it, and at once. The Jobs go as soon as they have ended. */
export async function runCronJobs(batch: BatchV1Api, { namespace, cleanup }: StackContract): Promise<void> {
  for (const name of cleanup.cronJobs) {
    const { spec } = await batch.readNamespacedCronJob({ namespace, name });
    const job = { ...spec!.jobTemplate.spec!, ttlSecondsAfterFinished: 0 };
    await batch.createNamespacedJob({
      namespace,
      body: { metadata: { generateName: `${name}-` }, spec: job },
    });
  }
}
