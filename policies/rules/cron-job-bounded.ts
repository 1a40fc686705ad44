import { at, kindOf } from "../model";
import type { ResourceRule } from "../model";

/** The controller looks every ten seconds; a shorter deadline can be missed for ever. */
const MINIMUM_STARTING_DEADLINE = 10;

export const cronJobBounded: ResourceRule = {
  name: "cron-job-bounded",
  description: "A CronJob never runs beside itself, and every run ends: two sweeps of one volume would race.",
  level: "mandatory",
  severity: "high",
  check(resource) {
    if (kindOf(resource) !== "CronJob") return [];
    const spec = at(resource.props, "spec");
    const job = at(spec, "jobTemplate", "spec");
    const problems: string[] = [];
    if (at(spec, "concurrencyPolicy") !== "Forbid") {
      problems.push(`concurrencyPolicy is ${String(at(spec, "concurrencyPolicy") ?? "not set")}; set Forbid`);
    }
    const starting = at(spec, "startingDeadlineSeconds");
    if (typeof starting !== "number" || starting < MINIMUM_STARTING_DEADLINE) {
      problems.push(
        `startingDeadlineSeconds is ${String(starting ?? "not set")}; set ${MINIMUM_STARTING_DEADLINE} or more`,
      );
    }
    if (typeof at(job, "activeDeadlineSeconds") !== "number") {
      problems.push("a run may last for ever; set jobTemplate.spec.activeDeadlineSeconds");
    }
    if (typeof at(job, "backoffLimit") !== "number") {
      problems.push("a run is retried six times by default; set jobTemplate.spec.backoffLimit");
    }
    return problems;
  },
};
