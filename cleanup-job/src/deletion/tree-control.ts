/**
 * What the threads that delete one tree share with whoever asked for it: that they shall stop, how much is done, and a
 * lock. Numbers are doubles written by one thread at a time: each adds what it did under the lock, now and then.
 */
export class TreeControl {
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

/** The same, for who has so much time only. */
export class TimedControl extends TreeControl {
  private readonly until: number;
  /** Whether it was asked, and said that the time was over. */
  isOver = false;

  /** `until` as `performance.now()` gives it. */
  constructor(memory: SharedArrayBuffer, until: number) {
    super(memory);
    this.until = until;
  }

  override get stopped(): boolean {
    if (!super.stopped && performance.now() > this.until) this.isOver = true;
    return super.stopped || this.isOver;
  }
}

const FIELDS = ["bytes", "files", "directories", "moves"] as const;

export type Progress = Record<(typeof FIELDS)[number], number>;
