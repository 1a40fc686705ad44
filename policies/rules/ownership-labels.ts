import { at, kindOf } from "../model";
import type { ResourceRule } from "../model";
import { podTemplateOf } from "../workloads";

const LABELS = ["name", "instance", "component", "part-of", "managed-by"].map(
  (label) => `app.kubernetes.io/${label}`,
);

export const ownershipLabels: ResourceRule = {
  name: "ownership-labels",
  description: "Every object says what it is part of and who manages it: whoever finds it knows whom to ask.",
  level: "mandatory",
  severity: "low",
  check(resource) {
    if (kindOf(resource) === undefined) return [];
    const problems = missing(at(resource.props, "metadata", "labels"), "metadata.labels");
    const pod = podTemplateOf(resource);
    if (pod && kindOf(resource) !== "Pod") problems.push(...missing(pod.labels, "the pod template's labels"));
    return problems;
  },
};

function missing(labels: unknown, where: string): string[] {
  const absent = LABELS.filter((label) => !at(labels, label));
  return absent.length === 0 ? [] : [`${where} lack ${absent.join(", ")}`];
}
