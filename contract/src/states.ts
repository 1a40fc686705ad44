/**
 * The life of a job. `active` is the only state in which its worker writes; all later ones are finished.
 *
 *   active ──► completed ──► uploaded
 *      │           └───────► quarantined  (a scanner found something: never staged, never uploaded)
 *      ├─────► quarantined
 *      ├─────► failed
 *      ├─────► handed-over                (its worker was drained: what it had is in object storage, for a new job)
 *      └─────► abandoned                  (set by the sweep: no heartbeat, no lease, no pod)
 */
export const JOB_STATES = [
  "active",
  "completed",
  "uploaded",
  "failed",
  "abandoned",
  "handed-over",
  "quarantined",
] as const;

export type JobState = (typeof JOB_STATES)[number];

const TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  active: ["completed", "failed", "abandoned", "handed-over", "quarantined"],
  completed: ["uploaded", "quarantined"],
  uploaded: [],
  failed: [],
  abandoned: [],
  "handed-over": [],
  quarantined: [],
};

/** A transition that the machine does not have. */
export class IllegalTransitionError extends Error {
  override readonly name = "IllegalTransitionError";
  readonly from: JobState;
  readonly to: JobState;

  constructor(from: JobState, to: JobState) {
    const allowed = TRANSITIONS[from];
    super(
      `a job that is ${from} cannot become ${to}: ` +
        (allowed.length > 0 ? `from ${from} it can become ${allowed.join(" or ")}` : `${from} is final`),
    );
    this.from = from;
    this.to = to;
  }
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

/** Made where the job's record can't be changed: by the uploader, which may only read, and by the sweep. */
const MADE_IN_CATALOGUE: readonly JobState[] = ["uploaded", "abandoned", "quarantined"];
const MADE_BY_WORKER: readonly JobState[] = ["completed", "failed", "handed-over", "quarantined"];
const LATEST_DELETION_FIRST: readonly JobState[] = [
  ...(["active", "completed", "handed-over"] as const),
  ...(["abandoned", "quarantined", "failed", "uploaded"] as const),
];

/**
 * One state from two sources: the job's own record, which its worker writes first, and the catalogue,
 * which the uploader and the sweep write too. One being ahead of the other by a step of the machine that
 * is its to make is no contradiction; anything else is, and then the reading that deletes later counts.
 */
export function reconcile(record: JobState, catalogue: JobState): Reconciled {
  if (record === catalogue) return { state: record, contradiction: false };
  // The uploader, who finds an infected file, is only given completed jobs.
  const early = catalogue === "quarantined" && record !== "completed";
  if (MADE_IN_CATALOGUE.includes(catalogue) && canBecome(record, catalogue) && !early) {
    return { state: catalogue, contradiction: false };
  }
  if (MADE_BY_WORKER.includes(record) && canBecome(catalogue, record)) {
    return { state: record, contradiction: false };
  }
  const state = LATEST_DELETION_FIRST.find((s) => s === record || s === catalogue)!;
  return { state, contradiction: true };
}
