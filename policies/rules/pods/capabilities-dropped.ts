import type { ResourceRule } from "../../model";
import { at, isSet, texts, UNKNOWN } from "../../model";
import { eachContainer, makesPods, remedyContainers } from "../../workloads";

export const capabilitiesDropped: ResourceRule = {
  name: "capabilities-dropped",
  subject: "pods",
  description: "Containers give up every capability and take none back: nothing here needs one.",
  level: "mandatory",
  severity: "high",
  appliesTo: makesPods,
  check: (resource) =>
    eachContainer(resource, ({ container }) => {
      const capabilities = at(container, "securityContext", "capabilities");
      const dropped = at(capabilities, "drop");
      const added = texts(at(capabilities, "add"));
      const problems: string[] = [];
      if (dropped !== UNKNOWN && !texts(dropped).includes("ALL")) {
        problems.push('capabilities are kept; set securityContext.capabilities.drop: ["ALL"]');
      }
      if (added.length > 0) problems.push(`capabilities ${added.join(", ")} are added; leave add out`);
      return problems;
    }),
  // Safe: what has taken none back and says nothing has Docker's default set, of which it was given no reason.
  remedy: (resource) =>
    remedyContainers(resource, (container) => {
      const security = at(container, "securityContext");
      if (isSet(at(security, "capabilities")) || at(security, "privileged") === true) return false;
      container["securityContext"] = { ...(security as object | undefined), capabilities: { drop: ["ALL"] } };
      return true;
    }),
};
