import type { Directory, EntryName } from "./handles.js";
import { entryName } from "./handles.js";
import { deletionThreads } from "./threads.js";
import type { DeletionThreads } from "./threads.js";
import { TreeControl } from "./tree-control.js";
import type { Progress } from "./tree-control.js";
import { SHOWN_REMAINING } from "./tree-thread.js";
import type { Answer, Place, Remaining } from "./tree-thread.js";

export type { Remaining } from "./tree-thread.js";

/** What a deletion did. */
export interface TreeDeletion {
  /** Whether nothing is left. */
  readonly complete: boolean;
  /** Whether it stopped because it was asked to. */
  readonly interrupted: boolean;
  /** Bytes really freed: blocks of files whose last name went, not of those linked elsewhere too. */
  readonly bytes: number;
  /** Names removed that were not directories. */
  readonly files: number;
  readonly directories: number;
  /** At most 20 examples of what is left. */
  readonly remaining: readonly Remaining[];
}

export interface TreeOptions {
  readonly signal?: AbortSignal;
  /** Default: the process's own. */
  readonly threads?: DeletionThreads;
  /** Told now and then what was done so far, and a last time before the deletion ends. */
  readonly onProgress?: (progress: Progress) => void;
}

/** An attacker who keeps putting things back is left to the next sweep. */
const MAXIMUM_REOPENINGS = 100;
const DIRECTORIES_IN_ONE_TASK = 8;
/** Directories that wait for a thread; beyond, the listing waits for them. */
const MOST_DIRECTORIES_WAITING = 2048;
const PROGRESS_MILLISECONDS = 1000;

/**
 * Removes `name` below `parent` with everything in it, and nothing else, whatever anybody does to the tree
 * meanwhile: no link is followed, no mount entered, nothing but directories opened.
 *
 * Directories are worked on one level below the top only: a deeper one is first moved up into the top. So
 * the number of open handles doesn't depend on the depth, nor memory on the number of entries, and the
 * top's own listing is the list of what is left to do, also for the sweep after a kill.
 */
export async function deleteTree(
  parent: Directory,
  name: EntryName,
  options: TreeOptions = {},
): Promise<TreeDeletion> {
  const tree = new Tree(parent, entryName(name), options);
  const { signal, onProgress } = options;
  const stop = (): void => tree.control.stop();
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  const timer =
    onProgress && setInterval(() => onProgress(tree.control.progress), PROGRESS_MILLISECONDS).unref();
  try {
    const complete = await tree.remove();
    const { bytes, files, directories } = tree.control.progress;
    const interrupted = !complete && tree.control.stopped;
    return { complete, interrupted, bytes, files, directories, remaining: complete ? [] : tree.remaining };
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Shares the deletion of one tree among the threads. */
class Tree {
  readonly control = new TreeControl();
  remaining: Remaining[] = [];
  private readonly threads: DeletionThreads;
  private readonly parent: Place;
  private readonly name: Uint8Array;

  constructor({ fd, mountId }: Directory, name: Uint8Array, { threads }: TreeOptions) {
    this.name = name;
    this.parent = { fd, mountId };
    this.threads = threads ?? deletionThreads();
  }

  /** Whether nothing is left. */
  async remove(): Promise<boolean> {
    const { parent, name } = this;
    for (let opening = 0; opening < MAXIMUM_REOPENINGS; opening++) {
      if (this.control.stopped) return false;
      const before = this.progress;
      this.remaining = [];
      let answer = this.noted(await this.threads.perform({ kind: "open", parent, name }, this.control));
      while (answer.state === "listed") answer = await this.shared(answer, answer.top!);
      if (answer.state === "gone") return true;
      if (this.progress === before) return false;
    }
    return false;
  }

  /** Has the directories that were listed emptied, while the listing goes on; then looks whether anything is left. */
  private async shared(first: Answer, top: Place): Promise<Answer> {
    const { parent, name } = this;
    const before = this.progress;
    const tasks = new Set<Promise<unknown>>();
    const failures: unknown[] = [];
    let waiting = 0;
    const begin = (names: readonly Uint8Array[]): void => {
      for (let start = 0; start < names.length; start += DIRECTORIES_IN_ONE_TASK) {
        const batch = names.slice(start, start + DIRECTORIES_IN_ONE_TASK);
        waiting += batch.length;
        const task: Promise<unknown> = this.threads
          .perform({ kind: "empty", top, names: batch }, this.control)
          .then((answer) => this.noted(answer))
          .catch((error: unknown) => failures.push(error))
          .finally(() => {
            waiting -= batch.length;
            tasks.delete(task);
          });
        tasks.add(task);
      }
    };
    let answer = first;
    try {
      begin(answer.names!);
      while (answer.more && !this.control.stopped) {
        while (waiting > MOST_DIRECTORIES_WAITING) await Promise.race(tasks);
        answer = this.noted(
          await this.threads.perform({ kind: "list", parent, name, top, resume: true }, this.control),
        );
        if (answer.state !== "listed") break; // and the top is closed
        begin(answer.names!);
      }
    } finally {
      // Also after an error: a number may mean another directory once it has been closed.
      while (tasks.size > 0) await Promise.all(tasks);
    }
    if (answer.state !== "listed") return answer;
    if (failures.length > 0 || this.control.stopped || this.progress === before) {
      await this.threads.perform({ kind: "close", top }, this.control);
      if (failures.length > 0) throw failures[0];
      return { state: "stopped", remaining: [] };
    }
    this.remaining = [];
    return this.noted(
      await this.threads.perform({ kind: "list", parent, name, top, resume: false }, this.control),
    );
  }

  private noted(answer: Answer): Answer {
    this.remaining.push(...answer.remaining.slice(0, SHOWN_REMAINING - this.remaining.length));
    return answer;
  }

  private get progress(): number {
    const { files, directories, moves } = this.control.progress;
    return files + directories + moves;
  }
}
