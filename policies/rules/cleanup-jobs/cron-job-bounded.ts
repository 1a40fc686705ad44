import type { ResourceRule } from "../../model";
import { at, isSet, kindOf, shown, UNKNOWN } from "../../model";

export const cronJobBounded: ResourceRule = {
  name: "cron-job-bounded",
  subject: "cleanup-jobs",
  description: "A CronJob never runs beside itself, and every run ends: two sweeps of one volume would race.",
  level: "mandatory",
  severity: "high",
  limits: ["minimumStartingDeadlineSeconds"],
  appliesTo: (resource) => kindOf(resource) === "CronJob",
  check({ props }, { minimumStartingDeadlineSeconds: minimum }) {
    const spec = at(props, "spec");
    const job = at(spec, "jobTemplate", "spec");
    const problems: string[] = [];
    const concurrency = at(spec, "concurrencyPolicy");
    if (concurrency !== UNKNOWN && concurrency !== "Forbid") {
      problems.push(`concurrencyPolicy is ${shown(concurrency)}; set Forbid`);
    }
    const starting = at(spec, "startingDeadlineSeconds");
    if (starting !== UNKNOWN && (typeof starting !== "number" || starting < minimum)) {
      problems.push(`startingDeadlineSeconds is ${shown(starting)}; set ${minimum} or more`);
    }
    if (!isSet(at(job, "activeDeadlineSeconds"))) {
      problems.push("a run may last for ever; set jobTemplate.spec.activeDeadlineSeconds");
    }
    if (!isSet(at(job, "backoffLimit"))) {
      problems.push("a run is retried six times by default; set jobTemplate.spec.backoffLimit");
    }
    return problems;
  },
};
