import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  CONTRACT_FILE,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";

import { buildWorkerPod } from "./worker-pod.js";
import type { WorkerPodArgs } from "./worker-pod.js";
import { labels, TENANT_LABEL, VOLUME_LABEL } from "./labels.js";
import { secretVolume } from "./mounts.js";
import { podSecurity, UPLOADER_USER } from "./security-context.js";

/**
 * Metadata and spec of an upload process's pod for one slot: a worker's pod, but as the uploader's own user,
 * with the uploader's credentials and with the slot mounted read-only, so that it can read every job there
 * and change none.
 */
export function buildUploaderPod(args: WorkerPodArgs) {
  const { contract, tenant, slot } = args;
  const worker = buildWorkerPod(args);
  const { objectStorageSecret, catalogueSecret, serviceAccount } = contract.uploader;
  const credentials = [
    { name: "catalogue", path: CATALOGUE_CREDENTIALS_DIRECTORY, secret: catalogueSecret },
    ...(objectStorageSecret === null
      ? []
      : [
          { name: "object-storage", path: OBJECT_STORAGE_CREDENTIALS_DIRECTORY, secret: objectStorageSecret },
        ]),
  ];
  const [container] = worker.spec.containers;
  const kept = ["jobs", "contract"];
  return {
    metadata: {
      labels: { ...labels(contract.environment, "uploader"), [TENANT_LABEL]: tenant, [VOLUME_LABEL]: slot },
    },
    spec: {
      ...worker.spec,
      serviceAccountName: serviceAccount,
      securityContext: podSecurity(UPLOADER_USER, { supplementalGroups: [contract.uploadGroup] }),
      containers: [
        {
          ...container!,
          name: "uploader",
          volumeMounts: [
            { name: "jobs", mountPath: contract.layout.mountPath, readOnly: true },
            {
              name: "contract",
              mountPath: CONTRACT_FILE.slice(0, CONTRACT_FILE.lastIndexOf("/")),
              readOnly: true,
            },
            ...credentials.map(({ name, path }) => ({ name, mountPath: path, readOnly: true })),
          ],
        },
      ],
      volumes: [
        ...worker.spec.volumes.filter(({ name }) => kept.includes(name)),
        ...credentials.map(({ name, secret }) => secretVolume(name, secret)),
      ],
    },
  };
}
