import { formatAgo, formatBytes, formatPercent, formatTime } from "../format.js";
import type { AuditEntry, DueJob, Level, Sweep, Volume, VolumesPart } from "../model.js";
import { CONDITION_WORDS, RESULT_WORDS } from "../words.js";
import { h } from "./dom.js";
import type { Content, Description } from "./dom.js";

/** What several views show in the same way. */

const MARKS: Readonly<Record<Level, string>> = { failing: "✕", attention: "!", ok: "✓" };

/** A word with a mark: nobody has to tell colours apart. */
export function badge(level: Level, ...words: Content[]): Description {
  return h(
    "span",
    { class: `badge ${level}` },
    h("span", { class: "mark", "aria-hidden": "true" }, MARKS[level]),
    " ",
    ...words,
  );
}

/** How long ago, with the time itself for who points at it. */
export function ago(time: string, now: string): Description {
  return h("time", { datetime: time, title: formatTime(time) }, formatAgo(time, now));
}

/** Bytes, with the exact number for who points at it. */
export function bytes(count: number | null): Content {
  return count === null
    ? quiet("unknown")
    : h("span", { title: `${count} bytes`, class: "figure" }, formatBytes(count));
}

export function quiet(...contents: Content[]): Description {
  return h("span", { class: "quiet" }, ...contents);
}

export function volumeLink(name: string): Description {
  return h("a", { href: `#/volume/${encodeURIComponent(name)}` }, name);
}

/** The whole id for who points at it or copies it. */
export function jobLink(id: string): Description {
  return h(
    "a",
    { href: `#/job/${id}`, class: "id", title: id, "aria-label": `job ${id}` },
    `${id.slice(0, 13)}…`,
  );
}

export function conditionBadge({ condition }: Volume): Description {
  const { short, level } = CONDITION_WORDS[condition];
  return badge(level, short);
}

export function resultBadge({ result }: Sweep): Description {
  const { word, level } = RESULT_WORDS[result];
  return badge(level, word);
}

/** How full a volume is, as a bar and in percent. */
export function fullness(
  { usedPercent }: Volume,
  { highWaterPercent }: Pick<VolumesPart, "highWaterPercent">,
): Content {
  if (usedPercent === null) return quiet("not measured");
  const level = usedPercent >= 95 ? "failing" : usedPercent >= (highWaterPercent ?? 95) ? "attention" : "ok";
  return h(
    "span",
    { class: "fullness" },
    h(
      "span",
      { class: "bar", "aria-hidden": "true" },
      h("span", { class: `fill ${level}`, style: { width: `${Math.min(100, usedPercent).toFixed(1)}%` } }),
    ),
    h("span", { class: "figure" }, formatPercent(usedPercent)),
  );
}

export interface Column {
  readonly title: string;
  /** Figures, which are compared by their ends. */
  readonly number?: true;
  /** Of the table's width, where it has room. */
  readonly width?: string;
  readonly class?: string;
}

/** Rows that are shown before somebody asks for all of them. */
export const ROWS_AT_FIRST = 10;

/** Whether all rows of a table are shown, and the button that says so. */
export interface Unfolding {
  readonly all: boolean;
  readonly toggle: () => void;
}

/** The first rows, and a button for the others where there are any. */
export function folded<T>(
  rows: readonly T[],
  { all, toggle }: Unfolding,
  tableOf: (rows: readonly T[]) => Description,
): Content {
  if (rows.length <= ROWS_AT_FIRST) return tableOf(rows);
  const words = all ? "Show fewer" : `Show all ${rows.length}`;
  return [
    tableOf(all ? rows : rows.slice(0, ROWS_AT_FIRST)),
    h(
      "p",
      { class: "pager" },
      h("button", { type: "button", "aria-expanded": String(all), on: { click: toggle } }, words),
    ),
  ];
}

export interface TableRow {
  readonly key: string | number;
  /** The first is the row's head. */
  readonly cells: readonly Content[];
}

/** A table that can be read by ear; on a phone each row is a card whose figures have their column's title. */
export function table(caption: string, columns: readonly Column[], rows: readonly TableRow[]): Description {
  const classOf = ({ number, class: more }: Column): string =>
    [number && "number", more].filter(Boolean).join(" ");
  return h(
    "table",
    { role: "table" },
    h("caption", { class: "unseen" }, caption),
    h(
      "colgroup",
      {},
      columns.map(({ width }) => h("col", width === undefined ? {} : { style: { width } })),
    ),
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row" },
        columns.map((column) =>
          h("th", { scope: "col", role: "columnheader", class: classOf(column) }, column.title),
        ),
      ),
    ),
    h(
      "tbody",
      { role: "rowgroup" },
      rows.map(({ key, cells }) =>
        h(
          "tr",
          { key, role: "row" },
          cells.map((cell, index) => {
            const column = columns[index]!;
            const attributes = { class: classOf(column), "data-title": column.title };
            return index === 0
              ? h("th", { ...attributes, scope: "row", role: "rowheader" }, cell)
              : h("td", { ...attributes, role: "cell" }, cell);
          }),
        ),
      ),
    ),
  );
}

/** A part of the page, with its title and what it comes to in one line. */
export function section(id: string, title: string, summary: Content, ...contents: Content[]): Description {
  return h(
    "section",
    { key: id, id, "aria-labelledby": `${id}-title`, tabindex: "-1" },
    h("header", {}, h("h2", { id: `${id}-title` }, title), h("p", { class: "summary" }, summary)),
    ...contents,
  );
}

/** What a table would show if there were anything. */
export function empty(...words: Content[]): Description {
  return h("p", { class: "empty" }, ...words);
}

const ACTIONS: Readonly<Record<DueJob["action"], string>> = {
  ...{ delete: "delete", tier: "move to object storage", abandon: "mark as abandoned" },
  ...{ report: "report to people", keep: "keep" },
};

export function actionWord({ action, code }: Pick<DueJob, "action" | "code">): string {
  return code === "pod-unknown" ? "ask for its pod" : ACTIONS[action];
}

export function dueTable(caption: string, jobs: readonly DueJob[], withVolume: boolean): Description {
  const columns: Column[] = [
    { title: "Job", width: "9.5rem" },
    { title: "Tenant", width: "9rem" },
    ...(withVolume ? [{ title: "Volume", width: "11rem" }] : []),
    { title: "What happens", width: "13rem", class: "whole" },
    { title: "Size", number: true, width: "6rem" },
    { title: "Why", class: "wide" },
  ];
  const rows = jobs.map((job) => ({
    key: `${job.volume} ${job.tenant} ${job.job}`,
    cells: [
      ...[jobLink(job.job), job.tenant],
      ...(withVolume ? [volumeLink(job.volume)] : []),
      ...[actionWord(job), bytes(job.bytes), job.reason],
    ],
  }));
  return table(caption, columns, rows);
}

export function sweepTable(sweeps: readonly Sweep[], now: string, withVolume: boolean): Description {
  const number = (title: string): Column => ({ title, number: true, width: "5rem" });
  const columns: Column[] = [
    { title: "Began", width: "9rem" },
    ...(withVolume ? [{ title: "Volume", width: "13rem" }] : []),
    { title: "Result", width: "7rem" },
    ...["Deleted", "Moved", "Kept", "Failed"].map(number),
    ...[number("Freed"), number("Took")],
    { title: "By", class: "wide" },
  ];
  const rows = sweeps.map((sweep) => ({
    key: `${sweep.volume} ${sweep.startedAt}`,
    cells: [
      ago(sweep.startedAt, now),
      ...(withVolume ? [volumeLink(sweep.volume)] : []),
      resultBadge(sweep),
      ...[sweep.deleted, sweep.tiered, sweep.kept, sweep.failed].map((count) =>
        count === 0 ? quiet("0") : count,
      ),
      ...[bytes(sweep.freedBytes), took(sweep), quiet(sweep.actor)],
    ],
  }));
  return table("Sweeps, the latest first", columns, rows);
}

function took({ startedAt, finishedAt }: Sweep): Content {
  if (finishedAt === null) return quiet("not ended");
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  return h(
    "span",
    { class: "figure" },
    seconds < 10 ? `${seconds.toFixed(1)}\u00a0s` : `${Math.round(seconds)}\u00a0s`,
  );
}

export function auditTable(entries: readonly AuditEntry[], now: string, withVolume: boolean): Description {
  const columns: Column[] = [
    { title: "When", width: "9rem" },
    { title: "Row", width: withVolume ? "12.5rem" : "5rem" },
    { title: "Tenant", width: "8rem" },
    { title: "Job", width: "9.5rem" },
    { title: "What", width: "9rem", class: "whole" },
    { title: "Freed", number: true, width: "6rem" },
    { title: "Why", class: "wide" },
  ];
  const rows = entries.map((entry) => ({
    key: `${entry.volume} ${entry.sequence}`,
    cells: [
      ago(entry.at, now),
      withVolume ? [entry.volume, " ", quiet(entry.sequence)] : entry.sequence,
      entry.tenant ?? quiet("unknown"),
      jobLink(entry.job),
      `${entry.action} ${entry.phase}`,
      entry.bytes === null ? quiet("–") : bytes(entry.bytes),
      entry.reason,
    ],
  }));
  return table("The audit, the latest first", columns, rows);
}
