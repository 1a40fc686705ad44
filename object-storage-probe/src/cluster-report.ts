import { BatchV1Api, CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import {
  CAPABILITIES_ANNOTATION,
  CAPABILITIES_KEY,
} from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";

/** Something that is there already: the probe may change these two and create nothing. */
export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Leaves the report where the cleanup job finds it and, where the probe runs as a Job, on that Job for the stack.
 * Throws what the API says.
 */
export async function reportToCluster(
  configMap: ObjectName,
  job: ObjectName | undefined,
  found: ObjectStorageCapabilities,
  kubeConfig: KubeConfig = inCluster(),
): Promise<void> {
  const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
  const data = { [CAPABILITIES_KEY]: JSON.stringify(found, undefined, 2) };
  await kubeConfig.makeApiClient(CoreV1Api).patchNamespacedConfigMap({ ...configMap, body: { data } }, merge);
  if (!job) return;
  const annotations = { [CAPABILITIES_ANNOTATION]: JSON.stringify(found) };
  await kubeConfig
    .makeApiClient(BatchV1Api)
    .patchNamespacedJob({ ...job, body: { metadata: { annotations } } }, merge);
}

function inCluster(): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromCluster();
  return kubeConfig;
}
