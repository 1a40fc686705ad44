import type { ResourceRule } from "../../model";
import { at, isSet, kindOf, UNKNOWN } from "../../model";
import { makesPods, podTemplateOf } from "../../workloads";

const LABELS = ["name", "instance", "component", "part-of", "managed-by"].map(
  (label) => `app.kubernetes.io/${label}`,
);

export const ownershipLabels: ResourceRule = {
  name: "ownership-labels",
  subject: "ownership",
  description: "Every object says what it is part of and who manages it: whoever finds it knows whom to ask.",
  level: "mandatory",
  severity: "low",
  appliesTo: (resource) => kindOf(resource) !== undefined,
  check(resource) {
    const problems = missing(at(resource.props, "metadata", "labels"), "metadata.labels");
    if (makesPods(resource) && kindOf(resource) !== "Pod") {
      problems.push(...missing(podTemplateOf(resource).labels, "the pod template's labels"));
    }
    return problems;
  },
};

function missing(labels: unknown, where: string): string[] {
  if (labels === UNKNOWN) return [];
  const absent = LABELS.filter((label) => !isSet(at(labels, label)));
  return absent.length === 0 ? [] : [`${where} lack ${absent.join(", ")}; add them`];
}
