import { formatBytes, formatCount, formatPercent, formatSpan, plural } from "../format.js";
import { VOLUME_SORTS } from "../model.js";
import type {
  Alert,
  AuditPart,
  Level,
  Problem,
  ShownVolume,
  SourceState,
  Status,
  VolumeSort,
  VolumesPart,
} from "../model.js";
import { VERIFICATION_LEVELS, stateWord } from "../words.js";
import { h } from "./dom.js";
import type { Content, Description } from "./dom.js";
import {
  ago,
  auditTable,
  badge,
  bytes,
  conditionBadge,
  dueTable,
  empty,
  folded,
  fullness,
  quiet,
  section,
  sweepTable,
  table,
  volumeLink,
} from "./parts.js";
import type { Unfolding } from "./parts.js";
import { sparklineOf } from "./plots.js";

export interface OverviewActions {
  readonly search: (text: string) => void;
  readonly sort: (by: VolumeSort) => void;
  readonly page: (number: number) => void;
  readonly job: (id: string) => void;
  /** Of the table of that part. */
  readonly unfolding: (part: "next" | "sweeps" | "audit") => Unfolding;
}

/** What was typed and chosen, whether or not it was answered yet. */
export interface Asked {
  readonly search: string;
  readonly sort: VolumeSort;
}

export function overview(status: Status, asked: Asked, actions: OverviewActions): Content[] {
  return [
    h("h1", { key: "title", class: "unseen" }, `Video storage of ${status.environment}`),
    problems(status),
    tiles(status),
    volumes(status, asked, actions),
    next(status, actions),
    h("div", { key: "halves", class: "halves" }, jobs(status), alerts(status)),
    sweeps(status, actions),
    audit(status, actions),
  ];
}

function problems({ problems: found, level }: Status): Description {
  return h(
    "ul",
    { key: "problems", class: "problems", "aria-label": "What needs a look", hidden: level === "ok" },
    found.map(({ level: of, code, message, part }) =>
      h(
        "li",
        { key: `${of} ${code} ${message}`, class: of },
        badge(of, of === "failing" ? "failing" : "look"),
        h("span", {}, message),
        SECTIONS.has(part) && h("a", { href: `#${part}`, "aria-label": `Show ${part}` }, "show"),
      ),
    ),
  );
}

const SECTIONS: ReadonlySet<string> = new Set(["volumes", "next", "jobs", "sweeps", "audit", "alerts"]);

function tiles(status: Status): Description {
  const { volumes: v, next: n, jobs: j, audit: a, alerts: alerting, prometheus } = status;
  const firing = alerting?.alerts.filter(({ state }) => state === "firing").length ?? 0;
  const share = v && v.capacityBytes > 0 ? formatPercent((100 * v.usedBytes) / v.capacityBytes) : "–";
  const { totals, pressed = [] } = n ?? {};
  const goes = (totals?.delete.jobs ?? 0) + (totals?.tier.jobs ?? 0);
  return h(
    "ul",
    { key: "tiles", class: "tiles" },
    tile(
      "volumes",
      "In use",
      v ? share : null,
      v && `${formatBytes(v.usedBytes)} of ${formatBytes(v.capacityBytes)} on ${plural(v.total, "volume")}`,
      worstOf(status, "volumes"),
    ),
    tile("jobs", "Jobs", j && formatCount(j.jobs), j && `${formatBytes(j.bytes)} of finished files`),
    tile(
      "next",
      "Due",
      n && formatCount(goes),
      n &&
        (pressed.length > 0
          ? `and room is made on ${plural(pressed.length, "volume")}`
          : `${formatBytes((totals?.delete.bytes ?? 0) + (totals?.tier.bytes ?? 0))} go with the next sweep`),
    ),
    tile(
      "audit",
      "Audit",
      verificationWord(a),
      verificationNote(a),
      VERIFICATION_LEVELS[a.verification.state],
    ),
    tile(
      "alerts",
      "Alerts",
      alerting ? (firing === 0 ? "none" : formatCount(firing)) : "unknown",
      alerting
        ? `${plural(alerting.rules, "rule")} watched`
        : prometheus.state === "not-configured"
          ? "no Prometheus was named"
          : "Prometheus can't be asked",
      alerting ? worstOf(status, "alerts") : "attention",
    ),
  );
}

/** How bad is what needs a look of that part. */
function worstOf({ problems: found }: Status, part: Problem["part"]): Level {
  return found.find((problem) => problem.part === part)?.level ?? "ok";
}

function tile(
  part: string,
  title: string,
  figure: string | null,
  note: string | null,
  level: Level = "ok",
): Description {
  return h(
    "li",
    { key: part },
    h(
      "a",
      { href: `#${part}`, class: `tile ${level}` },
      h("span", { class: "tile-title" }, title),
      h("strong", {}, figure ?? "…"),
      h("span", { class: "note" }, note ?? "not read yet"),
    ),
  );
}

function verificationWord({ verification: { state } }: AuditPart): string {
  return {
    "not-asked": "…",
    running: "verifying",
    intact: "whole",
    broken: "not whole",
    failed: "unverified",
  }[state];
}

function verificationNote({ verification: { entries, chains, unchecked } }: AuditPart): string {
  const archived = unchecked > 0 ? `, ${formatCount(unchecked)} archived` : "";
  return `${plural(entries, "row")} in ${plural(chains, "chain")}${archived}`;
}

function unread({ catalogue }: Status): Description {
  return empty(
    catalogue.problem === null
      ? "The catalogue has not answered yet."
      : "The catalogue can't be reached, and nothing of it was read before.",
  );
}

const SORT_WORDS: Readonly<Record<VolumeSort, string>> = {
  fullness: "fullest first",
  name: "by name",
  "last-sweep": "longest unswept first",
};

function volumes(status: Status, asked: Asked, actions: OverviewActions): Description {
  const { volumes: part, at } = status;
  if (!part) return section("volumes", "Volumes", "", unread(status));
  const { total, matching, shown, conditions, highWaterPercent } = part;
  const odd = total - (conditions.ok ?? 0);
  const summary =
    total === 0
      ? "none yet"
      : odd === 0
        ? "all as they should be"
        : `${formatCount(total - odd)} of ${formatCount(total)} as they should be`;
  const rows = shown.map((volume) => ({ key: volume.name, cells: volumeCells(volume, part, at) }));
  const columns = [
    { title: "Volume", width: "15rem" },
    { title: "Fullness", width: "12rem" },
    { title: "In use", number: true },
    { title: "Size", number: true, width: "6.5rem" },
    { title: `Last ${part.hours} hours`, width: "10rem" },
    { title: "Swept", width: "8.5rem" },
    { title: "Condition", width: "9.5rem" },
  ] as const;
  const found =
    matching > 0
      ? table(`Volumes, ${SORT_WORDS[part.sort]}`, columns, rows)
      : empty(
          total === 0
            ? "The stack has no volumes yet."
            : `No volume's name, node or tenant has “${part.search}”.`,
        );
  return section(
    "volumes",
    "Volumes",
    [
      summary,
      highWaterPercent !== null && quiet(` · a sweep makes room from ${formatPercent(highWaterPercent)} on`),
    ],
    controls(asked, actions),
    found,
    pager(part, actions),
  );
}

function controls({ search, sort }: Asked, actions: OverviewActions): Description {
  const text = (event: Event): string => (event.target as HTMLInputElement).value;
  return h(
    "div",
    { class: "controls", role: "search" },
    h(
      "label",
      {},
      h("span", {}, "Find"),
      h("input", {
        ...{
          type: "search",
          name: "search",
          value: search,
          maxlength: 100,
          autocomplete: "off",
          spellcheck: "false",
        },
        placeholder: "name, node or tenant",
        on: { input: (event) => actions.search(text(event)) },
      }),
    ),
    h(
      "label",
      {},
      h("span", {}, "Order"),
      h(
        "select",
        { name: "sort", on: { change: (event) => actions.sort(text(event) as VolumeSort) } },
        VOLUME_SORTS.map((each) => h("option", { value: each, selected: each === sort }, SORT_WORDS[each])),
      ),
    ),
  );
}

function volumeCells(volume: ShownVolume, part: VolumesPart, at: string): Content[] {
  const { name, node, tenant, usedBytes, capacityBytes, lastSweep, measuredBy } = volume;
  const to = Date.parse(at) / 1000;
  const plot = {
    ...{ usage: volume.usage, measured: [], capacityBytes: capacityBytes ?? 0 },
    ...{ highWaterPercent: part.highWaterPercent, from: to - part.hours * 3600, to },
  };
  const where = [node !== null && !name.startsWith(node) && node, tenant].filter(Boolean).join(" · ");
  return [
    [volumeLink(name), where !== "" && quiet(` ${where}`)],
    fullness(volume, part),
    usedBytes === null
      ? quiet("–")
      : h(
          "span",
          { title: measuredBy === "sweep" ? "as the last sweep left it" : "measured now" },
          formatBytes(usedBytes),
        ),
    capacityBytes === null ? quiet("–") : formatBytes(capacityBytes),
    h("div", sparklineOf(plot, part.hours)),
    lastSweep ? ago(lastSweep.finishedAt!, at) : quiet("never"),
    conditionBadge(volume),
  ];
}

function pager({ page, pageSize, matching }: VolumesPart, actions: OverviewActions): Content {
  const pages = Math.ceil(matching / pageSize);
  if (pages <= 1) return null;
  const from = (page - 1) * pageSize + 1;
  const button = (words: string, to: number): Description =>
    h(
      "button",
      {
        type: "button",
        "aria-disabled": to < 1 || to > pages ? "true" : null,
        on: { click: () => to >= 1 && to <= pages && actions.page(to) },
      },
      words,
    );
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages of volumes" },
    button("Previous", page - 1),
    h(
      "span",
      {},
      `${formatCount(from)} to ${formatCount(Math.min(matching, from + pageSize - 1))} of ${formatCount(matching)}`,
    ),
    button("Next", page + 1),
  );
}

const PRESSED_AT_FIRST = 5;

function next(status: Status, actions: OverviewActions): Description {
  const { next: part } = status;
  if (!part) return section("next", "What the next sweep does", "", unread(status));
  const { totals, silent, pressed, jobs: due, rulesFrom, schedule } = part;
  const facts = [
    totals.delete.jobs > 0 &&
      `deletes ${plural(totals.delete.jobs, "job")}, ${formatBytes(totals.delete.bytes)}`,
    totals.tier.jobs > 0 &&
      `moves ${plural(totals.tier.jobs, "job")}, ${formatBytes(totals.tier.bytes)}, to object storage`,
    silent > 0 && `asks Kubernetes about ${plural(silent, "job")} without a heartbeat`,
  ].filter((fact) => fact !== false);
  const shown = totals.delete.jobs + totals.tier.jobs > due.length && due.length > 0;
  return section(
    "next",
    "What the next sweep does",
    [facts.length > 0 ? facts.join("; ") : "nothing is due", quiet(" · schedule "), h("code", {}, schedule)],
    rulesFrom === "contract" &&
      h(
        "p",
        { class: "hint" },
        "By the contract alone: tenants' own times, and what goes when a volume is full, need --cleanup-config.",
      ),
    pressed.length > 0 &&
      h(
        "ul",
        { class: "pressed" },
        pressed
          .slice(0, PRESSED_AT_FIRST)
          .map(({ volume, reason }) => h("li", { key: volume }, volumeLink(volume), ` ${reason}`)),
        pressed.length > PRESSED_AT_FIRST &&
          h("li", { key: "more" }, `and ${formatCount(pressed.length - PRESSED_AT_FIRST)} less full ones`),
      ),
    due.length > 0 &&
      folded(due, actions.unfolding("next"), (rows) =>
        dueTable("Jobs that are due, the longest overdue first", rows, true),
      ),
    due.length === 0 && pressed.length === 0 && empty("No job's time has run out."),
    shown &&
      h(
        "p",
        { class: "hint" },
        `The ${formatCount(due.length)} that are due for longest. By the catalogue: a lock, a living pod or a record that says otherwise still keeps a job.`,
      ),
  );
}

function jobs(status: Status): Description {
  const { jobs: part } = status;
  if (!part) return section("jobs", "Jobs", "", unread(status));
  const columns = [
    { title: "Tenant" },
    ...part.states.map((state) => ({ title: stateWord(state), number: true as const })),
    { title: "object storage", number: true as const },
    { title: "bytes", number: true as const },
  ];
  const count = (value: number | undefined): Content => (value ? formatCount(value) : quiet("·"));
  const rows = part.tenants.map(({ tenant, onVolumes, inObjectStorage, bytes: held }) => ({
    key: tenant,
    cells: [
      tenant,
      ...part.states.map((state) => count(onVolumes[state]?.jobs)),
      count(inObjectStorage.jobs),
      bytes(held),
    ],
  }));
  return section(
    "jobs",
    "Jobs",
    part.jobs === 0
      ? "none"
      : `${formatCount(part.jobs)} of ${plural(part.tenants.length + part.moreTenants, "tenant")}`,
    rows.length > 0
      ? table("Jobs on volumes by tenant and state, and in object storage", columns, rows)
      : empty("No tenant has a job."),
    part.moreTenants > 0 &&
      h("p", { class: "hint" }, `${plural(part.moreTenants, "more tenant")} with less.`),
  );
}

function alerts({ alerts: part, prometheus, at }: Status): Description {
  if (!part) {
    const why: Record<SourceState["state"], string> = {
      "not-configured": "No Prometheus was named; --prometheus URL does.",
      unreachable: `${prometheus.problem ?? "Prometheus can't be asked"}.`,
      waiting: "Prometheus has not answered yet.",
      ok: "",
    };
    return section("alerts", "Alerts", "not known", empty(why[prometheus.state]));
  }
  const firing = part.alerts.filter(({ state }) => state === "firing");
  return section(
    "alerts",
    "Alerts",
    firing.length > 0
      ? `${formatCount(firing.length)} firing`
      : `none of ${plural(part.rules, "rule")} fires`,
    part.alerts.length > 0
      ? h(
          "ul",
          { class: "alerts" },
          part.alerts.map((alert) => alertItem(alert, at)),
        )
      : empty(
          part.rules > 0
            ? "All is quiet."
            : "Prometheus has no rules of the storage: load those of the stack.",
        ),
  );
}

function alertItem(
  { name, state, severity, since, summary, description, runbook }: Alert,
  at: string,
): Description {
  const level = state === "pending" ? "ok" : severity === "critical" ? "failing" : "attention";
  return h(
    "li",
    { key: `${severity} ${state} ${name} ${summary}`, class: level },
    h(
      "p",
      {},
      badge(level, state === "pending" ? "pending" : severity),
      " ",
      h("strong", {}, name),
      " ",
      quiet("for ", ago(since, at)),
    ),
    h("p", {}, summary),
    description !== "" && h("p", { class: "quiet" }, description),
    runbook !== null &&
      h(
        "p",
        {},
        h("a", { href: runbook, rel: "noreferrer noopener", target: "_blank" }, `Runbook of ${name}`),
      ),
  );
}

function sweeps(status: Status, actions: OverviewActions): Description {
  const { sweeps: part, at } = status;
  if (!part) return section("sweeps", "Last sweeps", "", unread(status));
  const freed = part.reduce((sum, { freedBytes }) => sum + freedBytes, 0);
  return section(
    "sweeps",
    "Last sweeps",
    part.length === 0 ? "none yet" : `these ${formatCount(part.length)} freed ${formatBytes(freed)}`,
    part.length > 0
      ? folded(part, actions.unfolding("sweeps"), (rows) => sweepTable(rows, at, true))
      : empty("No sweep has begun yet."),
  );
}

function audit(status: Status, actions: OverviewActions): Description {
  const { audit: part, at } = status;
  return section(
    "audit",
    "Audit",
    verification(part, at),
    h(
      "form",
      {
        class: "controls",
        on: {
          submit: (event) => {
            event.preventDefault();
            actions.job(new FormData(event.target as HTMLFormElement).get("job") as string);
          },
        },
      },
      h(
        "label",
        {},
        h("span", {}, "Job"),
        h("input", {
          name: "job",
          required: true,
          placeholder: "its id",
          autocomplete: "off",
          spellcheck: "false",
          pattern: JOB_ID,
          title: "A job's id, such as 01a20478-d67f-7000-8000-0123456789ab",
        }),
      ),
      h("button", { type: "submit" }, "Look it up"),
    ),
    part.open > 0 &&
      h(
        "p",
        { class: "hint" },
        `${plural(part.open, "deletion or move", "deletions or moves")} begun and not finished, the oldest ${formatSpan(part.oldestOpenSeconds)} ago.`,
      ),
    part.recent === null
      ? unread(status)
      : part.recent.length > 0
        ? folded(part.recent, actions.unfolding("audit"), (rows) => auditTable(rows, at, true))
        : empty("Nothing was deleted or moved yet."),
  );
}

/** As it may have been copied: with blanks around it and in capitals, which are taken away where it is used. */
const JOB_ID = "\\s*[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\\s*";

function verification({ verification: found }: AuditPart, at: string): Content {
  const {
    state,
    entries,
    chains,
    unchecked,
    problems: broken,
    problemsFound,
    finishedAt,
    seconds,
    failure,
  } = found;
  const rows = `${plural(entries, "row")} in ${plural(chains, "chain")}`;
  const archived =
    unchecked > 0
      ? `; ${formatCount(unchecked)} more lie in archives, which only cleanup-job audit verify reads`
      : "";
  const level = VERIFICATION_LEVELS[state];
  const words: Record<typeof state, Content> = {
    "not-asked": "not verified yet",
    running: `verifying: ${rows} so far`,
    intact: ["every chain is whole: ", rows, archived],
    broken: `${plural(problemsFound, "problem")} in ${rows}`,
    failed: `could not be verified: ${failure}`,
  };
  return [
    badge(level, words[state]),
    finishedAt !== null &&
      quiet(" · proven ", ago(finishedAt, at), ` in ${formatSpan(Math.max(1, seconds ?? 0))}`),
    failure !== null && state !== "failed" && quiet(` · the last try failed: ${failure}`),
    broken.length > 0 &&
      h(
        "ul",
        { class: "broken" },
        broken.map(({ volume, sequence, problem }) =>
          h("li", { key: `${volume} ${sequence} ${problem}` }, `row ${sequence} of ${volume} ${problem}`),
        ),
      ),
  ];
}
