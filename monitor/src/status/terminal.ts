import { CONDITION_WORDS, LEVEL_WORDS, RESULT_WORDS, stateWord } from "./words.js";
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatPercent,
  formatSpan,
  formatTime,
  plural,
} from "./format.js";
import type { Level, Status, Sweep, Volume } from "./model.js";
import { bar, printable, sparkline, textTable, wrapped } from "./text-table.js";
import type { Cell } from "./text-table.js";

export interface TerminalOptions {
  /** Characters in a line. */
  readonly width: number;
  readonly colour: boolean;
}

type Colour = "red" | "yellow" | "green" | "dim" | "bold";
const CODES: Record<Colour, number> = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 };
const MARKS: Record<Level, string> = { failing: "✕", attention: "!", ok: "✓" };
const COLOURS: Record<Level, Colour> = { failing: "red", attention: "yellow", ok: "green" };

const BAR_WIDTH = 10;
const SPARKLINE_WIDTH = 24;
const ROWS_OF_SWEEPS = 10;
const ROWS_OF_JOBS = 15;

/** The status for a terminal, or for whatever reads a terminal's text. */
export function formatStatus(status: Status, { width, colour }: TerminalOptions): string {
  const paint = (of: Colour) => (text: string) => (colour ? `\x1b[${CODES[of]}m${text}\x1b[0m` : text);
  const title = (name: string, rest: string): string => `${paint("bold")(name)}  ${rest}`;
  const blocks = [
    header(status, width, paint),
    volumesBlock(status, width, paint, title),
    nextBlock(status, width, title),
    jobsBlock(status, width, title),
    sweepsBlock(status, width, paint, title),
    auditBlock(status, width, paint, title),
    alertsBlock(status, width, paint, title),
  ];
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

type Paint = (of: Colour) => (text: string) => string;
type Title = (name: string, rest: string) => string;

function header({ environment, at, level, problems }: Status, width: number, paint: Paint): string[] {
  const mark = paint(COLOURS[level])(`${MARKS[level]} ${LEVEL_WORDS[level]}`);
  return [
    `${paint("bold")(`Video storage · ${printable(environment)}`)}  ${mark}  ${paint("dim")(formatTime(at))}`,
    ...problems.flatMap((problem) => {
      const [first = "", ...rest] = wrapped(problem.message, width - 2, "  ");
      return [`${paint(COLOURS[problem.level])(MARKS[problem.level])} ${first}`, ...rest];
    }),
  ];
}

function nothing(status: Status): string {
  return status.catalogue.problem === null ? "not read yet" : "not known: the catalogue can't be reached";
}

function volumesBlock(status: Status, width: number, paint: Paint, title: Title): string[] {
  const { volumes, at } = status;
  if (!volumes) return [title("VOLUMES", nothing(status))];
  const { total, usedBytes, capacityBytes, shown, matching, hours } = volumes;
  const use = `${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)}`;
  const head = title("VOLUMES", total === 0 ? "none yet" : `${formatCount(total)}, ${use} in use`);
  if (shown.length === 0) return [head, ...(total > 0 ? ["  none matches the search"] : [])];
  const to = Date.parse(at) / 1000;
  const rows = shown.map((volume): (string | Cell)[] => [
    volume.name,
    useCell(volume, paint, volumes.highWaterPercent),
    volume.usedBytes === null ? "not measured" : formatBytes(volume.usedBytes),
    volume.capacityBytes === null ? "" : formatBytes(volume.capacityBytes),
    sparkline(volume.usage, {
      ...{ from: to - hours * 3600, to, most: volume.capacityBytes ?? 0, width: SPARKLINE_WIDTH },
    }),
    volume.lastSweep ? formatAgo(volume.lastSweep.finishedAt!, at) : "never",
    {
      text: CONDITION_WORDS[volume.condition].short,
      paint: paint(COLOURS[CONDITION_WORDS[volume.condition].level]),
    },
  ]);
  const columns = [
    { title: "VOLUME", least: 24 },
    { title: "USE" },
    { title: "USED", align: "right", dropped: 2 },
    { title: "SIZE", align: "right", dropped: 1 },
    { title: `LAST ${hours} H`, dropped: 3 },
    { title: "SWEPT" },
    { title: "CONDITION" },
  ] as const;
  const more =
    matching > shown.length
      ? [`  … and ${formatCount(matching - shown.length)} more (--volumes N, --search TEXT)`]
      : [];
  return [head, ...textTable(columns, rows, width), ...more];
}

function useCell({ usedPercent }: Volume, paint: Paint, high: number | null): Cell {
  if (usedPercent === null) return { text: "" };
  const level = usedPercent >= 95 ? "red" : high !== null && usedPercent >= high ? "yellow" : "green";
  return {
    text: `${bar(usedPercent, BAR_WIDTH)} ${formatPercent(usedPercent).padStart(5)}`,
    paint: paint(level),
  };
}

function nextBlock(status: Status, width: number, title: Title): string[] {
  const { next } = status;
  if (!next) return [title("NEXT SWEEP", nothing(status))];
  const { totals, silent, jobs, schedule, pressed, rulesFrom } = next;
  const parts = [
    totals.delete.jobs > 0 &&
      `deletes ${plural(totals.delete.jobs, "job")} (${formatBytes(totals.delete.bytes)})`,
    totals.tier.jobs > 0 &&
      `moves ${plural(totals.tier.jobs, "job")} (${formatBytes(totals.tier.bytes)}) to object storage`,
    silent > 0 && `asks about ${plural(silent, "silent worker")}`,
    pressed.length > 0 && `makes room on ${plural(pressed.length, "volume")}`,
  ].filter((part) => part !== false);
  const head = title(
    "NEXT SWEEP",
    `${parts.length > 0 ? parts.join(", ") : "nothing is due"}  (schedule ${schedule})`,
  );
  const rows = jobs
    .slice(0, ROWS_OF_JOBS)
    .map((job) => [
      ...[
        job.job,
        job.tenant,
        job.volume,
        job.action,
        job.bytes === null ? "" : formatBytes(job.bytes),
        job.reason,
      ],
    ]);
  const columns = [
    { title: "JOB", least: 18 },
    { title: "TENANT", dropped: 1 },
    { title: "VOLUME", dropped: 2 },
    { title: "IT IS TO" },
    { title: "SIZE", align: "right" },
    { title: "WHY", least: 20 },
  ] as const;
  const hint =
    rulesFrom === "contract"
      ? ["  by the contract alone: tenants' own times and pressure need --cleanup-config"]
      : [];
  return [head, ...(rows.length > 0 ? textTable(columns, rows, width) : []), ...hint];
}

function jobsBlock(status: Status, width: number, title: Title): string[] {
  const { jobs } = status;
  if (!jobs) return [title("JOBS", nothing(status))];
  const head = title(
    "JOBS",
    jobs.jobs === 0 ? "none" : `${formatCount(jobs.jobs)}, ${formatBytes(jobs.bytes)}`,
  );
  if (jobs.tenants.length === 0) return [head];
  const rows = jobs.tenants.map(({ tenant, onVolumes, inObjectStorage, bytes }) => [
    tenant,
    ...jobs.states.map((state) => countOf(onVolumes[state]?.jobs)),
    countOf(inObjectStorage.jobs),
    formatBytes(bytes),
  ]);
  const columns = [
    { title: "TENANT", least: 10 },
    ...jobs.states.map((state) => ({ title: stateWord(state).toUpperCase(), align: "right" as const })),
    { title: "IN OBJECT STORAGE", align: "right" as const },
    { title: "BYTES", align: "right" as const },
  ];
  const more = jobs.moreTenants > 0 ? [`  … and ${plural(jobs.moreTenants, "more tenant")}`] : [];
  return [head, ...textTable(columns, rows, width), ...more];
}

function countOf(jobs: number | undefined): string {
  return jobs ? formatCount(jobs) : "·";
}

function sweepsBlock(status: Status, width: number, paint: Paint, title: Title): string[] {
  const { sweeps, at } = status;
  if (!sweeps) return [title("LAST SWEEPS", nothing(status))];
  if (sweeps.length === 0) return [title("LAST SWEEPS", "none yet")];
  const rows = sweeps
    .slice(0, ROWS_OF_SWEEPS)
    .map((sweep): (string | Cell)[] => [
      formatAgo(sweep.startedAt, at),
      sweep.volume,
      resultCell(sweep, paint),
      ...[sweep.deleted, sweep.tiered, sweep.kept, sweep.failed].map(countOf),
      formatBytes(sweep.freedBytes),
      sweep.finishedAt === null
        ? ""
        : formatSpan((Date.parse(sweep.finishedAt) - Date.parse(sweep.startedAt)) / 1000),
    ]);
  const columns = [
    { title: "BEGAN" },
    { title: "VOLUME", least: 8 },
    { title: "RESULT" },
    ...["DELETED", "MOVED", "KEPT", "FAILED"].map((name) => ({ title: name, align: "right" as const })),
    { title: "FREED", align: "right" as const, dropped: 1 },
    { title: "TOOK", align: "right" as const, dropped: 2 },
  ];
  return [title("LAST SWEEPS", ""), ...textTable(columns, rows, width)].map((line) => line.trimEnd());
}

function resultCell({ result }: Sweep, paint: Paint): Cell {
  const { word, level } = RESULT_WORDS[result];
  return { text: word, paint: paint(COLOURS[level]) };
}

function auditBlock({ audit, at }: Status, width: number, paint: Paint, title: Title): string[] {
  const { verification } = audit;
  const { state, entries, chains, unchecked, problemsFound, failure, seconds } = verification;
  const archived = unchecked > 0 ? `, ${formatCount(unchecked)} more in archives that were not at hand` : "";
  const rows = `${plural(entries, "row")} in ${plural(chains, "chain")}`;
  const says: Record<typeof state, string> = {
    "not-asked": "not verified",
    running: `verifying, ${rows} so far`,
    intact: paint("green")(
      `✓ every chain whole: ${rows}${archived}, proven in ${formatSpan(Math.max(1, seconds ?? 0))}`,
    ),
    broken: paint("red")(`✕ not whole: ${plural(problemsFound, "problem")} in ${rows}${archived}`),
    failed: paint("red")(`could not be verified: ${printable(failure ?? "")}`),
  };
  const lines = [
    ...verification.problems.map(
      ({ volume, sequence, problem }) => `  row ${sequence} of ${printable(volume)} ${problem}`,
    ),
  ];
  if (!audit.recent || audit.recent.length === 0) return [title("AUDIT", says[state]), ...lines];
  const columns = [
    { title: "WHEN" },
    { title: "ROW" },
    { title: "TENANT", dropped: 2 },
    { title: "JOB", least: 14 },
    { title: "WHAT" },
    { title: "FREED", align: "right", dropped: 1 },
    { title: "WHY", least: 20 },
  ] as const;
  const entriesShown = audit.recent
    .slice(0, ROWS_OF_SWEEPS)
    .map((entry) => [
      ...[formatAgo(entry.at, at), `${entry.volume} ${entry.sequence}`, entry.tenant ?? "", entry.job],
      `${entry.action} ${entry.phase}`,
      ...[entry.bytes === null ? "" : formatBytes(entry.bytes), entry.reason],
    ]);
  return [title("AUDIT", says[state]), ...lines, ...textTable(columns, entriesShown, width)];
}

function alertsBlock(
  { alerts, prometheus, at }: Status,
  width: number,
  paint: Paint,
  title: Title,
): string[] {
  if (prometheus.state === "not-configured") return [title("ALERTS", "not known: no --prometheus was given")];
  if (!alerts) return [title("ALERTS", printable(prometheus.problem ?? "not read yet"))];
  const firing = alerts.alerts.filter(({ state }) => state === "firing").length;
  const head = title(
    "ALERTS",
    firing > 0
      ? paint("red")(`${formatCount(firing)} firing`)
      : `none of ${plural(alerts.rules, "rule")} fires`,
  );
  const rows = alerts.alerts.map((alert): (string | Cell)[] => [
    { text: alert.state, paint: paint(alert.state === "firing" ? "red" : "yellow") },
    ...[alert.severity, alert.name, formatAgo(alert.since, at), alert.summary],
  ]);
  const columns = [
    ...[
      { title: "STATE" },
      { title: "SEVERITY", dropped: 1 },
      { title: "ALERT", least: 40 },
      { title: "SINCE" },
    ],
    { title: "WHAT", least: 20 },
  ];
  return [head, ...(rows.length > 0 ? textTable(columns, rows, width) : [])];
}
