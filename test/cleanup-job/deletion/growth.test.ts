import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JOBS_IN_HAND } from "../../../cleanup-job/src/concurrency.js";
import { wantsThread } from "../../../cleanup-job/src/deletion/growth.js";
import type { Load } from "../../../cleanup-job/src/deletion/growth.js";

const done = (tasks: number, wallMilliseconds: number, runnable = 1): Load["done"] => ({
  ...{ tasks, wallMilliseconds, runnableMilliseconds: wallMilliseconds * runnable },
});
const load = (threads: number, queued: number, of = done(0, 0), millisecondsSinceStart = 1000): Load => ({
  ...{ threads, queued, done: of, millisecondsSinceStart },
});

describe("one deletion thread more", () => {
  it("is the first, for whatever waits", () => {
    expect(wantsThread(load(0, 1), 8)).toBe(true);
    expect(wantsThread(load(0, 0), 8)).toBe(false);
  });

  it("is the second where the parts of a large job wait", () => {
    expect(wantsThread(load(1, JOBS_IN_HAND), 8)).toBe(true);
    expect(wantsThread(load(1, JOBS_IN_HAND - 1), 8)).toBe(false);
  });

  it("is the second where jobs take long, as those with large files do, once that has shown", () => {
    expect(wantsThread(load(1, 1, done(12, 31)), 8)).toBe(true);
    expect(wantsThread(load(1, 1, done(12, 30)), 8)).toBe(false); // too little work yet
    expect(wantsThread(load(1, 1, done(300, 31)), 8)).toBe(false); // small jobs
    expect(wantsThread(load(1, 0, done(12, 31)), 8)).toBe(false); // nothing waits
  });

  it("is a third and further where those that are there wait for the disk", () => {
    expect(wantsThread(load(2, 4, done(50, 200, 0.59)), 8)).toBe(true);
    expect(wantsThread(load(2, 4, done(50, 200, 0.6)), 8)).toBe(false); // they keep the processors busy
    expect(wantsThread(load(2, 3, done(50, 200, 0.3)), 8)).toBe(false); // too little waits
    expect(wantsThread(load(2, 4, done(50, 99, 0.3)), 8)).toBe(false); // too little seen
    expect(wantsThread(load(2, 4, done(50, 200, 0.3), 99), 8)).toBe(false); // the last one has hardly begun
  });

  it("is never one more than memory allows, nor one for nothing", () => {
    const loads = fc.record({
      threads: fc.nat(20),
      queued: fc.nat(5000),
      done: fc.record({
        tasks: fc.nat(1000),
        wallMilliseconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
        runnableMilliseconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
      }),
      millisecondsSinceStart: fc.double({ min: 0, max: 1e6, noNaN: true }),
    });
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 8 }), (of, most) => {
        if (of.threads >= most || of.queued === 0) expect(wantsThread(of, most)).toBe(false);
        else if (of.threads === 0) expect(wantsThread(of, most)).toBe(true);
      }),
    );
    expect.hasAssertions();
  });
});
