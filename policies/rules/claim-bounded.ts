import { at, kindOf } from "../model";
import type { ResourceRule } from "../model";

const LOCAL_MODES = ["ReadWriteOnce", "ReadWriteOncePod"];

export const claimBounded: ResourceRule = {
  name: "claim-bounded",
  description:
    "A claim says how much it wants, of which class, and for one node: no claim takes what others count on.",
  level: "mandatory",
  severity: "high",
  check(resource) {
    if (kindOf(resource) !== "PersistentVolumeClaim") return [];
    const spec = at(resource.props, "spec");
    const modes = (at(spec, "accessModes") ?? []) as string[];
    const problems: string[] = [];
    if (!at(spec, "resources", "requests", "storage")) {
      problems.push("the claim asks for no size; set spec.resources.requests.storage");
    }
    if (!at(spec, "storageClassName")) {
      problems.push("the claim takes whatever class is the default; set spec.storageClassName");
    }
    if (modes.length === 0 || modes.some((mode) => !LOCAL_MODES.includes(mode))) {
      problems.push(
        `the access modes are [${modes.join(", ")}]; use ReadWriteOnce, a local disk has one node`,
      );
    }
    return problems;
  },
};
