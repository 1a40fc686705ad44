import type { LongRemovals } from "./long-removals.js";

/**
 * What the threads that delete one tree share with whoever asked for it: that they shall stop, how much is done, and a
 * lock. Numbers are doubles written by one thread at a time: each adds what it did under the lock, now and then.
 */
export class TreeControl {
  /** A small tree is finished by one thread; of what takes longer the directories are shared. */
  readonly aloneMilliseconds: number = 5;
  private readonly flags: Int32Array;
  private readonly counters: Float64Array;
  readonly memory: SharedArrayBuffer;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(8 + 8 * FIELDS.length)) {
    this.memory = memory;
    this.flags = new Int32Array(memory, 0, 2);
    this.counters = new Float64Array(memory, 8);
  }

  get stopped(): boolean {
    return Atomics.load(this.flags, 0) === 1;
  }

  stop(): void {
    Atomics.store(this.flags, 0, 1);
  }

  /** How a file is removed that has so much of the disk; of several names, `isLastName` is the one that frees it. */
  removalOf(_bytes: number, _isLastName: boolean): Removal {
    return "now";
  }

  /** Told when a file is removed that it was asked about just before. */
  removed(_bytes: number): void {}

  /** Does `work` while no other thread does any under this lock. It must not take long. */
  exclusively<T>(work: () => T): T {
    while (Atomics.compareExchange(this.flags, 1, 0, 1) !== 0) Atomics.wait(this.flags, 1, 1, 10);
    try {
      return work();
    } finally {
      Atomics.store(this.flags, 1, 0);
      Atomics.notify(this.flags, 1, 1);
    }
  }

  add(done: Progress): void {
    this.exclusively(() => FIELDS.forEach((field, i) => (this.counters[i]! += done[field])));
  }

  /** What was done so far, as far as the threads have added it. For the thread that may not wait. */
  get progress(): Progress {
    const [bytes, files, directories, moves] = this.counters;
    return { bytes: bytes!, files: files!, directories: directories!, moves: moves! };
  }
}

/** `aside`: after this look at the tree, by a thread that is there already. `not`: others are to go on with the tree. */
export type Removal = "now" | "aside" | "not";

/** Removing a file takes the longer, in one call, the more of it is on the disk and in memory: this much some 30 ms. */
const LARGEST_FILE_BYTES = 128 * 1024 * 1024;
/** Each is held in memory, and each directory of them by a descriptor. */
const MOST_ASIDE = 64;

/** The same, for who has so much time only, and leaves large files to others. */
export class TimedControl extends TreeControl {
  override readonly aloneMilliseconds = Infinity;
  private readonly until: number;
  private readonly long: LongRemovals | undefined;
  private aside = 0;
  private removalBegan = 0;
  /** Whether it was told to leave what there is to others. */
  isOver = false;

  /** `until` as `performance.now()` gives it; without `long` nothing is removed aside. */
  constructor(memory: SharedArrayBuffer, until: number, long?: LongRemovals) {
    super(memory);
    this.until = until;
    this.long = long;
  }

  override get stopped(): boolean {
    if (!super.stopped && performance.now() > this.until) this.isOver = true;
    return super.stopped || this.isOver || this.aside >= MOST_ASIDE;
  }

  override removalOf(bytes: number, isLastName: boolean): Removal {
    if (bytes > LARGEST_FILE_BYTES) {
      this.isOver = true;
      return "not";
    }
    if (isLastName && this.long?.isExpectedOf(bytes)) {
      this.aside++;
      return "aside";
    }
    this.removalBegan = performance.now();
    return "now";
  }

  override removed(bytes: number): void {
    this.long?.learn(bytes, performance.now() - this.removalBegan);
  }
}

const FIELDS = ["bytes", "files", "directories", "moves"] as const;

export type Progress = Record<(typeof FIELDS)[number], number>;
