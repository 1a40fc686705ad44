import { at, entries, kindOf, objects } from "./model";
import type { ResourceView } from "./model";

/** The pods that a resource makes. */
export interface PodTemplate {
  readonly labels: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface ContainerView {
  /** The list that it is in and its name, as a message shows it. */
  readonly name: string;
  readonly container: Readonly<Record<string, unknown>>;
}

const TEMPLATE_PATHS: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  PodTemplate: ["template"],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  ReplicationController: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

/** Every kind that makes pods. */
export const WORKLOAD_KINDS = Object.keys(TEMPLATE_PATHS);

/** Whether the resource makes pods. */
export function makesPods(resource: ResourceView): boolean {
  return (kindOf(resource) ?? "") in TEMPLATE_PATHS;
}

/** The pods that the resource makes; an empty one when it makes none. */
export function podTemplateOf(resource: ResourceView): PodTemplate {
  const template = atPathOfKind(resource, TEMPLATE_PATHS);
  return {
    labels: Object.fromEntries(entries(at(template, "metadata", "labels"))),
    annotations: Object.fromEntries(entries(at(template, "metadata", "annotations"))),
    spec: Object.fromEntries(entries(at(template, "spec"))),
  };
}

/** Where a kind says how many pods it has at once; a DaemonSet has one for each node, however many there are. */
const COUNT_PATHS: Readonly<Record<string, readonly string[]>> = {
  Deployment: ["spec", "replicas"],
  StatefulSet: ["spec", "replicas"],
  ReplicaSet: ["spec", "replicas"],
  ReplicationController: ["spec", "replicas"],
  Job: ["spec", "parallelism"],
  CronJob: ["spec", "jobTemplate", "spec", "parallelism"],
};

/** How many pods the resource has at once; one where it doesn't say. */
export function podCountOf(resource: ResourceView): number {
  const count = atPathOfKind(resource, COUNT_PATHS);
  return typeof count === "number" ? count : 1;
}

/** What lies where kinds have it; undefined for a kind that has none. */
function atPathOfKind(resource: ResourceView, paths: Readonly<Record<string, readonly string[]>>): unknown {
  const path = paths[kindOf(resource) ?? ""];
  return path && at(resource.props, ...path);
}

/** All containers of a pod, those that run before it and beside it included. */
export function containersOf({ spec }: PodTemplate): ContainerView[] {
  return ["initContainers", "containers", "ephemeralContainers"].flatMap((list) =>
    objects(spec[list]).map((container) => ({ name: `${list}/${String(container["name"])}`, container })),
  );
}

/** What is wrong with each container, with its name before it. */
export function eachContainer(
  resource: ResourceView,
  check: (view: ContainerView, pod: PodTemplate) => readonly string[],
): string[] {
  const pod = podTemplateOf(resource);
  return containersOf(pod).flatMap((view) => check(view, pod).map((problem) => `${view.name}: ${problem}`));
}

/** A field of the security context: what a container doesn't say, its pod says for it, where Kubernetes allows that. */
export function securityOf(pod: PodTemplate, container: ContainerView["container"], field: string): unknown {
  return at(container, "securityContext", field) ?? at(pod.spec, "securityContext", field);
}

/** The claims that a pod mounts. */
export function claimsOf({ spec }: PodTemplate): string[] {
  return objects(spec["volumes"])
    .map((volume) => at(volume, "persistentVolumeClaim", "claimName"))
    .filter((name): name is string => typeof name === "string");
}

/** Changes the containers where they are; `change` says whether it did. */
export function remedyContainers(
  resource: ResourceView,
  change: (container: Record<string, unknown>) => boolean,
): boolean {
  const changed = containersOf(podTemplateOf(resource)).map(({ container }) =>
    change(container as Record<string, unknown>),
  );
  return changed.includes(true);
}
