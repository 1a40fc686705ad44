import type { ResourceRule } from "../../model";
import { at, is, isSet, shown } from "../../model";
import { eachContainer, makesPods, podTemplateOf, securityOf } from "../../workloads";

/** Those that the restricted Pod Security Standard of Kubernetes 1.34 lets a pod name. */
const CONTAINER_DOMAINS = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

export const seccompSet: ResourceRule = {
  name: "seccomp-set",
  subject: "pods",
  description:
    "A seccomp profile keeps system calls away that no container here needs, and no other guard is turned off.",
  level: "mandatory",
  severity: "high",
  appliesTo: makesPods,
  check(resource) {
    const pod = podTemplateOf(resource);
    const annotated = Object.entries(pod.annotations)
      .filter(
        ([key, value]) =>
          key.startsWith("container.apparmor.security.beta.kubernetes.io/") && value === "unconfined",
      )
      .map(([key]) => `annotation ${key} turns AppArmor off; leave it out`);
    return [
      ...annotated,
      ...eachContainer(resource, ({ container }) => {
        const seccomp = at(securityOf(pod, container, "seccompProfile"), "type");
        const armor = at(securityOf(pod, container, "appArmorProfile"), "type");
        const linux = securityOf(pod, container, "seLinuxOptions");
        const problems: string[] = [];
        if (!is(seccomp, "RuntimeDefault", "Localhost")) {
          problems.push(
            `seccompProfile.type is ${shown(seccomp)}; set securityContext.seccompProfile.type: RuntimeDefault`,
          );
        }
        if (isSet(armor) && !is(armor, "RuntimeDefault", "Localhost")) {
          problems.push(`appArmorProfile.type is ${shown(armor)}; leave it out`);
        }
        if (isSet(at(linux, "user")) || isSet(at(linux, "role"))) {
          problems.push("seLinuxOptions names a user or role; leave both out");
        }
        const domain = at(linux, "type");
        if (isSet(domain) && !is(domain, ...CONTAINER_DOMAINS)) {
          problems.push(
            `seLinuxOptions.type is ${shown(domain)}; leave it out, or use one of ${CONTAINER_DOMAINS.join(", ")}`,
          );
        }
        return problems;
      }),
    ];
  },
  // Safe: the runtime's own profile is what every container has on a node with seccompDefault.
  remedy(resource) {
    const { spec } = podTemplateOf(resource);
    const security = spec["securityContext"];
    // Only where the pod has an object to put it in, because the pod's own inputs are read through a copy.
    if (typeof security !== "object" || security === null || isSet(at(security, "seccompProfile")))
      return false;
    (security as Record<string, unknown>)["seccompProfile"] = { type: "RuntimeDefault" };
    return true;
  },
};
