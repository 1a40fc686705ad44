import type {
  AuditLag,
  BucketUpkeep,
  EligibleJobs,
  JobTotal,
  OldestJob,
  SweepTotal,
} from "@video-storage/catalogue/statistics";
import type { Sample } from "@video-storage/contract/exposition";
import { METRICS } from "@video-storage/contract/metrics";
import type { StackContract } from "@video-storage/contract/stack-contract";

/** What the catalogue was found to say. */
export interface CatalogueFigures {
  readonly totals: readonly JobTotal[];
  readonly oldest: readonly OldestJob[];
  readonly eligible: readonly EligibleJobs[];
  readonly auditLag: readonly AuditLag[];
  readonly sweeps: readonly SweepTotal[];
  readonly buckets: readonly BucketUpkeep[];
  readonly slotsInUse: number;
  /** How long it took to answer. */
  readonly seconds: number;
}

/** Audited actions, so that a figure that is 0 is there too. */
const ACTIONS = ["delete", "tier", "expire", "orphan"] as const;
/** How sweeps end, so that a counter begins at 0 and its first increase is seen. */
const RESULTS = ["ok", "partial"] as const;

/** All samples of a scrape; without figures, when the catalogue is away, only those that don't need it. */
export function samplesOf(
  contract: Pick<StackContract, "slots" | "jobsPerSlot">,
  figures: CatalogueFigures | undefined,
): Sample[] {
  return [
    one(METRICS.catalogueUp, figures === undefined ? 0 : 1),
    ...stackSamples(contract),
    ...(figures === undefined ? [] : catalogueSamples(figures)),
  ];
}

function stackSamples({ slots, jobsPerSlot }: Pick<StackContract, "slots" | "jobsPerSlot">): Sample[] {
  return [
    one(METRICS.slots, slots.length),
    ...slots.map(({ name }) => one(METRICS.slotInfo, 1, { volume: name })),
    ...(jobsPerSlot === null ? [] : [one(METRICS.extractionLimit, slots.length * jobsPerSlot)]),
  ];
}

function catalogueSamples(figures: CatalogueFigures): Sample[] {
  const { totals, oldest, eligible, auditLag, sweeps, buckets } = figures;
  return [
    ...totals.flatMap(({ tenantId: tenant, location, state, jobs, bytes }) => [
      one(METRICS.jobs, jobs, { tenant, location, state }),
      one(METRICS.jobBytes, bytes, { tenant, location, state }),
    ]),
    ...oldest.map(({ tenantId: tenant, location, state, secondsInState }) =>
      one(METRICS.oldestJobAge, secondsInState, { tenant, location, state }),
    ),
    ...eligible.flatMap(({ tenantId: tenant, state, jobs, bytes }) => [
      one(METRICS.eligibleJobs, jobs, { tenant, state }),
      one(METRICS.eligibleBytes, bytes, { tenant, state }),
    ]),
    ...ACTIONS.flatMap((action) => {
      const open = auditLag.filter((entry) => entry.action === action);
      return [
        one(METRICS.auditOpenIntents, sum(open, "openIntents"), { action }),
        one(METRICS.auditLag, Math.max(0, ...open.map(({ oldestSeconds }) => oldestSeconds)), { action }),
      ];
    }),
    ...[...new Set([...RESULTS, ...sweeps.map(({ result }) => result)])].map((result) => {
      return one(
        METRICS.sweeps,
        sum(
          sweeps.filter((s) => s.result === result),
          "sweeps",
        ),
        { result },
      );
    }),
    one(METRICS.deletedJobs, sum(sweeps, "deleted")),
    one(METRICS.tieredJobs, sum(sweeps, "tiered")),
    one(METRICS.failedJobs, sum(sweeps, "failed")),
    one(METRICS.freedBytes, sum(sweeps, "freedBytes")),
    ...buckets.map(({ bucket, lastSuccessSeconds }) =>
      one(METRICS.janitorLastSuccess, lastSuccessSeconds, { bucket }),
    ),
    one(METRICS.slotsInUse, figures.slotsInUse),
    one(METRICS.exporterDuration, figures.seconds),
  ];
}

function one(metric: Sample["metric"], value: number, labels: Sample["labels"] = {}): Sample {
  return { metric, value, labels };
}

function sum<K extends string>(entries: readonly Readonly<Record<K, number>>[], field: K): number {
  return entries.reduce((total, entry) => total + entry[field], 0);
}
