import type { ResourceRule } from "../../model";
import { at, is, isSet, kindOf, objects, shown, UNKNOWN } from "../../model";

export const volumePinned: ResourceRule = {
  name: "volume-pinned",
  subject: "volumes",
  description:
    "A local PersistentVolume names its one node, its class and its size, and is kept when released: no pod looks for it elsewhere, no claim gets it by chance, and nobody reads what was left on it.",
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
      const terms = at(spec, "nodeAffinity", "required", "nodeSelectorTerms");
      // Each term is enough by itself, so all of them must say the same.
      const nodes = new Set(objects(terms).map(nodeOf));
      if (terms !== UNKNOWN && (nodes.size !== 1 || nodes.has(undefined))) {
        problems.push(
          "it names no node, or more than one; in spec.nodeAffinity.required, let kubernetes.io/hostname be In the one that has the disk",
        );
      }
      const policy = at(spec, "persistentVolumeReclaimPolicy");
      if (!is(policy, "Retain")) {
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

/** The one node that a term is for; undefined when it is for any, or for several. */
function nodeOf(term: Record<string, unknown>): unknown {
  const named = [
    ...objects(term["matchExpressions"]).filter(({ key }) => key === "kubernetes.io/hostname"),
    ...objects(term["matchFields"]).filter(({ key }) => key === "metadata.name"),
  ].find(({ operator }) => operator === "In");
  const values = named?.["values"];
  if (values === UNKNOWN) return UNKNOWN;
  return Array.isArray(values) && values.length === 1 ? (values[0] as unknown) : undefined;
}
