import { ENGINE_ANNOTATION_PREFIX } from "../components/lib/annotations.js";
import { base64Values } from "../components/lib/secret-data.js";
import { isSecret, unwrapped } from "./secret-values.js";
import type { RecordedResource } from "./recording-monitor.js";

/** A Kubernetes object. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly [field: string]: unknown;
}

/** An object to apply, and what must be there and ready before it. */
export interface Manifest {
  /** `Kind/namespace/name`, or `Kind/name` for what has no namespace. */
  readonly id: string;
  readonly object: KubernetesObject;
  /** Ids of other manifests. */
  readonly dependsOn: readonly string[];
  /** Whether the engine would refuse to delete it. */
  readonly protect: boolean;
}

export function manifestId(object: Pick<KubernetesObject, "kind" | "metadata">): string {
  const { name, namespace } = object.metadata;
  return [object.kind, ...(namespace === undefined ? [] : [namespace]), name].join("/");
}

/** The Kubernetes objects among `resources`, each after what it depends on, and otherwise in the order of their ids. */
export function manifestsOf(resources: readonly RecordedResource[]): Manifest[] {
  const idOf = new Map<string, string>();
  const manifests: Manifest[] = [];
  for (const resource of resources) {
    if (!resource.type.startsWith("kubernetes:")) continue;
    const object = objectOf(resource);
    const id = manifestId(object);
    idOf.set(resource.urn, id);
    manifests.push({
      id,
      object,
      // What isn't an object, such as a password, is there already.
      dependsOn: [
        ...new Set(resource.dependencies.map((urn) => idOf.get(urn)).filter((d) => d !== undefined)),
      ],
      protect: resource.protect,
    });
  }
  return inOrder(manifests);
}

/** The order of registration depends on what the runtime happens to resolve first; this one doesn't. */
function inOrder(manifests: readonly Manifest[]): Manifest[] {
  const ordered: Manifest[] = [];
  const placed = new Set<string>();
  let rest = [...manifests].sort((a, b) => (a.id < b.id ? -1 : 1));
  while (rest.length > 0) {
    const ready = rest.filter(({ dependsOn }) => dependsOn.every((id) => placed.has(id)));
    if (ready.length === 0)
      throw new Error(`objects depend on each other: ${rest.map(({ id }) => id).join(", ")}`);
    ready.forEach(({ id }) => placed.add(id));
    ordered.push(...ready);
    rest = rest.filter(({ id }) => !placed.has(id));
  }
  return ordered;
}

function objectOf(resource: RecordedResource): KubernetesObject {
  const { metadata, data, stringData, ...rest } = unwrapped(resource.inputs) as Record<string, unknown> & {
    metadata: KubernetesObject["metadata"];
    data?: Record<string, string>;
    stringData?: Record<string, string>;
  };
  const { annotations = {}, ...metadataRest } = metadata;
  const kept = Object.entries(annotations).filter(([key]) => !key.startsWith(ENGINE_ANNOTATION_PREFIX));
  return {
    apiVersion: rest.apiVersion as string,
    kind: rest.kind as string,
    metadata: { ...metadataRest, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) },
    ...rest,
    // The API keeps `data` alone, and would call every further apply of `stringData` a change.
    ...((data ?? stringData) && { data: { ...data, ...base64Values(stringData ?? {}) } }),
  };
}

/** The object with every value of a Secret replaced, for manifests that are shown or committed. */
export function withoutSecretValues(object: KubernetesObject): KubernetesObject {
  if (object.kind !== "Secret") return object;
  const data = Object.keys((object.data ?? {}) as Record<string, string>);
  return { ...object, data: Object.fromEntries(data.map((key) => [key, base64Placeholder()])) };
}

function base64Placeholder(): string {
  return Buffer.from("placeholder").toString("base64");
}

/** Whether any input of the resource is held as a secret. */
export function holdsSecret(value: unknown): boolean {
  if (isSecret(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsSecret);
}
