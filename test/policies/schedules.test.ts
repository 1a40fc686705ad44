import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { longestCronGap } from "@video-storage/contract/cron-schedule";

import { longestPeriodSeconds } from "../../policies/schedules";

/** A field as people write it: every one, a step, a number, a range or a list, sometimes beyond what there is. */
function field(minimum: number, maximum: number): fc.Arbitrary<string> {
  const number = fc.integer({ min: minimum, max: maximum + 1 });
  const range = fc.tuple(number, number).map(([from, to]) => `${from}-${to}`);
  const base = fc.oneof(fc.constant("*"), number.map(String), range);
  const stepped = fc.tuple(base, fc.integer({ min: 0, max: 40 })).map(([of, step]) => `${of}/${step}`);
  return fc.array(fc.oneof(base, stepped), { minLength: 1, maxLength: 2 }).map((parts) => parts.join(","));
}

const SCHEDULES = fc
  .tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
  .map((fields) => fields.join(" "));

/** What the pack finds; undefined for a schedule that it refuses. */
function found(schedule: string): number | undefined {
  try {
    return longestPeriodSeconds(schedule);
  } catch {
    return undefined;
  }
}

describe("the longest period of a schedule", () => {
  it("is what the contract says, and the two refuse the same", () => {
    let read = 0;
    fc.assert(
      fc.property(SCHEDULES, (schedule) => {
        const expected = longestCronGap(schedule);
        if (expected !== undefined) read += 1;
        expect(found(schedule)).toBe(expected);
      }),
      { numRuns: 200 },
    );
    expect(read).toBeGreaterThan(20);
  });

  it.each([
    ["* 0-5 * * *", 64_860],
    ["*/10 * * * *", 600],
    ["0 3 * * SUN", 7 * 86_400],
    ["0 3 * Jan,jul ?", 154 * 86_400],
    ["0 0 29 2 *", (4 * 365 + 1) * 86_400],
  ])("of %s is %i seconds", (schedule, seconds) => {
    expect(longestPeriodSeconds(schedule)).toBe(seconds);
  });
});
