import { describe, expect, it } from "vitest";
import type { AuditEntry } from "@video-storage/monitor/status/model";
import { answered, asked, nothingEarlier, withLatest } from "@video-storage/monitor/status/page/earlier-rows";
import type { EarlierRows } from "@video-storage/monitor/status/page/earlier-rows";

/** Rows from one sequence number down to another. */
function rows(from: number, to: number): AuditEntry[] {
  return Array.from({ length: from - to + 1 }, (_, index) => ({
    ...{ at: "2026-03-04T05:00:00.000Z", volume: "a", sequence: from - index, tenant: "acme", job: "j" },
    ...{
      phase: "intent" as const,
      action: "delete" as const,
      reason: "",
      bytes: null,
      files: null,
      actor: "s",
    },
  }));
}

const numbers = (earlier: EarlierRows): number[] => earlier.rows.map(({ sequence }) => sequence);
const came = (value: readonly AuditEntry[]) => ({ value, problem: undefined });

/** What is shown after one page was asked for and came. */
const ONE_PAGE = answered(asked(nothingEarlier("a"), rows(10, 8)), 8, came(rows(7, 5)));

describe("earlier rows of a volume's audit", () => {
  it("are none until somebody asks, whatever is written", () => {
    expect(withLatest(nothingEarlier("a"), rows(10, 8))).toEqual(nothingEarlier("a"));
    expect(asked(nothingEarlier("a"), rows(10, 8))).toMatchObject({
      volume: "a",
      asking: true,
      ended: false,
    });
    expect(ONE_PAGE).toMatchObject({ asking: false, problem: undefined, ended: false, behind: false });
    expect(numbers(ONE_PAGE)).toEqual([10, 9, 8, 7, 6, 5]);
  });

  it("lose none and repeat none when rows are written between two pages", () => {
    const later = withLatest(ONE_PAGE, rows(12, 10));
    expect(numbers(later)).toEqual([12, 11, 10, 9, 8, 7, 6, 5]);
    // The last that fits: it follows at once on the first that is shown.
    expect(numbers(withLatest(ONE_PAGE, rows(13, 11)))).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5]);
    const next = answered(asked(later, rows(12, 10)), 5, came(rows(4, 2)));
    expect(numbers(next)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
  });

  it("stay as they are, and say so, when so much was written that some would be missing in between", () => {
    const later = withLatest(ONE_PAGE, rows(14, 12));
    expect(numbers(later)).toEqual([10, 9, 8, 7, 6, 5]);
    expect(later.behind).toBe(true);
    expect(numbers(answered(asked(later, rows(14, 12)), 5, came(rows(4, 2))))).toEqual([
      10, 9, 8, 7, 6, 5, 4, 3, 2,
    ]);
  });

  it("take no answer twice, and none that was asked for below other rows", () => {
    expect(numbers(answered(ONE_PAGE, 8, came(rows(7, 5))))).toEqual([10, 9, 8, 7, 6, 5]);
    expect(answered(nothingEarlier("a"), 8, came(rows(7, 5)))).toEqual(nothingEarlier("a"));
  });

  it("are kept when an answer fails, with the reason until it is asked again", () => {
    const failed = answered(asked(ONE_PAGE, []), 5, { value: undefined, problem: "The catalogue is away" });
    expect(failed).toEqual({ ...ONE_PAGE, problem: "The catalogue is away" });
    expect(asked(failed, [])).toEqual({ ...ONE_PAGE, asking: true });
  });

  it("end where nothing lies before the last", () => {
    expect(answered(asked(ONE_PAGE, []), 5, came([]))).toEqual({ ...ONE_PAGE, ended: true });
  });
});
