import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  CONTRACT_FILE,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { labels, TENANT_LABEL, VOLUME_LABEL } from "./labels.js";
import { CONTRACT_CONFIG_MAP, claimVolume, configMapVolume, fieldVariable, secretVolume } from "./mounts.js";
import { containerSecurity, podSecurity } from "./security-context.js";

export interface WorkerPodArgs {
  readonly contract: StackContract;
  /** The worker's image, by digest. */
  readonly image: string;
  /** Empty for the image's own. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  /** Name of the volume this worker owns; one of the contract's slots. */
  readonly slot: string;
  /** Whose extraction it runs; one of the contract's tenants. */
  readonly tenant: string;
  /** More environment variables, none of them secret. */
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
}

/**
 * Metadata and spec of a worker's pod: the slot at the contract's mount path, the slot's own user, the
 * upload group so that the uploader reads what it writes, its tenant's credentials as files, and nothing
 * else. For a Pod, or the template of a Job, Deployment or StatefulSet. Throws when the contract has no
 * such slot or tenant.
 */
export function buildWorkerPod(args: WorkerPodArgs) {
  const { contract } = args;
  const slot = found("slot", args.slot, contract.slots, (entry) => entry.name);
  const tenant = found("tenant", args.tenant, contract.tenants, (entry) => entry.id);
  const objectStorage = tenant.objectStorageSecret;
  return {
    metadata: {
      labels: {
        ...labels(contract.environment, "worker"),
        [TENANT_LABEL]: tenant.id,
        [VOLUME_LABEL]: slot.name,
      },
    },
    spec: {
      restartPolicy: "Never",
      serviceAccountName: contract.worker.serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: podSecurity(slot.runAsUser, { supplementalGroups: [contract.uploadGroup] }),
      containers: [
        {
          name: "worker",
          image: args.image,
          imagePullPolicy: "IfNotPresent",
          ...(args.command && { command: [...args.command] }),
          ...(args.args && { args: [...args.args] }),
          env: [
            { name: "VIDEO_STORAGE_CONTRACT", value: CONTRACT_FILE },
            { name: "VIDEO_STORAGE_TENANT", value: tenant.id },
            { name: "VIDEO_STORAGE_VOLUME", value: slot.name },
            fieldVariable("NODE_NAME", "spec.nodeName"),
            fieldVariable("POD_NAME", "metadata.name"),
            fieldVariable("POD_NAMESPACE", "metadata.namespace"),
            ...(args.env ?? []),
          ],
          resources: args.resources ?? {
            requests: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
            limits: { memory: "512Mi", "ephemeral-storage": "128Mi" },
          },
          securityContext: containerSecurity(),
          volumeMounts: [
            { name: "jobs", mountPath: contract.layout.mountPath },
            { name: "contract", mountPath: directoryOf(CONTRACT_FILE), readOnly: true },
            { name: "catalogue", mountPath: CATALOGUE_CREDENTIALS_DIRECTORY, readOnly: true },
            ...(objectStorage === null
              ? []
              : [
                  { name: "object-storage", mountPath: OBJECT_STORAGE_CREDENTIALS_DIRECTORY, readOnly: true },
                ]),
          ],
        },
      ],
      volumes: [
        claimVolume("jobs", slot.claim),
        configMapVolume("contract", CONTRACT_CONFIG_MAP),
        secretVolume("catalogue", tenant.catalogueSecret),
        ...(objectStorage === null ? [] : [secretVolume("object-storage", objectStorage)]),
      ],
    },
  };
}

function found<T>(what: string, wanted: string, entries: readonly T[], nameOf: (entry: T) => string): T {
  const entry = entries.find((candidate) => nameOf(candidate) === wanted);
  if (entry) return entry;
  throw new Error(
    `the contract has no ${what} ${JSON.stringify(wanted)}; it has ${entries.map(nameOf).join(", ")}`,
  );
}

function directoryOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/"));
}
