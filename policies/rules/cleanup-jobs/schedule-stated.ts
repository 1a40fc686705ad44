import type { ResourceRule } from "../../model";
import { at, isSet, kindOf, shown, UNKNOWN } from "../../model";
import { longestPeriodSeconds } from "../../schedules";

export const scheduleStated: ResourceRule = {
  name: "schedule-stated",
  subject: "cleanup-jobs",
  description:
    "A CronJob's schedule is valid and says in which time zone: the controller's own may change with its node.",
  level: "mandatory",
  severity: "medium",
  appliesTo: (resource) => kindOf(resource) === "CronJob",
  check({ props }) {
    const schedule = at(props, "spec", "schedule");
    const problems: string[] = [];
    if (schedule !== UNKNOWN) {
      try {
        longestPeriodSeconds(String(schedule));
      } catch (error) {
        problems.push(`schedule ${shown(schedule)} ${(error as Error).message}`);
      }
    }
    if (!isSet(at(props, "spec", "timeZone"))) {
      problems.push("timeZone is not set; write it, such as Etc/UTC");
    }
    return problems;
  },
};
