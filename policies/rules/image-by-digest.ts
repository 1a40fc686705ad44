import type { ResourceRule } from "../model";
import { containersOf, podTemplateOf } from "../workloads";

export const imageByDigest: ResourceRule = {
  name: "image-by-digest",
  description:
    "Images are named by digest: a tag can mean something else tomorrow, and the sweep deletes things.",
  level: "mandatory",
  severity: "high",
  check(resource) {
    const pod = podTemplateOf(resource);
    if (!pod) return [];
    return containersOf(pod)
      .filter(({ container }) => !/@sha256:[a-f0-9]{64}$/.test(String(container.image)))
      .map(
        ({ name, container }) => `${name}: image ${String(container.image)} has no digest; use name@sha256:…`,
      );
  },
};
