/** Jobs in hand at a time. Each holds two descriptors and, at its longest, a connection to the catalogue. */
export const JOBS_IN_HAND = 4;

/**
 * Does `work` for everything that `source` gives, at most `limit` of it at a time; asks for the next only when there is
 * room. Ends early, once what is in hand is done, when `stop` is aborted. After an error nothing more is begun, and it
 * is thrown when what was begun has ended: nothing is left running behind the caller's back.
 */
export async function forEachConcurrently<T>(
  source: AsyncIterable<T>,
  limit: number,
  stop: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for await (const item of source) {
      if (stop.aborted) break;
      const task = work(item)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size >= limit) await Promise.race(running);
      if (failures.length > 0) break;
    }
  } catch (error) {
    failures.push(error);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

/** Passes on what it is given, one after the other; of what comes meanwhile only the last. */
export class LatestOnly<T> {
  private next: { readonly value: T } | undefined;
  private running: Promise<void> | undefined;
  private readonly use: (value: T) => Promise<void>;

  constructor(use: (value: T) => Promise<void>) {
    this.use = use;
  }

  give(value: T): void {
    this.next = { value };
    this.running ??= this.run();
  }

  /** When nothing is under way any more. Give it nothing afterwards. */
  async ended(): Promise<void> {
    this.next = undefined;
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.next) {
      const { value } = this.next;
      this.next = undefined;
      await this.use(value);
    }
    this.running = undefined;
  }
}
