import type { ResourceRule } from "../../model";
import { at, isSet, kindOf, objects } from "../../model";
import { podTemplateOf } from "../../workloads";

export const serviceProbed: ResourceRule = {
  name: "service-probed",
  subject: "pods",
  description:
    "A container that offers a port says when it is ready: until then a Service would send it what it can't answer.",
  level: "advisory",
  severity: "medium",
  appliesTo: (resource) => ["Deployment", "StatefulSet", "DaemonSet"].includes(kindOf(resource) ?? ""),
  check: (resource) =>
    objects(podTemplateOf(resource).spec["containers"])
      .filter((container) => objects(container["ports"]).length > 0)
      .filter((container) => !isSet(at(container, "readinessProbe")))
      .map((container) => `containers/${String(container["name"])}: no readinessProbe; set one`),
};
