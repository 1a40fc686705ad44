import type { ResourceRule } from "../../model";
import { at, isSet, objects } from "../../model";
import { eachContainer, makesPods, podTemplateOf } from "../../workloads";

// A limit on CPU throttles a container while the node is idle, so none is asked for.
const WANTED = [
  ["requests", "cpu"],
  ["requests", "memory"],
  ["limits", "memory"],
  ["requests", "ephemeral-storage"],
  ["limits", "ephemeral-storage"],
] as const;

export const resourcesBounded: ResourceRule = {
  name: "resources-bounded",
  subject: "pods",
  description:
    "Containers say what they need of CPU, memory and the node's own disk, and can't take more: one that grows is ended, not its neighbours.",
  level: "mandatory",
  severity: "medium",
  appliesTo: makesPods,
  check: (resource) => [
    ...eachContainer(resource, ({ container }) => {
      const missing = WANTED.filter((path) => !isSet(at(container, "resources", ...path)));
      return missing.length === 0
        ? []
        : [`resources lack ${missing.map((path) => path.join(".")).join(", ")}; set them`];
    }),
    ...objects(podTemplateOf(resource).spec["volumes"])
      .filter((volume) => volume["emptyDir"] !== undefined && !isSet(at(volume, "emptyDir", "sizeLimit")))
      .map((volume) => `volume ${String(volume["name"])} is an emptyDir without end; set emptyDir.sizeLimit`),
  ],
};
