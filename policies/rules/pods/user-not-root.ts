import type { ResourceRule } from "../../model";
import { is, shown, UNKNOWN } from "../../model";
import { eachContainer, makesPods, securityOf } from "../../workloads";

export const userNotRoot: ResourceRule = {
  name: "user-not-root",
  subject: "pods",
  description:
    "Containers run as a user that isn't root and isn't one of the host's own: who breaks out of one is nobody there.",
  level: "mandatory",
  severity: "critical",
  limits: ["minimumUser"],
  appliesTo: makesPods,
  check: (resource, { minimumUser }) =>
    eachContainer(resource, ({ container }, pod) => {
      const problems: string[] = [];
      const nonRoot = securityOf(pod, container, "runAsNonRoot");
      if (!is(nonRoot, true)) {
        problems.push(`runAsNonRoot is ${shown(nonRoot)}; set securityContext.runAsNonRoot: true`);
      }
      for (const field of ["runAsUser", "runAsGroup"]) {
        const id = securityOf(pod, container, field);
        if (id === UNKNOWN || (typeof id === "number" && id >= minimumUser)) continue;
        problems.push(`${field} is ${shown(id)}; set securityContext.${field} to ${minimumUser} or more`);
      }
      return problems;
    }),
};
