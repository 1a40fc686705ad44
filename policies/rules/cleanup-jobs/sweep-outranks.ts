import type { StackRule } from "../../model";
import { at, isSet, nameOf, objects } from "../../model";
import { claimsOf, podTemplateOf } from "../../workloads";

export const sweepOutranks: StackRule = {
  name: "sweep-outranks",
  subject: "cleanup-jobs",
  description:
    "What frees volumes may run on a node whose disk is full, before others: a cleaner that can't be scheduled there is no cleaner.",
  level: "mandatory",
  severity: "high",
  subjectsOf: (stack) => stack.ofKind("CronJob").filter((job) => claimsOf(podTemplateOf(job)).length > 0),
  checkStack(stack) {
    const ranks = new Map(
      stack.ofKind("PriorityClass").map((priority) => [nameOf(priority), Number(priority.props["value"])]),
    );
    return stack
      .ofKind("CronJob")
      .filter((job) => claimsOf(podTemplateOf(job)).length > 0)
      .flatMap((job) => {
        const { spec } = podTemplateOf(job);
        const priority = spec["priorityClassName"];
        const messages: string[] = [];
        if (!isSet(priority)) {
          messages.push(
            "it has the priority of any pod; set priorityClassName to a class above the workers'",
          );
        } else if ((ranks.get(priority as string) ?? 1) <= 0) {
          messages.push(
            `priority class ${String(priority)} is not above that of any pod; give it a value above 0`,
          );
        }
        const tolerates = objects(spec["tolerations"]).some(
          (toleration) =>
            at(toleration, "key") === "node.kubernetes.io/disk-pressure" ||
            (!isSet(at(toleration, "key")) && at(toleration, "operator") === "Exists"),
        );
        if (!tolerates) {
          messages.push(
            "it isn't scheduled where the disk is full; tolerate node.kubernetes.io/disk-pressure",
          );
        }
        return messages.map((message) => ({ urn: job.urn, message }));
      });
  },
};
