import { Worker } from "node:worker_threads";
import { JOBS_IN_HAND } from "../concurrency.js";
import type { Order, Report } from "./thread-main.js";
import type { TreeControl } from "./tree-control.js";
import type { Answer, Task } from "./tree-thread.js";

/*
 * The system calls block, so they are made by threads. One deletes small jobs as fast as the catalogue lets them go, two
 * keep two processors busy with large files, whose pages in memory are freed too, or with the parts of a large job; more
 * only pay where each waits for the disk, as it does for a discard (TRIM) on every file on a filesystem mounted with it.
 * So more are started when work is queued up and those that are there mostly wait, and never more than memory allows:
 * each costs about 10 MiB.
 */

const FIRST_THREADS = 2;
const MOST_THREADS = 8;
const THREAD_BYTES = 12 * 1024 * 1024;
/** Between one thread more and the next, so that each one's effect shows. */
const PATIENCE_MILLISECONDS = 100;
/** Threads that can go on for less than this share of their time wait for the disk. */
const RUNNABLE_SHARE = 0.6;
/** What a second thread takes to start: as much work must have been done before another is worth it. */
const STARTED_MILLISECONDS = 30;
/** Small jobs take less, and one thread has them gone before their rows are written. */
const LONG_TASK_MILLISECONDS = 1;

interface Waiting {
  readonly order: Order;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Threads that delete. They end with the process and don't keep it alive, unless they have something to do. */
export class DeletionThreads {
  private readonly idle: Worker[] = [];
  private readonly queue: Waiting[] = [];
  private readonly busy = new Map<Worker, Waiting>();
  private readonly proven = new WeakSet<Worker>();
  private grownAt = 0;
  /** Since the last thread more: tasks done, how long they took, and how much of it their threads could go on. */
  private tasks = 0;
  private wall = 0;
  private runnable = 0;

  constructor(private most = mostThreads()) {}

  /** How many there are. */
  get size(): number {
    return this.idle.length + this.busy.size;
  }

  perform(task: Task, control: TreeControl): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.queue.push({ order: { task, control: control.memory }, resolve, reject });
      this.dispatch();
    });
  }

  private dispatch(): void {
    while (this.queue.length > 0) {
      const worker = this.idle.pop() ?? (this.mayGrow() ? this.start() : undefined);
      if (!worker) return;
      const waiting = this.queue.shift()!;
      this.busy.set(worker, waiting);
      worker.ref();
      worker.postMessage(waiting.order);
    }
  }

  private mayGrow(): boolean {
    if (this.size === 0) return true;
    if (this.size >= this.most) return false;
    if (this.size < FIRST_THREADS) return this.queue.length >= JOBS_IN_HAND || this.tasksAreLong;
    if (this.queue.length < 2 * this.size) return false;
    if (performance.now() - this.grownAt < PATIENCE_MILLISECONDS || this.wall < PATIENCE_MILLISECONDS)
      return false;
    const share = this.runnable / this.wall;
    this.tasks = this.wall = this.runnable = 0;
    return share < RUNNABLE_SHARE;
  }

  private get tasksAreLong(): boolean {
    return this.wall > STARTED_MILLISECONDS && this.wall / this.tasks > LONG_TASK_MILLISECONDS;
  }

  private start(): Worker {
    this.grownAt = performance.now();
    const fromSource = import.meta.url.endsWith(".ts");
    const worker = new Worker(
      new URL(fromSource ? "./thread-main.ts" : "./deletion-thread.mjs", import.meta.url),
      {
        ...(fromSource && { execArgv: ["--import", "tsx"] }),
        name: "deletion",
        trackUnmanagedFds: false, // descriptors are the process's: what one thread opens, another goes on with
        resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
      },
    );
    worker.on("message", (report: Report) => this.answered(worker, report));
    worker.on("error", (error) => this.lost(worker, error));
    worker.on("exit", (code) => this.lost(worker, new Error(`a deletion thread ended with code ${code}`)));
    return worker;
  }

  private answered(worker: Worker, { answer, wallMilliseconds, runnableMilliseconds }: Report): void {
    const waiting = this.busy.get(worker)!;
    this.busy.delete(worker);
    this.proven.add(worker);
    this.idle.push(worker);
    worker.unref();
    this.tasks++;
    this.wall += wallMilliseconds;
    this.runnable += runnableMilliseconds;
    waiting.resolve(answer);
    this.dispatch();
  }

  private lost(worker: Worker, error: unknown): void {
    const waiting = this.busy.get(worker);
    this.busy.delete(worker);
    const index = this.idle.indexOf(worker);
    if (index >= 0) this.idle.splice(index, 1);
    if (waiting && !this.proven.has(worker) && this.size > 0) {
      // It couldn't be started, for want of memory or descriptors: those that are there do its work too.
      this.most = this.size;
      this.queue.unshift(waiting);
    } else waiting?.reject(error);
    this.dispatch();
  }
}

function mostThreads(): number {
  const limit = process.constrainedMemory();
  const room = limit > 0 ? Math.floor(limit / 2 / THREAD_BYTES) : MOST_THREADS;
  return Math.max(1, Math.min(MOST_THREADS, room));
}

let shared: DeletionThreads | undefined;

/** The process's own, started when first needed. */
export function deletionThreads(): DeletionThreads {
  return (shared ??= new DeletionThreads());
}
