/**
 * The life of a job. `active` is the only state in which its worker writes; all later ones are finished.
 *
 *   active ──► completed ──► uploaded
 *      ├─────► failed
 *      └─────► abandoned        (set by the sweep: no heartbeat, no lease, no pod)
 */
export const JOB_STATES = ["active", "completed", "uploaded", "failed", "abandoned"] as const;

export type JobState = (typeof JOB_STATES)[number];

const TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  active: ["completed", "failed", "abandoned"],
  completed: ["uploaded"],
  uploaded: [],
  failed: [],
  abandoned: [],
};

/** A transition that the machine does not have. */
export class IllegalTransitionError extends Error {
  override readonly name = "IllegalTransitionError";
  constructor(
    readonly from: JobState,
    readonly to: JobState,
  ) {
    const allowed = TRANSITIONS[from];
    super(
      `a job that is ${from} cannot become ${to}: ` +
        (allowed.length > 0 ? `from ${from} it can become ${allowed.join(" or ")}` : `${from} is final`),
    );
  }
}

export function isJobState(value: unknown): value is JobState {
  return JOB_STATES.includes(value as JobState);
}

export function canBecome(from: JobState, to: JobState): boolean {
  return TRANSITIONS[from].includes(to);
}

/** Returns `to`, or throws {@link IllegalTransitionError}. */
export function transition(from: JobState, to: JobState): JobState {
  if (!canBecome(from, to)) throw new IllegalTransitionError(from, to);
  return to;
}

/** Whether no worker writes to the job any more. */
export function isFinished(state: JobState): boolean {
  return state !== "active";
}

/** What the sweep acts on, and whether the two sources contradicted each other. */
export interface Reconciled {
  readonly state: JobState;
  readonly contradiction: boolean;
}

/**
 * One state from two sources: the job's own record, which its worker writes first, and the catalogue,
 * which the uploader and the sweep write too. One being ahead of the other by a step of the machine that
 * is its to make is no contradiction; anything else is, and then the reading that deletes later counts.
 */
export function reconcile(record: JobState, catalogue: JobState): Reconciled {
  if (record === catalogue) return { state: record, contradiction: false };
  const madeInCatalogue = catalogue === "uploaded" || catalogue === "abandoned";
  if (madeInCatalogue && canBecome(record, catalogue)) return { state: catalogue, contradiction: false };
  const madeByWorker = record === "completed" || record === "failed";
  if (madeByWorker && canBecome(catalogue, record)) return { state: record, contradiction: false };
  const latestDeletionFirst: readonly JobState[] = ["active", "completed", "abandoned", "failed", "uploaded"];
  const state = latestDeletionFirst.find((s) => s === record || s === catalogue)!;
  return { state, contradiction: true };
}
