import type { KubernetesObject, Manifest } from "../manifests.js";
import { manifestId } from "../manifests.js";
import type { ClusterClient, ObjectReference } from "./cluster-client.js";

/** One object that an apply has declared. */
export interface InventoryEntry extends ObjectReference {
  /** Whether the program protects it. */
  readonly protect: boolean;
}

const NAME = "video-storage-inventory";
const KEY = "objects.json";

/** Kinds whose deletion takes data along: never deleted because a declaration is gone. */
const KINDS_WITH_DATA: readonly string[] = ["PersistentVolume", "PersistentVolumeClaim", "Namespace"];

export function entryOf({ object, protect }: Manifest): InventoryEntry {
  const { name, namespace } = object.metadata;
  const metadata = { name, ...(namespace !== undefined && { namespace }) };
  return { apiVersion: object.apiVersion, kind: object.kind, metadata, protect };
}

export interface PrunePlan {
  /** To delete, last declared first. */
  readonly remove: readonly InventoryEntry[];
  /** No longer declared, but left alone because data would go with them. */
  readonly keep: readonly InventoryEntry[];
}

/** What an earlier apply declared and this one doesn't. */
export function planPrune(before: readonly InventoryEntry[], now: readonly InventoryEntry[]): PrunePlan {
  const declared = new Set(now.map(manifestId));
  const gone = before.filter((entry) => !declared.has(manifestId(entry)));
  const withData = (entry: InventoryEntry) => entry.protect || KINDS_WITH_DATA.includes(entry.kind);
  return { remove: gone.filter((entry) => !withData(entry)).reverse(), keep: gone.filter(withData) };
}

/** Both lists, each object once. */
export function union(before: readonly InventoryEntry[], now: readonly InventoryEntry[]): InventoryEntry[] {
  const declared = new Set(now.map(manifestId));
  return [...before.filter((entry) => !declared.has(manifestId(entry))), ...now];
}

export async function readInventory(client: ClusterClient, namespace: string): Promise<InventoryEntry[]> {
  const configMap = await client.read(inventoryObject(namespace, []));
  const content = (configMap?.data as Record<string, string> | undefined)?.[KEY];
  return content === undefined ? [] : (JSON.parse(content) as InventoryEntry[]);
}

export async function writeInventory(
  client: ClusterClient,
  namespace: string,
  entries: readonly InventoryEntry[],
): Promise<void> {
  await client.apply(inventoryObject(namespace, entries));
}

function inventoryObject(namespace: string, entries: readonly InventoryEntry[]): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: NAME,
      namespace,
      labels: {
        "app.kubernetes.io/part-of": "video-storage",
        "app.kubernetes.io/managed-by": "video-storage",
      },
    },
    data: { [KEY]: JSON.stringify(entries) },
  };
}
