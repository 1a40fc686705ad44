import { parentPort } from "node:worker_threads";
import { performed } from "./task-report.js";
import { TreeControl } from "./tree-control.js";
import { TreeThread } from "./tree-thread.js";
import type { Task } from "./tree-thread.js";

/** What a deletion thread is sent; it sends a report back. */
export interface Order {
  readonly task: Task;
  readonly control: SharedArrayBuffer;
}

const thread = new TreeThread();

parentPort!.on("message", ({ task, control }: Order) => {
  parentPort!.postMessage(performed(thread, task, new TreeControl(control)));
});
