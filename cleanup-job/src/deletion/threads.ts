import { Worker } from "node:worker_threads";
import { wantsThread } from "./growth.js";
import type { Order, Report } from "./thread-main.js";
import type { TreeControl } from "./tree-control.js";
import type { Answer, Task } from "./tree-thread.js";

const MOST_THREADS = 16;
/** Of memory that each costs, about. */
const THREAD_BYTES = 12 * 1024 * 1024;
const REMEMBERED_MILLISECONDS = 1000;
const NOTHING = { tasks: 0, wallMilliseconds: 0, runnableMilliseconds: 0 };

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
  private startedAt = 0;
  /** Since the last one was started; see {@link remember}. */
  private done = { ...NOTHING };
  private most: number;

  constructor(most = mostThreads()) {
    this.most = most;
  }

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
    const millisecondsSinceStart = performance.now() - this.startedAt;
    const load = { threads: this.size, queued: this.queue.length, done: this.done, millisecondsSinceStart };
    return wantsThread(load, this.most);
  }

  private start(): Worker {
    this.startedAt = performance.now();
    this.done = { ...NOTHING };
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
    this.remember(wallMilliseconds, runnableMilliseconds);
    waiting.resolve(answer);
    this.dispatch();
  }

  /** What was long ago counts for less: a disk is judged by how it is now. */
  private remember(wallMilliseconds: number, runnableMilliseconds: number): void {
    const share = this.done.wallMilliseconds < REMEMBERED_MILLISECONDS ? 1 : 1 / 2;
    this.done = {
      tasks: this.done.tasks * share + 1,
      wallMilliseconds: this.done.wallMilliseconds * share + wallMilliseconds,
      runnableMilliseconds: this.done.runnableMilliseconds * share + runnableMilliseconds,
    };
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
