import type { ResourceRule } from "../../model";
import { at, is, isSet, kindOf, objects, shown } from "../../model";

export const volumePinned: ResourceRule = {
  name: "volume-pinned",
  subject: "volumes",
  description:
    "A local PersistentVolume names its node and its claim and is kept when released: no pod looks for it elsewhere, no stranger binds it, and nobody reads what was left on it.",
  level: "mandatory",
  severity: "high",
  appliesTo: (resource) => kindOf(resource) === "PersistentVolume",
  check({ props }) {
    const spec = at(props, "spec");
    const problems: string[] = [];
    if (isSet(at(spec, "hostPath"))) {
      problems.push(
        "it is a hostPath, which has no size and no node; use spec.local on a filesystem of its own",
      );
    }
    if (isSet(at(spec, "local"))) {
      const terms = objects(at(spec, "nodeAffinity", "required", "nodeSelectorTerms"));
      const pinned = terms.some((term) =>
        objects(term["matchExpressions"]).some((expression) => expression["operator"] === "In"),
      );
      if (!pinned)
        problems.push("it names no node; set spec.nodeAffinity.required to the one that has the disk");
      const policy = at(spec, "persistentVolumeReclaimPolicy");
      if (!is(policy, "Retain", "Delete")) {
        problems.push(`persistentVolumeReclaimPolicy is ${shown(policy)}; write Retain`);
      }
    }
    if (!isSet(at(spec, "storageClassName"))) {
      problems.push("it has no class, so any claim without one may bind it; set spec.storageClassName");
    }
    if (!isSet(at(spec, "capacity", "storage"))) {
      problems.push("it has no size; set spec.capacity.storage to that of its filesystem");
    }
    return problems;
  },
};
