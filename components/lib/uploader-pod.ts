import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";

import { labels, METRICS_LABEL, TENANT_LABEL, VOLUME_LABEL } from "./labels.js";
import { secretVolume } from "./mounts.js";
import { podSecurity, UPLOADER_USER } from "./security-context.js";
import { buildWorkerPod } from "./worker-pod.js";
import type { WorkerPodArgs } from "./worker-pod.js";

/**
 * Metadata and spec of an upload process's pod for one slot: a worker's pod, but as the uploader's own user,
 * with the uploader's credentials and with the slot mounted read-only, so that it can read every job there
 * and change none. It runs beside the slot's worker.
 */
export function buildUploaderPod(args: WorkerPodArgs) {
  const { contract, tenant, slot } = args;
  const { spec: worker } = buildWorkerPod(args);
  const { objectStorageSecret, catalogueSecret, serviceAccount } = contract.uploader;
  const credentials = [
    { name: "catalogue", mountPath: CATALOGUE_CREDENTIALS_DIRECTORY, secret: catalogueSecret },
    ...(objectStorageSecret === null
      ? []
      : [
          {
            name: "object-storage",
            mountPath: OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
            secret: objectStorageSecret,
          },
        ]),
  ];
  const shared = ({ name }: { name: string }) => name === "jobs" || name === "contract";
  return {
    metadata: {
      labels: {
        ...labels(contract.environment, "uploader"),
        [TENANT_LABEL]: tenant,
        [VOLUME_LABEL]: slot,
        ...(args.metrics && { [METRICS_LABEL]: "true" }),
      },
    },
    spec: {
      ...worker,
      affinity: undefined,
      serviceAccountName: serviceAccount,
      securityContext: podSecurity(UPLOADER_USER, { supplementalGroups: [contract.uploadGroup] }),
      containers: worker.containers.map(({ volumeMounts = [], ...container }) => ({
        ...container,
        name: "uploader",
        volumeMounts: [
          ...volumeMounts.filter(shared).map((mount) => ({ ...mount, readOnly: true })),
          ...credentials.map(({ name, mountPath }) => ({ name, mountPath, readOnly: true })),
        ],
      })),
      volumes: [
        ...worker.volumes.filter(shared),
        ...credentials.map(({ name, secret }) => secretVolume(name, secret)),
      ],
    },
  };
}
