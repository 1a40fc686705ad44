import { withoutObeyed } from "@video-storage/contract/shown-text";

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** May be cut to so many characters where the line is too long; the lowest number first. */
  readonly least?: number;
  /** Left out where the line is still too long; the highest number first. */
  readonly dropped?: number;
}

/** A cell, with what is written around it (a colour) and takes no room. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

const GAP = 2;
const INDENT = 2;

/** Rows below their titles, in columns as wide as their widest cell, within the width where that can be. */
export function textTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | Cell)[])[],
  width: number,
): string[] {
  const cells = rows.map((row) =>
    row.map((cell) =>
      typeof cell === "string" ? { text: printable(cell) } : { ...cell, text: printable(cell.text) },
    ),
  );
  const natural = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((row) => lengthOf(row[i]!.text))),
  );
  const shown = new Set(columns.keys());
  const widths = [...natural];
  const excess = (): number => INDENT + [...shown].reduce((sum, i) => sum + widths[i]! + GAP, -GAP) - width;
  const shrink = (): void => {
    for (const i of shown) widths[i] = natural[i]!;
    for (const i of [...shown].sort((a, b) => (columns[a]!.least ?? 0) - (columns[b]!.least ?? 0))) {
      const { least } = columns[i]!;
      if (least !== undefined && excess() > 0) widths[i] = Math.max(least, widths[i]! - excess());
    }
  };
  shrink();
  const droppable = [...columns.keys()].filter((i) => columns[i]!.dropped !== undefined);
  for (const i of droppable.sort((a, b) => columns[b]!.dropped! - columns[a]!.dropped!)) {
    if (excess() <= 0) break;
    shown.delete(i);
    shrink();
  }
  const line = (row: readonly Cell[]): string => {
    const parts = [...shown].map((i) => {
      const { text, paint = (plain: string) => plain } = row[i]!;
      const cut = cutTo(text, widths[i]!);
      const room = " ".repeat(widths[i]! - lengthOf(cut));
      return columns[i]!.align === "right" ? room + paint(cut) : paint(cut) + room;
    });
    return (" ".repeat(INDENT) + parts.join(" ".repeat(GAP))).trimEnd();
  };
  return [line(columns.map(({ title }) => ({ text: title }))), ...cells.map(line)];
}

/** The text in so many characters, the last of them … where some had to go. */
export function cutTo(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/** Words on lines of at most that width; a longer word has a line of its own. */
export function wrapped(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of printable(text).split(/\s+/)) {
    if (line !== "" && lengthOf(line) + 1 + lengthOf(word) > width - indent.length) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each, index) => (index === 0 ? each : indent + each));
}

/** What a tenant could have chosen, a character for a character, so that columns stay as wide as they are. */
export function printable(text: string): string {
  return withoutObeyed(text, () => "\uFFFD");
}

function lengthOf(text: string): number {
  return [...text].length;
}

const BLOCKS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/** Values from 0 to `most` in so many characters, the largest of each interval; a gap is a space. */
export function sparkline(
  points: readonly (readonly [at: number, value: number])[],
  { from, to, most, width }: { from: number; to: number; most: number; width: number },
): string {
  const columns: (number | undefined)[] = Array.from({ length: width }, () => undefined);
  for (const [at, value] of points) {
    const column = Math.min(width - 1, Math.floor(((at - from) / (to - from)) * width));
    if (column >= 0) columns[column] = Math.max(columns[column] ?? 0, value);
  }
  return columns
    .map((value) => {
      if (value === undefined) return " ";
      const level = most > 0 ? Math.floor((value / most) * BLOCKS.length) : 0;
      return BLOCKS[Math.max(0, Math.min(BLOCKS.length - 1, level))];
    })
    .join("");
}

/** A bar of that many characters, filled by percent. */
export function bar(percent: number, width: number): string {
  const filled = Math.round((Math.max(0, Math.min(100, percent)) / 100) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}
