import { Worker } from "node:worker_threads";
import { wantsThread } from "./growth.js";
import { LargeFiles } from "./large-files.js";
import { LongRemovals } from "./long-removals.js";
import { performed } from "./task-report.js";
import type { Report } from "./task-report.js";
import type { Order } from "./thread-main.js";
import { TimedControl } from "./tree-control.js";
import type { TreeControl } from "./tree-control.js";
import { TreeThread } from "./tree-thread.js";
import type { Answer, Task } from "./tree-thread.js";

const MOST_THREADS = 16;
/** Of memory that each costs, about. */
const THREAD_BYTES = 12 * 1024 * 1024;
/** That the caller's own thread takes at one tree; beyond, somebody keeps putting things back. */
const MOST_LOOKS = 100;
const REMEMBERED_MILLISECONDS = 1000;
const NOTHING = { tasks: 0, wallMilliseconds: 0, runnableMilliseconds: 0 };

interface Waiting {
  readonly order: Order;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** What the caller's own thread does, in milliseconds of its work. */
export interface OwnLimits {
  /** On one tree, which keeps everything else of the process waiting. */
  readonly atOnce: number;
  /** Beyond {@link OWN_SHARE}, from which on there is enough to do for a thread to be worth its start. */
  readonly alone: number;
  /** Beyond that share at most, while one starts. 0: nothing. */
  readonly inAll: number;
}

const OWN_LIMITS: OwnLimits = { atOnce: 30, alone: 120, inAll: 240 };
/** Of all its time, so that small jobs, which go as fast as the catalogue lets them, need no other thread. */
const OWN_SHARE = 0.2;

/**
 * Threads that delete, and the caller's own thread until the first of them is ready: what most sweeps have to delete is
 * gone before that, and then none is started. They end with the process and don't keep it alive, unless they have
 * something to do.
 */
export class DeletionThreads {
  private readonly starting = new Set<Worker>();
  private readonly idle: Worker[] = [];
  private readonly queue: Waiting[] = [];
  private readonly busy = new Map<Worker, Waiting>();
  private readonly proven = new WeakSet<Worker>();
  private own: TreeThread | undefined;
  private readonly longRemovals: LongRemovals;
  private readonly largeFiles = new LargeFiles();
  /** What it worked beyond its share, when it last did. */
  private ownMillisecondsOver = 0;
  private ownEndedAt = 0;
  private lastTurn: Promise<void> = Promise.resolve();
  private waitingForTurn = 0;
  private startedAt = 0;
  /** Since the last one was started; see {@link remember}. */
  private done = { ...NOTHING };
  private most: number;
  private readonly limits: OwnLimits;

  constructor(most = mostThreads(), limits = OWN_LIMITS, longRemovals = new LongRemovals()) {
    this.most = most;
    this.limits = limits;
    this.longRemovals = longRemovals;
  }

  /** How many there are, besides the caller's. */
  get size(): number {
    return this.starting.size + this.idle.length + this.busy.size;
  }

  async perform(task: Task, control: TreeControl): Promise<Answer> {
    const answer = await this.ownAnswer(task, control);
    if (answer) return answer;
    return new Promise((resolve, reject) => {
      this.queue.push({ order: { task, control: control.memory }, resolve, reject });
      this.dispatch();
    });
  }

  /** Undefined when it is left to threads, or not finished in its time: whoever goes on finds what is left. */
  private async ownAnswer(task: Task, control: TreeControl): Promise<Answer | undefined> {
    let long: LongRemovals | undefined = this.longRemovals;
    for (let look = 0; look < MOST_LOOKS && this.doesItself(task); look++) {
      await this.ownTurn();
      if (!this.doesItself(task)) return undefined;
      const { answer, isOver } = this.look(task, control, long);
      if (answer.aside && !(await this.largeFiles.remove(answer.aside, control))) long = undefined;
      if (isOver) return undefined;
      if (!answer.aside) return answer;
    }
    return undefined;
  }

  private doesItself({ kind }: Task): boolean {
    const noneIsReady = this.idle.length + this.busy.size === 0;
    return kind === "open" && noneIsReady && this.ownMillisecondsLeft > 0;
  }

  private get ownMillisecondsLeft(): number {
    return this.limits.inAll - this.ownMillisecondsOverNow;
  }

  private get ownMillisecondsOverNow(): number {
    return Math.max(0, this.ownMillisecondsOver - (performance.now() - this.ownEndedAt) * OWN_SHARE);
  }

  /** One after the other, and in between signals, and a thread that is ready, have their turn. */
  private async ownTurn(): Promise<void> {
    const turn = this.lastTurn;
    this.lastTurn = turn.then(() => new Promise((resolve) => setImmediate(resolve)));
    this.waitingForTurn++;
    await turn;
    this.waitingForTurn--;
  }

  private look(
    task: Task,
    control: TreeControl,
    long: LongRemovals | undefined,
  ): { readonly answer: Answer; readonly isOver: boolean } {
    this.own ??= new TreeThread();
    const overBefore = this.ownMillisecondsOverNow;
    const until = performance.now() + Math.min(this.limits.atOnce, this.ownMillisecondsLeft);
    const timed = new TimedControl(control.memory, until, long);
    const { answer, wallMilliseconds, runnableMilliseconds, queuedMilliseconds } = performed(
      this.own,
      task,
      timed,
    );
    // While others have the processors, one thread more would only wait for them too.
    this.ownMillisecondsOver = overBefore + wallMilliseconds - queuedMilliseconds;
    this.ownEndedAt = performance.now();
    this.remember(wallMilliseconds, runnableMilliseconds);
    const pays =
      this.size > 0 ? this.mayGrow(this.waitingForTurn) : this.ownMillisecondsOver >= this.limits.alone;
    if (pays) this.start().unref();
    return { answer, isOver: timed.isOver };
  }

  private dispatch(): void {
    while (this.queue.length > 0 && this.idle.length > 0) {
      const worker = this.idle.pop()!;
      const waiting = this.queue.shift()!;
      this.busy.set(worker, waiting);
      worker.ref();
      worker.postMessage(waiting.order);
    }
    // Those that are starting take one each.
    while (this.mayGrow(this.queue.length - this.starting.size)) this.start();
    if (this.queue.length > 0) for (const worker of this.starting) worker.ref();
  }

  private mayGrow(queued: number): boolean {
    const millisecondsSinceStart = performance.now() - this.startedAt;
    const load = { threads: this.size, queued, done: this.done, millisecondsSinceStart };
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
    this.starting.add(worker);
    worker.once("online", () => {
      this.starting.delete(worker);
      worker.unref();
      this.idle.push(worker);
      this.dispatch();
    });
    worker.on("message", (report: Report) => this.answered(worker, report));
    let isLost = false;
    const lost = (error: unknown): void => {
      if (!isLost) this.lost(worker, error);
      isLost = true;
    };
    worker.on("error", lost);
    worker.on("exit", (code) => lost(new Error(`a deletion thread ended with code ${code}`)));
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
    const began = !this.starting.delete(worker);
    const index = this.idle.indexOf(worker);
    if (index >= 0) this.idle.splice(index, 1);
    const waiting = began ? this.busy.get(worker) : undefined;
    this.busy.delete(worker);
    if (this.proven.has(worker)) waiting?.reject(error);
    else {
      // It couldn't be started, for want of memory or descriptors: those that are there do its work too.
      if (waiting) this.queue.unshift(waiting);
      if (this.size > 0) this.most = this.size;
      else this.queue.shift()?.reject(error);
    }
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
