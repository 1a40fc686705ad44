import { checkAudit } from "./audit.js";
import type { Evidence, Violation } from "./evidence.js";
import { checkJobs } from "./jobs.js";
import { checkReach } from "./reach.js";
import { checkTimesToLive } from "./times-to-live.js";

/** Everything that is not as it must be, each once; none when all is well. */
export function check(evidence: Evidence): Violation[] {
  const found = [checkJobs, checkTimesToLive, checkReach, checkAudit].flatMap((rule) => rule(evidence));
  const once = new Map(found.map((violation) => [JSON.stringify(violation), violation]));
  return [...once.values()];
}
