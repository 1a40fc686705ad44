import type { ResourceView, Stack, StackRule } from "../../model";
import { isSet, kindOf, nameOf, namespaceOf, objects } from "../../model";
import { WORKLOAD_KINDS, claimsOf, podTemplateOf } from "../../workloads";

const DISK_PRESSURE = "node.kubernetes.io/disk-pressure";
/** Those that Kubernetes brings with it. */
const OWN_CLASSES: readonly (readonly [string, number])[] = [
  ["system-node-critical", 2_000_001_000],
  ["system-cluster-critical", 2_000_000_000],
];

export const sweepOutranks: StackRule = {
  name: "sweep-outranks",
  subject: "cleanup-jobs",
  description:
    "What frees volumes may run on a node whose disk is full, before those who fill them: a cleaner that can't be scheduled there is no cleaner.",
  level: "mandatory",
  severity: "high",
  subjectsOf: sweepsIn,
  checkStack(stack) {
    const ranks = new Map<unknown, number>(OWN_CLASSES);
    for (const priority of stack.ofKind("PriorityClass")) {
      ranks.set(nameOf(priority), Number(priority.props["value"]));
    }
    const rankOf = (resource: ResourceView): number | undefined =>
      ranks.get(podTemplateOf(resource).spec["priorityClassName"]);
    return sweepsIn(stack).flatMap((sweep) => {
      const { spec } = podTemplateOf(sweep);
      const messages: string[] = [];
      const priority = spec["priorityClassName"];
      const rank = rankOf(sweep);
      const above =
        rank === undefined ? [] : fillersBeside(sweep, stack).filter((other) => (rankOf(other) ?? 0) >= rank);
      if (!isSet(priority)) {
        messages.push("it has the priority of any pod; set priorityClassName to a class above the workers'");
      } else if (rank !== undefined && rank <= 0) {
        messages.push(
          `priority class ${String(priority)} is not above that of any pod; give it a value above 0`,
        );
      } else if (above.length > 0) {
        const names = above.map((other) => `${kindOf(other)} ${nameOf(other)} (${rankOf(other) ?? 0})`);
        messages.push(
          `priority class ${String(priority)} (${rank}) is not above that of ${names.join(", ")}; give it a higher value`,
        );
      }
      if (!objects(spec["tolerations"]).some(toleratesFullDisk)) {
        messages.push(`it isn't scheduled where the disk is full; tolerate ${DISK_PRESSURE} with NoSchedule`);
      }
      return messages.map((message) => ({ urn: sweep.urn, message }));
    });
  },
};

function sweepsIn(stack: Stack): ResourceView[] {
  return stack.ofKind("CronJob").filter((job) => claimsOf(podTemplateOf(job)).length > 0);
}

/** The workloads that write to what is swept. */
function fillersBeside(sweep: ResourceView, stack: Stack): ResourceView[] {
  const claims = claimsOf(podTemplateOf(sweep));
  return stack
    .ofKind(...WORKLOAD_KINDS)
    .filter((other) => kindOf(other) !== "CronJob" && namespaceOf(other) === namespaceOf(sweep))
    .filter((other) => claimsOf(podTemplateOf(other)).some((claim) => claims.includes(claim)));
}

/** Whether a toleration is one of the taint, which has no value and the effect NoSchedule. */
function toleratesFullDisk({ key, operator, value, effect }: Record<string, unknown>): boolean {
  const isOfIt =
    operator === "Exists" ? !isSet(key) || key === DISK_PRESSURE : key === DISK_PRESSURE && !isSet(value);
  return isOfIt && (!isSet(effect) || effect === "NoSchedule");
}
