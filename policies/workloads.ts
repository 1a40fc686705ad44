import { at, kindOf, objects } from "./model";
import type { ResourceView } from "./model";

/** The labels and spec of the pods that a resource makes. */
export interface PodTemplate {
  readonly labels: Record<string, unknown>;
  readonly spec: Record<string, unknown>;
}

const TEMPLATE_PATHS: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

/** The pods that the resource makes; undefined when it makes none. */
export function podTemplateOf(resource: ResourceView): PodTemplate | undefined {
  const path = TEMPLATE_PATHS[kindOf(resource) ?? ""];
  if (!path) return undefined;
  const template = at(resource.props, ...path);
  return {
    labels: (at(template, "metadata", "labels") ?? {}) as Record<string, unknown>,
    spec: (at(template, "spec") ?? {}) as Record<string, unknown>,
  };
}

/** All containers of a pod, those that run before it and beside it included. */
export function containersOf(pod: PodTemplate): { name: string; container: Record<string, unknown> }[] {
  return ["initContainers", "containers", "ephemeralContainers"].flatMap((list) =>
    objects(pod.spec[list]).map((container) => ({ name: `${list}/${String(container.name)}`, container })),
  );
}
