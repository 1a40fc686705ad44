import * as k8s from "@pulumi/kubernetes";
import type { CoreV1Api } from "@kubernetes/client-node";

import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { agentVolumeName, buildLocalVolume, KEYS } from "@video-storage/node-agent/volume-object";

import { CleanupCronJob } from "../../components/cleanup-cron-job.js";
import { UPLOAD_GROUP } from "../../components/lib/security-context.js";
import { slotsOfPools } from "../../components/lib/slots.js";
import { LocalSsdStorage } from "../../components/local-ssd-storage.js";
import { WorkerScratch } from "../../components/worker-scratch.js";
import { manifestsOf } from "../../infra/manifests.js";
import type { Manifest } from "../../infra/manifests.js";
import type { Sandbox } from "../../local/environment/sandbox.js";
import { declared } from "./recorder.js";

/** Name of the pool, its class, and the environment that labels name. */
export const POOL = "instance-store";
/** Two slots on each of two nodes. */
export const POOL_SLOTS = slotsOfPools([{ name: POOL, id: 40, slots: 4, slotsPerNode: 2 }]);

const DIRECTORY = "/mnt/instance-store";
const SLOT_BYTES = 2n ** 24n;

/** Makes a node's slots and offers them as the node agent does: volumes that are nobody's yet, of root and the upload group. */
export async function offerSlots(machine: Sandbox, node: string, core: CoreV1Api): Promise<void> {
  for (const slot of ["slot-0", "slot-1"]) {
    const path = `${DIRECTORY}/${slot}`;
    await machine.must("mkdir", ["-p", path]);
    await machine.must("mount", ["-t", "tmpfs", "-o", `size=${SLOT_BYTES}`, "tmpfs", path]);
    await machine.must("chown", [`0:${UPLOAD_GROUP}`, path]);
    await machine.must("chmod", ["2750", path]);
    const volume = buildLocalVolume({
      ...{ name: agentVolumeName(POOL, node, slot), className: POOL, node, path, bytes: SLOT_BYTES },
      ...{ labels: { [KEYS.pool]: POOL }, claim: null, onRelease: "wipe" },
    });
    await core.createPersistentVolume({ body: volume });
  }
}

/** What of a stack places the claims of a pool and sweeps them, with the settings of the stack that is there. */
export async function declarePool(
  namespace: string,
  images: { readonly cleanupJob: string },
  config: CleanupConfig,
): Promise<Manifest[]> {
  const common = { environment: POOL, namespace, slots: POOL_SLOTS };
  const { resources } = await declared(() => {
    const providers = [new k8s.Provider("cluster", { context: "test" })];
    const { storageClass } = new LocalSsdStorage(
      "storage",
      { environment: POOL, className: POOL, mode: "cloud-instance-store" },
      { providers },
    );
    const scratch = new WorkerScratch(
      "scratch",
      {
        ...{ ...common, storageClass: POOL, slotBytes: SLOT_BYTES, protectData: false },
        placement: {
          image: images.cleanupJob,
          pools: [{ name: POOL, nodeSelector: { "kubernetes.io/os": "linux" } }],
          deadlineSeconds: 120,
        },
      },
      { providers, dependsOn: [storageClass] },
    );
    new CleanupCronJob(
      "cleanup",
      {
        ...{ ...common, image: images.cleanupJob, config: { ...config, checkPods: false }, checkPods: false },
        // Once a year: a test starts them itself.
        ...{ schedule: "0 0 1 1 *", timeZone: "Etc/UTC" },
        ...{ activeDeadlineSeconds: 60, startingDeadlineSeconds: 60 },
        ...{ catalogueSecret: "catalogue-cleanup", objectStorageSecret: "object-storage-cleanup" },
        after: scratch.ofGroup,
      },
      { providers },
    );
  });
  return manifestsOf(resources);
}
