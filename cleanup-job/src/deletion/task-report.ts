import { readFileSync } from "node:fs";
import type { TreeControl } from "./tree-control.js";
import type { Answer, Task, TreeThread } from "./tree-thread.js";

/** What became of a task, and how long it took. */
export interface Report {
  readonly answer: Answer;
  readonly wallMilliseconds: number;
  /** Of which it computed, or could have if others hadn't kept the processors busy: the rest it waited for the disk. */
  readonly runnableMilliseconds: number;
}

/** Performs a task on the calling thread. */
export function performed(thread: TreeThread, task: Task, control: TreeControl): Report {
  const started = performance.now();
  const runnableBefore = runnableMilliseconds();
  const answer = thread.perform(task, control);
  return {
    answer,
    wallMilliseconds: performance.now() - started,
    runnableMilliseconds: runnableMilliseconds() - runnableBefore,
  };
}

/** Of this thread so far: on a processor, and in the queue for one. */
function runnableMilliseconds(): number {
  try {
    const [running, queued] = readFileSync("/proc/thread-self/schedstat", "latin1").split(" ");
    return (Number(running) + Number(queued)) / 1e6;
  } catch {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  }
}
