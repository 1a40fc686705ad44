import { openSync, readSync } from "node:fs";
import type { TreeControl } from "./tree-control.js";
import type { Answer, Task, TreeThread } from "./tree-thread.js";

/** What became of a task, and how long it took. */
export interface Report {
  readonly answer: Answer;
  readonly wallMilliseconds: number;
  /** Of which it computed, or could have if others hadn't kept the processors busy: the rest it waited for the disk. */
  readonly runnableMilliseconds: number;
  /** Of these it had no processor. */
  readonly queuedMilliseconds: number;
}

/** Performs a task on the calling thread. */
export function performed(thread: TreeThread, task: Task, control: TreeControl): Report {
  const started = performance.now();
  const before = schedule();
  const answer = thread.perform(task, control);
  const wallMilliseconds = performance.now() - started;
  const after = schedule();
  const queuedMilliseconds = after.queued - before.queued;
  const runnableMilliseconds = after.running - before.running + queuedMilliseconds;
  return { answer, wallMilliseconds, runnableMilliseconds, queuedMilliseconds };
}

/** Of this thread's own file in /proc, which is read twice for each task; open as long as the thread is there. */
let schedstat: number | undefined;
const text = Buffer.alloc(64); // two numbers of at most 20 digits, and a smaller one

/** Of this thread so far, in milliseconds: on a processor, and in the queue for one. */
function schedule(): { running: number; queued: number } {
  try {
    schedstat ??= openSync("/proc/thread-self/schedstat", "r");
    const length = readSync(schedstat, text, 0, text.length, 0);
    const [running, queued] = text.toString("latin1", 0, length).split(" ");
    return { running: Number(running) / 1e6, queued: Number(queued) / 1e6 };
  } catch {
    const { user, system } = process.threadCpuUsage();
    return { running: (user + system) / 1000, queued: 0 };
  }
}
