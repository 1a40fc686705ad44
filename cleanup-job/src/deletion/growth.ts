import { JOBS_IN_HAND } from "../concurrency.js";

/*
 * The system calls of a deletion block, so they are made by threads. One deletes small jobs as fast as the catalogue lets
 * them go, two keep two processors busy with large files, whose pages in memory are freed too, or with the parts of a
 * large job; more only pay where each waits for the disk, as it does for a discard (TRIM) on every file on a filesystem
 * mounted with it.
 */

/** How many threads there are, and what they did since the last one was started. */
export interface Load {
  readonly threads: number;
  /** Tasks that wait for a thread. */
  readonly queued: number;
  readonly done: {
    readonly tasks: number;
    readonly wallMilliseconds: number;
    /** Of which their threads could have gone on: the rest they waited for the disk. */
    readonly runnableMilliseconds: number;
  };
  readonly millisecondsSinceStart: number;
}

/** Two keep two processors busy. */
const FIRST_THREADS = 2;
/** Between one thread more and the next, so that each one's effect shows. */
const PATIENCE_MILLISECONDS = 100;
/** Threads that can go on for less than this share of their time wait for the disk. */
const RUNNABLE_SHARE = 0.6;
/** What a second thread takes to start: as much work must have been done before another is worth it. */
const STARTED_MILLISECONDS = 30;
/** Small jobs take less, and one thread has them gone before their rows are written. */
const LONG_TASK_MILLISECONDS = 0.5;

/** Whether one thread more would pay, up to `most`. */
export function wantsThread({ threads, queued, done, millisecondsSinceStart }: Load, most: number): boolean {
  const { tasks, wallMilliseconds, runnableMilliseconds } = done;
  if (queued <= 0 || threads >= most) return false;
  if (threads === 0) return true;
  if (threads < FIRST_THREADS) {
    const tasksAreLong =
      wallMilliseconds > STARTED_MILLISECONDS && wallMilliseconds / tasks > LONG_TASK_MILLISECONDS;
    return queued >= JOBS_IN_HAND || tasksAreLong;
  }
  if (queued < 2 * threads) return false;
  if (millisecondsSinceStart < PATIENCE_MILLISECONDS || wallMilliseconds < PATIENCE_MILLISECONDS)
    return false;
  return runnableMilliseconds / wallMilliseconds < RUNNABLE_SHARE;
}
