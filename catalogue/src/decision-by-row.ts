import { decide } from "@video-storage/contract/plan";
import type { CatalogueFacts, Decision, Rules } from "@video-storage/contract/plan";
import type { CataloguedJob } from "./job-columns.js";

/** A row of the catalogue as the plan wants it. */
export function catalogueFacts(job: CataloguedJob): CatalogueFacts {
  return {
    tenantId: job.tenantId,
    state: job.state,
    stateAgeSeconds: job.secondsInState,
    heartbeatAgeSeconds: job.secondsSinceHeartbeat,
    location: job.location,
  };
}

/**
 * What a sweep would decide if the job's record says what its row says, nobody holds its lock and nobody asked about
 * its pod: the most that can happen to it. With `pressure`, the reason why its volume needs room.
 */
export function decideByRow(job: CataloguedJob, rules: Rules, pressure?: string): Decision {
  const record = { readable: true, tenantId: job.tenantId, state: job.state } as const;
  const { jobId } = job;
  const facts = { jobId, record, catalogue: catalogueFacts(job), leaseHeld: false, pod: undefined };
  return decide({ ...facts, pressure }, rules);
}
