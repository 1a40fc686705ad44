import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { TreeControl } from "./tree-control.js";
import { TreeThread } from "./tree-thread.js";
import type { Answer, Task } from "./tree-thread.js";

/** What a deletion thread is sent. */
export interface Order {
  readonly task: Task;
  readonly control: SharedArrayBuffer;
}

/** What it sends back. */
export interface Report {
  readonly answer: Answer;
  readonly wallMilliseconds: number;
  /** Of which it computed, or could have if others hadn't kept the processors busy: the rest it waited for the disk. */
  readonly runnableMilliseconds: number;
}

const thread = new TreeThread();

parentPort!.on("message", ({ task, control }: Order) => {
  const started = performance.now();
  const runnableBefore = runnableMilliseconds();
  const answer = thread.perform(task, new TreeControl(control));
  parentPort!.postMessage({
    answer,
    wallMilliseconds: performance.now() - started,
    runnableMilliseconds: runnableMilliseconds() - runnableBefore,
  } satisfies Report);
});

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
