import { parseSize } from "@video-storage/contract/sizes";

import { OBJECT_STORAGE_USER, UPLOAD_GROUP } from "../components/lib/security-context.js";
import { slotsOf } from "../components/lib/slots.js";
import type { NodeWithSlots } from "../components/lib/slots.js";
import { stackConfiguration } from "../infra/stack-files.js";
import type { Slot } from "./environment/disks.js";
import type { Environment } from "./environment/environment.js";
import { SERVICES_NAMESPACE } from "./environment/hosted/names.js";

/** The Pulumi stack that the local environment is an instance of, whatever the environment's own name. */
export const STACK = "local";

/** Namespace of what is not the workers': the stack's default. */
export const SYSTEM_NAMESPACE = "video-storage";

/** Namespace of the workers: the stack's default. */
export const WORKERS_NAMESPACE = "video-jobs";

const SLOTS_PER_NODE = 3;
const OBJECT_STORAGE_SLOT = "object-storage";

/** The nodes that have the slots, as the stack's configuration describes them. */
function nodesOf(nodes: Environment["nodes"]): NodeWithSlots[] {
  return nodes.map(({ name, slotsDirectory }, id) => {
    return { name, id, slots: SLOTS_PER_NODE, directory: slotsDirectory };
  });
}

/** The slots that each node must have for the stack: one a worker, and on the first one for the S3 server. */
export function localSlots(nodes = 1): Slot[][] {
  const configuration = stackConfiguration(STACK) as {
    slotSize: string;
    objectStorage: { volumeSize: string };
  };
  // Neither the node's name nor the directory plays a part in a slot's user and place.
  const named = Array.from({ length: nodes }, (_, id) => ({ name: String(id), slotsDirectory: "/" }));
  const workers = slotsOf(nodesOf(named)).map(({ node, indexOnNode, runAsUser }) => ({
    node,
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
  return named.map(({ name }, id) => [
    ...workers.filter(({ node }) => node === name).map(({ node: _, ...slot }) => slot),
    ...(id === 0 ? [objectStorage] : []),
  ]);
}

/** What only this machine knows of the stack's configuration, to go over Pulumi.local.yaml. */
export interface LocalConfiguration {
  readonly config: Readonly<Record<string, unknown>>;
  readonly secretConfig: Readonly<Record<string, string>>;
}

/** The configuration of the stack in a running environment. */
export function localConfiguration(environment: Environment, kubeconfig: string): LocalConfiguration {
  const { cluster, database, images, nodes, videoSources } = environment;
  const { name: node, slotsDirectory } = nodes[0]!;
  return {
    config: {
      context: cluster.context,
      nodes: nodesOf(nodes),
      cleanup: { image: images.cleanupJob.reference, migrationsImage: images.catalogue.reference },
      catalogue: { host: database.host, port: database.port, database: database.name },
      monitoring: {
        image: images.monitor.reference,
        pushgatewayImage: images.pushgateway.reference,
        prometheusNamespace: SERVICES_NAMESPACE,
      },
      objectStorage: {
        image: images.minio.reference,
        clientImage: images.minioClient.reference,
        probeImage: images.objectStorageProbe.reference,
        node,
        path: `${slotsDirectory}/${OBJECT_STORAGE_SLOT}`,
      },
      // Where the jobs of `npm start` fetch their video from.
      workerEgress: videoSources,
    },
    secretConfig: { kubeconfig, catalogueAdminUrl: database.adminUrl },
  };
}
