import type { StackRule } from "../../model";
import { at, nameOf, namespaceOf, shown } from "../../model";
import { WORKLOAD_KINDS } from "../../workloads";

const ENFORCE = "pod-security.kubernetes.io/enforce";

export const namespaceRestricted: StackRule = {
  name: "namespace-restricted",
  subject: "ownership",
  description:
    "A namespace refuses pods below the restricted standard, those of strangers too, and limits what its pods may ask for.",
  level: "mandatory",
  severity: "high",
  subjectsOf: (stack) => stack.ofKind("Namespace"),
  checkStack(stack) {
    const busy = new Set(stack.ofKind(...WORKLOAD_KINDS, "PersistentVolumeClaim").map(namespaceOf));
    const having = (kind: string) => new Set(stack.ofKind(kind).map(namespaceOf));
    const [quotas, ranges] = [having("ResourceQuota"), having("LimitRange")];
    return stack.ofKind("Namespace").flatMap((resource) => {
      const name = nameOf(resource);
      const level = at(resource.props, "metadata", "labels", ENFORCE);
      const messages: string[] = [];
      if (level !== "restricted") {
        messages.push(`label ${ENFORCE} is ${shown(level)}; set restricted`);
      }
      if (name !== undefined && busy.has(name)) {
        if (!quotas.has(name)) messages.push(`namespace ${name} has no ResourceQuota; declare one`);
        if (!ranges.has(name)) messages.push(`namespace ${name} has no LimitRange; declare one`);
      }
      return messages.map((message) => ({ urn: resource.urn, message }));
    });
  },
};
