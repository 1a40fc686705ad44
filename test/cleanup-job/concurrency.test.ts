import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { newJobId } from "@video-storage/contract/identity";
import { forEachConcurrently, LatestOnly } from "../../cleanup-job/src/concurrency.js";
import { JobFilter } from "../../cleanup-job/src/job-filter.js";

const never = new AbortController().signal;

async function* numbers(count: number, taken: number[] = []): AsyncGenerator<number, void, undefined> {
  for (let i = 0; i < count; i++) {
    taken.push(i);
    yield i;
  }
}

describe("forEachConcurrently", () => {
  it("has no more in hand than it may, takes no more from the source, and does all", async () => {
    let running = 0;
    let most = 0;
    const taken: number[] = [];
    const done: number[] = [];
    await forEachConcurrently(numbers(20, taken), 3, never, async (i) => {
      most = Math.max(most, ++running);
      expect(taken.length - done.length).toBeLessThanOrEqual(4);
      await sleep(i % 3);
      running--;
      done.push(i);
    });
    expect(most).toBe(3);
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("begins nothing after an error, ends what was begun, then throws it", async () => {
    const ended: number[] = [];
    const run = forEachConcurrently(numbers(100), 2, never, async (i) => {
      await sleep(i === 0 ? 20 : 1);
      if (i === 1) throw new Error("first");
      ended.push(i);
    });
    await expect(run).rejects.toThrow("first");
    expect(ended).toEqual([0]);
  });

  it("throws the source's own error after what was begun has ended", async () => {
    const ended: number[] = [];
    const source = async function* (): AsyncGenerator<number, void, undefined> {
      yield 1;
      throw new Error("source");
    };
    const run = forEachConcurrently(source(), 4, never, async (i) => {
      await sleep(10);
      ended.push(i);
    });
    await expect(run).rejects.toThrow("source");
    expect(ended).toEqual([1]);
  });

  it("begins nothing more once it is told to stop", async () => {
    const stop = new AbortController();
    const done: number[] = [];
    await forEachConcurrently(numbers(100), 1, stop.signal, async (i) => {
      done.push(i);
      if (i === 4) stop.abort();
    });
    expect(done).toEqual([0, 1, 2, 3, 4]);
  });
});

describe("LatestOnly", () => {
  it("uses one after the other, skips what was overtaken, and ends with nothing under way", async () => {
    const used: number[] = [];
    const latest = new LatestOnly<number>(async (value) => {
      await sleep(5);
      used.push(value);
    });
    for (const value of [1, 2, 3]) latest.give(value);
    await expect.poll(() => used).toEqual([1, 3]);
    latest.give(4);
    await latest.ended();
    expect(used).toEqual([1, 3, 4]);
  });
});

describe("the filter of jobs", () => {
  it("has every job that was added, and hardly any other", () => {
    const filter = new JobFilter();
    const added = Array.from({ length: 100_000 }, () => newJobId());
    const others = Array.from({ length: 100_000 }, () => newJobId());
    for (const job of added) filter.add(job);
    expect(added.filter((job) => !filter.mayHave(job))).toEqual([]);
    // At a tenth of what it is made for, one in a billion is expected.
    expect(others.filter((job) => filter.mayHave(job))).toEqual([]);
  });

  it("tells jobs apart that differ in one digit", () => {
    const filter = new JobFilter();
    const job = newJobId();
    filter.add(job);
    const neighbours = [...job].flatMap((digit, i) => {
      if (digit === "-") return [];
      const other = digit === "0" ? "1" : "0";
      return [`${job.slice(0, i)}${other}${job.slice(i + 1)}` as typeof job];
    });
    expect(neighbours.filter((neighbour) => filter.mayHave(neighbour))).toEqual([]);
  });
});
