import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidDurationError, formatDuration, parseDuration } from "@video-storage/contract/durations";
import { InvalidSizeError, formatSize, parseSize } from "@video-storage/contract/sizes";

describe("durations", () => {
  it.each([
    ["0s", 0],
    ["90s", 90],
    ["15m", 900],
    ["24h", 86_400],
    ["7d", 604_800],
    ["2w", 1_209_600],
  ])("reads %s as %i seconds", (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(["", "7", "d", "-1s", "1.5h", "1 d", "1D", "1y", "1h30m", "10000000000s", "1s\n"])(
    "refuses %j",
    (text) => {
      expect(() => parseDuration(text)).toThrow(InvalidDurationError);
    },
  );

  it("uses the largest unit that is exact", () => {
    expect([0, 59, 60, 5400, 86_400, 604_800, 691_200].map(formatDuration)).toEqual([
      ...["0s", "59s", "1m", "90m", "1d", "1w", "8d"],
    ]);
    for (const bad of [-1, 0.5, NaN, Infinity])
      expect(() => formatDuration(bad)).toThrow(InvalidDurationError);
  });

  it("comes back unchanged", () => {
    fc.assert(
      fc.property(fc.nat(999_999_999), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBe(seconds);
      }),
    );
  });
});

describe("sizes", () => {
  it.each([
    ["0", 0n],
    ["512", 512n],
    ["64Mi", 67_108_864n],
    ["100G", 100_000_000_000n],
    ["2Ti", 2_199_023_255_552n],
  ])("reads %s as %i bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(["", "Mi", "-1", "1.5Gi", "1 Gi", "1MB", "1e3", "1mi", "0x10"])("refuses %j", (text) => {
    expect(() => parseSize(text)).toThrow(InvalidSizeError);
  });

  it("has one form for one size", () => {
    expect([0n, 1000n, 1024n, 67_108_864n, 1_099_511_627_776n].map(formatSize)).toEqual([
      ...["0", "1000", "1Ki", "64Mi", "1Ti"],
    ]);
    expect(() => formatSize(-1n)).toThrow(InvalidSizeError);
  });

  it("comes back unchanged", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n - 1n), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });
});
