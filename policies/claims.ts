import { at, kindOf, namespaceOf, objects } from "./model";
import type { ResourceView, Stack } from "./model";
import { WORKLOAD_KINDS, podCountOf, podTemplateOf } from "./workloads";

/** A claim that a resource is, or that is made for each of its pods. */
export interface ClaimView {
  readonly urn: string;
  readonly namespace: string;
  /** What a message begins with; empty where the resource is the claim. */
  readonly prefix: string;
  readonly spec: unknown;
  /** How many there are of it. */
  readonly count: number;
}

/** The resources of a stack that are claims or make some. */
export function claimantsIn(stack: Stack): ResourceView[] {
  return stack
    .ofKind("PersistentVolumeClaim", ...WORKLOAD_KINDS)
    .filter((resource) => declaredClaims(resource).length > 0);
}

/** The claim that a resource is, and those that it makes by its templates. */
export function declaredClaims(resource: ResourceView): ClaimView[] {
  const { urn, props } = resource;
  const namespace = namespaceOf(resource);
  const kind = kindOf(resource);
  if (kind === "PersistentVolumeClaim") {
    return [{ urn, namespace, prefix: "", spec: at(props, "spec"), count: 1 }];
  }
  const count = podCountOf(resource);
  const ofPods = objects(podTemplateOf(resource).spec["volumes"]).flatMap((volume) => {
    const template = at(volume, "ephemeral", "volumeClaimTemplate");
    const prefix = `volumes/${String(volume["name"])}: `;
    return template === undefined ? [] : [{ urn, namespace, prefix, spec: at(template, "spec"), count }];
  });
  const templates = kind === "StatefulSet" ? objects(at(props, "spec", "volumeClaimTemplates")) : [];
  const ofSet = templates.map((template) => {
    const prefix = `volumeClaimTemplates/${String(at(template, "metadata", "name"))}: `;
    return { urn, namespace, prefix, spec: at(template, "spec"), count };
  });
  return [...ofSet, ...ofPods];
}
