import { parseSize } from "@video-storage/contract/sizes";

import { OBJECT_STORAGE_USER, UPLOAD_GROUP } from "../components/lib/security-context.js";
import { slotsOf } from "../components/lib/slots.js";
import { stackConfiguration } from "../infra/stack-files.js";
import { NODE_NAME } from "./environment/cluster.js";
import { SLOTS_DIRECTORY } from "./environment/disks.js";
import type { Slot } from "./environment/disks.js";
import type { Environment } from "./environment/environment.js";

/** The Pulumi stack that the local environment is an instance of, whatever the environment's own name. */
export const STACK = "local";

/** Namespace of what is not the workers': the stack's default. */
export const SYSTEM_NAMESPACE = "video-storage";

const SLOTS_PER_NODE = 3;
const OBJECT_STORAGE_SLOT = "object-storage";
const NODES = [{ name: NODE_NAME, slots: SLOTS_PER_NODE, directory: SLOTS_DIRECTORY }];

/** The slots that the node must have for the stack: one a worker, and one for the S3 server. */
export function localSlots(): Slot[] {
  const configuration = stackConfiguration(STACK) as {
    slotSize: string;
    objectStorage: { volumeSize: string };
  };
  const workers = slotsOf(NODES).map(({ indexOnNode, runAsUser }) => ({
    name: `slot-${indexOnNode}`,
    bytes: Number(parseSize(configuration.slotSize)),
    uid: runAsUser,
    gid: UPLOAD_GROUP,
    // The set-group bit hands the upload group on to every job directory.
    mode: 0o2750,
  }));
  const objectStorage = {
    name: OBJECT_STORAGE_SLOT,
    bytes: Number(parseSize(configuration.objectStorage.volumeSize)),
    uid: OBJECT_STORAGE_USER,
    gid: OBJECT_STORAGE_USER,
    mode: 0o750,
  };
  return [...workers, objectStorage];
}

/** What only this machine knows of the stack's configuration, to go over Pulumi.local.yaml. */
export interface LocalConfiguration {
  readonly config: Readonly<Record<string, unknown>>;
  readonly secretConfig: Readonly<Record<string, string>>;
}

/** The configuration of the stack in a running environment. */
export function localConfiguration(environment: Environment, kubeconfig: string): LocalConfiguration {
  const { database, images, network } = environment;
  return {
    config: {
      context: "video-storage",
      nodes: NODES,
      cleanup: { image: images.cleanupJob.reference, migrationsImage: images.catalogue.reference },
      catalogue: { host: database.host, port: database.port, database: database.name },
      objectStorage: {
        image: images.minio.reference,
        clientImage: images.minioClient.reference,
        node: NODE_NAME,
        path: `${SLOTS_DIRECTORY}/${OBJECT_STORAGE_SLOT}`,
      },
      // Where the jobs of `npm start` fetch their video from.
      workerEgress: [`${network.hostAddress}/32`],
    },
    secretConfig: { kubeconfig, catalogueAdminUrl: database.adminUrl },
  };
}
