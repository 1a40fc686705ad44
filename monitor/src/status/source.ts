import type { SourceState } from "./model.js";

/** What a source said last, and whether that is what it says now. */
export interface Reading<T> {
  readonly value: T | undefined;
  /** Since the value was read; 0 where there is none. */
  readonly ageMilliseconds: number;
  readonly state: SourceState["state"];
  readonly problem: string | null;
}

export interface SourceOptions {
  /** An answer is good for that long, whoever asks. */
  readonly keepMilliseconds: number;
  /** Why it couldn't be asked, in words for people. Errors that it doesn't know are thrown on. */
  readonly problemOf: (error: unknown) => string | undefined;
  readonly clock?: () => number;
}

/** Something that is asked over the network by many at once, is asked once, and is away at times. */
export class Source<T> {
  #last: { readonly value: T; readonly at: number } | undefined;
  #problem: string | null = null;
  #asked = -Infinity;
  #asking: Promise<void> | undefined;
  #defect: unknown;
  private readonly ask: () => Promise<T>;
  private readonly options: SourceOptions;

  constructor(ask: () => Promise<T>, options: SourceOptions) {
    this.ask = ask;
    this.options = options;
  }

  /**
   * What it says, at most so old as `keepMilliseconds` says. Waits for it no longer than `patience`: then what it said
   * before, as `waiting`. Throws what `problemOf` doesn't know.
   */
  async read(patienceMilliseconds: number): Promise<Reading<T>> {
    const clock = this.options.clock ?? Date.now;
    if (!this.#asking && clock() - this.#asked >= this.options.keepMilliseconds)
      this.#asking = this.#askNow(clock);
    const waiting = this.#asking !== undefined && !(await within(this.#asking, patienceMilliseconds));
    if (this.#defect !== undefined) throw this.#defect;
    const state = this.#problem !== null ? "unreachable" : waiting ? "waiting" : "ok";
    const ageMilliseconds = this.#last ? clock() - this.#last.at : 0;
    return { value: this.#last?.value, ageMilliseconds, state, problem: this.#problem };
  }

  async #askNow(clock: () => number): Promise<void> {
    try {
      const value = await this.ask();
      this.#last = { value, at: clock() };
      this.#problem = null;
      this.#defect = undefined;
    } catch (error) {
      const problem = this.options.problemOf(error);
      if (problem === undefined) this.#defect = error;
      else this.#problem = problem;
    } finally {
      this.#asked = clock();
      this.#asking = undefined;
    }
  }
}

async function within(work: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    if (milliseconds < Infinity) timer = setTimeout(() => resolve(false), milliseconds);
  });
  return Promise.race([work.then(() => true), late]).finally(() => clearTimeout(timer));
}
