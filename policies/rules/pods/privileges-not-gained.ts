import type { ResourceRule } from "../../model";
import { at, is, isSet, objects, shown } from "../../model";
import { eachContainer, makesPods, podTemplateOf, remedyContainers } from "../../workloads";

/** Those that the restricted Pod Security Standard of Kubernetes 1.34 lets a pod set. */
const SAFE_SYSCTLS = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
]);

export const privilegesNotGained: ResourceRule = {
  name: "privileges-not-gained",
  subject: "pods",
  description:
    "No container is privileged or can become so, and none changes the kernel's settings for others.",
  level: "mandatory",
  severity: "critical",
  appliesTo: makesPods,
  check(resource) {
    const ofPod = at(podTemplateOf(resource).spec, "securityContext");
    const sysctls = objects(at(ofPod, "sysctls"))
      .map(({ name }) => String(name))
      .filter((name) => !SAFE_SYSCTLS.has(name))
      .map((name) => `sysctl ${name} is not one that a pod may set; leave it out`);
    return [
      ...sysctls,
      ...hostProcess(ofPod),
      ...eachContainer(resource, ({ container }) => {
        const security = at(container, "securityContext");
        const problems: string[] = [];
        if (at(security, "privileged") === true) problems.push("privileged is true; leave it out");
        if (!is(at(security, "allowPrivilegeEscalation"), false)) {
          problems.push(
            `allowPrivilegeEscalation is ${shown(at(security, "allowPrivilegeEscalation"))}; set securityContext.allowPrivilegeEscalation: false`,
          );
        }
        if (isSet(at(security, "procMount")) && !is(at(security, "procMount"), "Default")) {
          problems.push(`procMount is ${shown(at(security, "procMount"))}; leave it out`);
        }
        return [...problems, ...hostProcess(security)];
      }),
    ];
  },
  // Safe: a container that isn't privileged and says nothing of it can't need what it would take away, unless
  // it starts a program with the setuid bit, which nothing here has a use for.
  remedy: (resource) =>
    remedyContainers(resource, (container) => {
      const security = at(container, "securityContext");
      if (isSet(at(security, "allowPrivilegeEscalation")) || at(security, "privileged") === true)
        return false;
      container["securityContext"] = { ...(security as object | undefined), allowPrivilegeEscalation: false };
      return true;
    }),
};

function hostProcess(security: unknown): string[] {
  return at(security, "windowsOptions", "hostProcess") === true
    ? ["windowsOptions.hostProcess is true; leave it out"]
    : [];
}
