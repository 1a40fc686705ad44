import { ANY_NODE } from "@video-storage/contract/node-agent-config";
import type { SlotSettings } from "@video-storage/contract/node-agent-config";
import { slotInodes } from "@video-storage/contract/slot-filesystem";

import { OBJECT_STORAGE_USER, UPLOAD_GROUP } from "../components/lib/security-context.js";
import { slotsOf } from "../components/lib/slots.js";
import type { LocalSsdStorageArgs } from "../components/local-ssd-storage.js";
import type { GroupEncryption, NodeGroup, NodePreparationArgs } from "../components/node-preparation.js";
import type { PreparationConfig, StackConfig } from "./config.js";
import { localVolumes, slotsOfStack, storageClassName } from "./volumes.js";

/** What LocalSsdStorage is told. */
export function localSsdStorageArgs(config: StackConfig): LocalSsdStorageArgs {
  const { environment, storage, protectData } = config;
  const common = { environment, className: storageClassName(config) };
  switch (storage.mode) {
    case "static":
      return {
        ...common,
        mode: storage.mode,
        volumes: localVolumes(config, slotsOfStack(config)),
        protectData,
      };
    case "cloud-instance-store":
      return { ...common, mode: storage.mode };
    case "topolvm":
      return {
        ...common,
        mode: storage.mode,
        deviceClass: storage.deviceClass,
        filesystem: storage.filesystem,
      };
    case "openebs-lvm":
      return {
        ...common,
        mode: storage.mode,
        volumeGroup: storage.volumeGroup,
        filesystem: storage.filesystem,
      };
  }
}

/** The agents' own namespace: no other may hold privileged pods. */
export function agentNamespace({ systemNamespace }: StackConfig): string {
  return `${systemNamespace}-nodes`;
}

/** What NodePreparation is told; null where somebody else prepares the nodes. */
export function nodePreparationArgs(config: StackConfig): NodePreparationArgs | null {
  const { environment, storage, protectData } = config;
  const args = (image: string, groups: NodeGroup[]): NodePreparationArgs => ({
    environment,
    namespace: agentNamespace(config),
    image,
    groups,
    key: "generated",
    protectKey: protectData,
  });
  if (storage.mode === "static" && storage.preparation) {
    return args(storage.preparation.image, [declaredNodes(config, storage.preparation)]);
  }
  if (storage.mode === "cloud-instance-store") {
    const { preparation, directory } = storage;
    const pools = config.pools.map((pool) => poolGroup(config, pool, preparation, directory));
    return args(preparation.image, pools);
  }
  return null;
}

/** Slots that are files' owners' from the first moment on. */
function workerSlot(config: StackConfig, name: string, user: number): SlotSettings {
  // The set-group bit hands the upload group on to every job directory.
  return { name, bytes: Number(config.slotSize), user, group: UPLOAD_GROUP, mode: "2750" };
}

function declaredNodes(config: StackConfig, preparation: PreparationConfig): NodeGroup {
  const { objectStorage: objects } = config;
  const nodes = config.nodes.map((node) => {
    const slots = slotsOf([node]).map((slot) =>
      workerSlot(config, `slot-${slot.indexOnNode}`, slot.runAsUser),
    );
    const below = objects.backend === "minio" ? objects.path?.slice(node.directory.length + 1) : undefined;
    if (objects.backend === "minio" && objects.node === node.name && below && !below.includes("/")) {
      slots.push({
        name: below,
        bytes: Number(objects.volumeSize),
        user: OBJECT_STORAGE_USER,
        group: OBJECT_STORAGE_USER,
        mode: "0750",
      });
    }
    return [node.name, { directory: node.directory, slots }] as const;
  });
  return {
    name: "declared",
    nodeSelector: {},
    hostnames: config.nodes.map((node) => node.name),
    tolerations: TOLERATIONS,
    settings: {
      medium: { kind: "devices", patterns: [...preparation.devices] },
      layout: {
        kind: "slots",
        filesystem: preparation.filesystem,
        // xfs makes inodes as it needs them, within the slot's bytes.
        inodes: preparation.filesystem === "ext4" ? slotInodes(Number(config.slotSize)) : null,
        nodes: Object.fromEntries(nodes),
      },
      encryption: encryptionOf(preparation),
      volumes: { ...VOLUMES, storageClass: storageClassName(config), owner: "declared", pool: null },
      vanishedNodes: VANISHED_NODES,
    },
  };
}

function poolGroup(
  config: StackConfig,
  pool: StackConfig["pools"][number],
  preparation: PreparationConfig,
  directory: string,
): NodeGroup {
  // Whose a slot is shows when a claim comes to lie on it: the claim says which user.
  const slots = Array.from({ length: pool.slotsPerNode }, (_, index) =>
    workerSlot(config, `slot-${index}`, 0),
  );
  return {
    name: pool.name,
    nodeSelector: pool.nodeSelector,
    hostnames: null,
    tolerations: TOLERATIONS,
    settings: {
      medium: { kind: "devices", patterns: [...preparation.devices] },
      layout: {
        kind: "slots",
        filesystem: preparation.filesystem,
        // xfs makes inodes as it needs them, within the slot's bytes.
        inodes: preparation.filesystem === "ext4" ? slotInodes(Number(config.slotSize)) : null,
        nodes: { [ANY_NODE]: { directory, slots } },
      },
      encryption: encryptionOf(preparation),
      volumes: { ...VOLUMES, storageClass: storageClassName(config), owner: "agent", pool: pool.name },
      vanishedNodes: VANISHED_NODES,
    },
  };
}

function encryptionOf({ encryption }: PreparationConfig): GroupEncryption {
  return encryption === "luks"
    ? { kind: "luks", key: "secret" }
    : { kind: "medium", reason: "storage.preparation.encryption is medium" };
}

/** Storage nodes are often kept for their pool by a taint; its key isn't ours to know. */
const TOLERATIONS = [{ operator: "Exists" as const }];

const VOLUMES = { wipeDelaySeconds: 0 };

/** Long enough for a node to restart, which must cost nobody a volume. */
const VANISHED_NODES = { graceSeconds: 1800, claims: "delete" as const };
