import { at, objects } from "../model";
import type { ResourceRule } from "../model";
import { containersOf, podTemplateOf } from "../workloads";
import type { PodTemplate } from "../workloads";

const SECCOMP = ["RuntimeDefault", "Localhost"];

export const workloadRestricted: ResourceRule = {
  name: "workload-restricted",
  description:
    "Pods meet the restricted Pod Security Standard and have a read-only root: a worker handles what strangers made.",
  level: "mandatory",
  severity: "critical",
  check(resource) {
    const pod = podTemplateOf(resource);
    if (!pod) return [];
    return [
      ...podProblems(pod),
      ...containersOf(pod).flatMap(({ name, container }) => containerProblems(pod, name, container)),
    ];
  },
};

function podProblems({ spec }: PodTemplate): string[] {
  const shared = ["hostNetwork", "hostPID", "hostIPC"].filter((field) => spec[field] === true);
  const mounted = objects(spec.volumes).filter((volume) => volume.hostPath !== undefined);
  return [
    ...shared.map((field) => `${field} is true; leave it out`),
    ...mounted.map((volume) => `volume ${String(volume.name)} is a path of the host; use a claim`),
  ];
}

function containerProblems(
  { spec }: PodTemplate,
  name: string,
  container: Record<string, unknown>,
): string[] {
  const own = (field: string) => at(container, "securityContext", field);
  // What a container doesn't say itself, its pod says for it, where Kubernetes allows that.
  const either = (field: string) => own(field) ?? at(spec, "securityContext", field);
  const dropped = at(own("capabilities"), "drop");
  const added = at(own("capabilities"), "add");
  const problems: string[] = [];
  const unless = (fine: boolean, fix: string) => {
    if (!fine) problems.push(`${name}: set securityContext.${fix}`);
  };
  unless(either("runAsNonRoot") === true, "runAsNonRoot: true");
  unless(either("runAsUser") !== 0, "runAsUser to another user than 0");
  unless(own("privileged") !== true, "privileged: false");
  unless(own("allowPrivilegeEscalation") === false, "allowPrivilegeEscalation: false");
  unless(own("readOnlyRootFilesystem") === true, "readOnlyRootFilesystem: true");
  unless(Array.isArray(dropped) && dropped.includes("ALL"), 'capabilities.drop: ["ALL"]');
  unless(!Array.isArray(added) || added.length === 0, "capabilities without add");
  unless(
    SECCOMP.includes(String(at(either("seccompProfile"), "type"))),
    "seccompProfile.type: RuntimeDefault",
  );
  return problems;
}
