import { bytesOf } from "../../limits";
import type { StackRule } from "../../model";
import { at, nameOf, namespaceOf } from "../../model";
import { longestPeriodSeconds } from "../../schedules";
import { claimsOf, podTemplateOf } from "../../workloads";

export const sweptBeforeFull: StackRule = {
  name: "swept-before-full",
  subject: "cleanup-jobs",
  description:
    "A volume is swept more often than it takes to fill: a sweep that comes too late frees what nobody could write.",
  level: "mandatory",
  severity: "high",
  limits: ["fillBytesPerSecond"],
  subjectsOf: (stack) => stack.ofKind("CronJob").filter((job) => claimsOf(podTemplateOf(job)).length > 0),
  checkStack(stack, { fillBytesPerSecond }) {
    const sizes = new Map(
      stack
        .ofKind("PersistentVolumeClaim")
        .map((claim) => [
          `${namespaceOf(claim)}/${nameOf(claim)}`,
          bytesOf(at(claim.props, "spec", "resources", "requests", "storage")),
        ]),
    );
    const speed = bytesOf(fillBytesPerSecond)!;
    return stack.ofKind("CronJob").flatMap((job) => {
      const schedule = at(job.props, "spec", "schedule");
      const period = typeof schedule === "string" ? periodOf(schedule) : undefined;
      if (period === undefined) return [];
      return claimsOf(podTemplateOf(job)).flatMap((claim) => {
        const bytes = sizes.get(`${namespaceOf(job)}/${claim}`);
        if (bytes === undefined) return [];
        const seconds = Number(bytes / speed);
        if (period < seconds) return [];
        const message =
          `claim ${claim} is swept every ${period} s and full after ${seconds} s at ${fillBytesPerSecond}/s; ` +
          "sweep more often, or give it more room";
        return [{ urn: job.urn, message }];
      });
    });
  },
};

/** Undefined for a schedule that another rule finds wrong. */
function periodOf(schedule: string): number | undefined {
  try {
    return longestPeriodSeconds(schedule);
  } catch {
    return undefined;
  }
}
