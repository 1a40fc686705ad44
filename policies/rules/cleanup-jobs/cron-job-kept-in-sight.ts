import type { ResourceRule } from "../../model";
import { at, is, isSet, kindOf, shown } from "../../model";

/** The controller adds eleven characters to the name of each run, and a name has 63 (Kubernetes documentation, CronJob). */
const LONGEST_NAME = 52;

export const cronJobKeptInSight: ResourceRule = {
  name: "cron-job-kept-in-sight",
  subject: "cleanup-jobs",
  description:
    "A CronJob runs, its pods aren't restarted behind its back, and its last runs can be looked at.",
  level: "mandatory",
  severity: "medium",
  appliesTo: (resource) => kindOf(resource) === "CronJob",
  check({ props }) {
    const spec = at(props, "spec");
    const job = at(spec, "jobTemplate", "spec");
    const name = at(props, "metadata", "name");
    const problems: string[] = [];
    if (typeof name === "string" && name.length > LONGEST_NAME) {
      problems.push(`its name has ${name.length} characters; the longest is ${LONGEST_NAME}`);
    }
    if (at(spec, "suspend") === true) problems.push("it is suspended, so it never runs; leave suspend out");
    const restart = at(job, "template", "spec", "restartPolicy");
    if (!is(restart, "Never", "OnFailure")) {
      problems.push(`restartPolicy is ${shown(restart)}; set Never`);
    }
    for (const field of ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]) {
      const limit = at(spec, field);
      if (!isSet(limit) || limit === 0) problems.push(`${field} is ${shown(limit)}; set 1 or more`);
    }
    if (isSet(at(job, "ttlSecondsAfterFinished"))) {
      problems.push("ttlSecondsAfterFinished takes away what the history limits keep; leave it out");
    }
    return problems;
  },
};
