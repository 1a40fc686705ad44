import { describe, expect, it } from "vitest";
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatPercent,
  formatSpan,
  formatTime,
  plural,
} from "@video-storage/monitor/status/format";
import {
  bar,
  cutTo,
  printable,
  sparkline,
  textTable,
  wrapped,
} from "@video-storage/monitor/status/text-table";

describe("figures for people", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.00 KiB"],
    [10_234, "9.99 KiB"],
    [10_240, "10.0 KiB"],
    [102_350, "100 KiB"],
    [1_047_552, "1023 KiB"],
    [1_048_063, "1023 KiB"],
    [1_048_064, "1.00 MiB"],
    [2 ** 40 * 1.5, "1.50 TiB"],
    [-2048, "-2.00 KiB"],
  ])("says %d bytes as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [0, "0 %"],
    [0.2, "<1 %"],
    [1, "1 %"],
    [84.6, "85 %"],
    [99.01, ">99 %"],
    [100, "100 %"],
  ])("says %d percent as %s, and never all for nearly all", (percent, text) => {
    expect(formatPercent(percent).replace("\u00a0", " ")).toBe(text);
  });

  it.each([
    [0, "0 s"],
    [59.4, "59 s"],
    [59.6, "1 min"],
    [200, "3 min 20 s"],
    [660, "11 min"],
    [7_500, "2 h 5 min"],
    [86_400, "1 d"],
    [90_000, "1 d 1 h"],
    [864_000, "10 d"],
    [-5, "0 s"],
  ])("says %d seconds as %s", (seconds, text) => {
    expect(formatSpan(seconds).replaceAll("\u00a0", " ")).toBe(text);
  });

  it("says times as ages, and in the future too", () => {
    const now = "2026-03-04T05:06:07.000Z";
    const said = ["2026-03-04T05:06:07.400Z", "2026-03-04T05:03:07.000Z", "2026-03-04T05:06:12.000Z"].map(
      (at) => formatAgo(at, now).replaceAll("\u00a0", " "),
    );
    expect(said).toEqual(["now", "3 min ago", "in 5 s"]);
    expect(formatTime(now)).toBe("2026-03-04 05:06:07 UTC");
  });

  it("groups digits and knows one from many", () => {
    expect([formatCount(999), formatCount(1_234_567)]).toEqual(["999", "1\u00a0234\u00a0567"]);
    expect([plural(1, "job"), plural(2, "job"), plural(0, "deletion or move", "deletions or moves")]).toEqual(
      ["1 job", "2 jobs", "0 deletions or moves"],
    );
  });
});

describe("a table in a terminal", () => {
  const columns = [
    { title: "VOLUME", least: 6 },
    { title: "BYTES", align: "right" },
    { title: "NOTE", dropped: 1 },
  ] as const;

  it("is as wide as its cells", () => {
    expect(
      textTable(
        columns,
        [
          ["node-0-slot-0", "9", "x"],
          ["n", "10", ""],
        ],
        80,
      ),
    ).toEqual(["  VOLUME         BYTES  NOTE", "  node-0-slot-0      9  x", "  n                 10"]);
  });

  it("cuts what may be cut, then leaves out what may be left out", () => {
    expect(textTable(columns, [["node-0-slot-0", "9", "x"]], 25)).toEqual([
      "  VOLUME      BYTES  NOTE",
      "  node-0-sl…      9  x",
    ]);
    expect(textTable(columns, [["node-0-slot-0", "9", "x"]], 20)).toEqual([
      "  VOLUME       BYTES",
      "  node-0-slo…      9",
    ]);
    expect(textTable(columns, [["node-0-slot-0", "9", "x"]], 1)).toEqual([
      "  VOLUME  BYTES",
      "  node-…      9",
    ]);
  });

  it("counts a colour as nothing", () => {
    const paint = (text: string): string => `<${text}>`;
    expect(textTable(columns, [[{ text: "a", paint }, { text: "1", paint }, "x"]], 80)).toEqual([
      "  VOLUME  BYTES  NOTE",
      "  <a>           <1>  x",
    ]);
  });

  it("shows nothing that a terminal would obey", () => {
    const hostile = "a\u001b[31mb\u009bc\u202ed\u2066e\nf\u0007g\u200bh";
    expect(printable(hostile)).toBe("a\uFFFD[31mb\uFFFDc\uFFFDd\uFFFDe\uFFFDf\uFFFDg\uFFFDh");
    expect(textTable([{ title: "N" }], [[hostile]], 80)[1]).toBe(`  ${printable(hostile)}`);
    expect(wrapped("x\u001b[2Jy", 80, "")).toEqual(["x\uFFFD[2Jy"]);
  });

  it("cuts between characters, not within one", () => {
    expect([cutTo("😀😀😀", 3), cutTo("😀😀😀", 2), cutTo("abc", 0)]).toEqual(["😀😀😀", "😀…", "…"]);
  });

  it("breaks lines between words", () => {
    expect(wrapped("one two three incomprehensibilities four", 12, "  ")).toEqual([
      "one two",
      "  three",
      "  incomprehensibilities",
      "  four",
    ]);
  });
});

describe("bars and sparklines", () => {
  it("fills a bar by its percent, and no more than it is long", () => {
    expect([0, 4, 5, 50, 100, 130, -3].map((percent) => bar(percent, 10))).toEqual([
      "░░░░░░░░░░",
      "░░░░░░░░░░",
      "█░░░░░░░░░",
      "█████░░░░░",
      "██████████",
      "██████████",
      "░░░░░░░░░░",
    ]);
  });

  it("draws the most of each interval and leaves gaps", () => {
    const points = [
      [-5, 100],
      [0, 10],
      [9, 50],
      [35, 100],
      [40, 0],
    ] as const;
    expect(sparkline(points, { from: 0, to: 40, most: 100, width: 4 })).toBe("▅  █");
    expect(sparkline([[1, 5]], { from: 0, to: 4, most: 0, width: 2 })).toBe("▁ ");
  });
});
