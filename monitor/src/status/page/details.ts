import { formatBytes, formatCount, formatPercent, formatSpan, formatTime, plural } from "../format.js";
import { HOURS_OFFERED } from "../model.js";
import type { JobDetail, VolumeDetail } from "../model.js";
import { stateWord } from "../words.js";
import { h } from "./dom.js";
import type { Content, Description } from "./dom.js";
import type { EarlierRows } from "./earlier-rows.js";
import {
  actionWord,
  ago,
  auditTable,
  badge,
  bytes,
  conditionBadge,
  dueTable,
  empty,
  fullness,
  quiet,
  section,
  sweepTable,
  table,
  volumeLink,
} from "./parts.js";
import { plotOf, pointedOf, spanOf } from "./plots.js";

export interface VolumeActions {
  readonly hours: (hours: number) => void;
  /** Asks for the audit's rows before those shown. */
  readonly earlier: () => void;
  /** Shows the audit's latest rows again. */
  readonly latest: () => void;
}

export function back(): Description {
  return h("p", { key: "back", class: "back" }, h("a", { href: "#/" }, "← All volumes"));
}

export function volumeView(
  detail: VolumeDetail,
  highWaterPercent: number | null,
  earlier: EarlierRows,
  actions: VolumeActions,
): Content[] {
  const { volume, at, tenants, sweeps, due, evicted, pressure, audit } = detail;
  const entries = earlier.rows.length > 0 ? earlier.rows : audit;
  return [
    back(),
    h("h1", { key: "title", tabindex: "-1" }, volume.name, " ", conditionBadge(volume)),
    facts([
      ["Fullness", fullness(volume, { highWaterPercent })],
      [
        "In use",
        [
          bytes(volume.usedBytes),
          " of ",
          bytes(volume.capacityBytes),
          volume.measuredAt !== null &&
            quiet(
              volume.measuredBy === "sweep" ? " as its last sweep left it, " : " measured ",
              ago(volume.measuredAt, at),
            ),
        ],
      ],
      volume.inodesUsedPercent !== null && ["Inodes", formatPercent(volume.inodesUsedPercent)],
      ["Node", volume.node ?? quiet("decided by the storage")],
      ["Tenant", volume.tenant ?? quiet("any")],
      ["Last sweep", volume.lastSweep ? ago(volume.lastSweep.finishedAt!, at) : quiet("never")],
      volume.unfinishedSince !== null && [
        "A sweep began",
        [ago(volume.unfinishedSince, at), quiet(" and has not ended")],
      ],
    ]),
    usage(detail, highWaterPercent, actions),
    section(
      "due",
      "What the next sweep does here",
      due.length + evicted.length === 0
        ? "nothing is due"
        : `${plural(due.length, "job")} due${evicted.length > 0 ? `, ${plural(evicted.length, "job")} to make room` : ""}`,
      due.length > 0 ? dueTable("Jobs that are due", due, false) : empty("No job's time has run out here."),
      pressure !== null &&
        h(
          "p",
          { class: "hint" },
          `${pressure}. `,
          evicted.length > 0
            ? "These go before their time, in this order:"
            : "Nothing that may go before its time is left.",
        ),
      evicted.length > 0 && dueTable("Jobs that go to make room", evicted, false),
    ),
    section(
      "tenants",
      "Tenants",
      tenants.length === 0 ? "no job is here" : plural(tenants.length, "tenant"),
      tenants.length > 0 &&
        table(
          "Jobs and bytes of each tenant on the volume",
          [
            { title: "Tenant" },
            { title: "Jobs", number: true },
            { title: "Bytes of finished jobs", number: true },
          ],
          tenants.map(({ tenant, jobs, bytes: held }) => ({
            key: tenant,
            cells: [tenant, formatCount(jobs), bytes(held)],
          })),
        ),
    ),
    section(
      "sweeps",
      "Last sweeps",
      sweeps.length === 0 ? "none yet" : "",
      sweeps.length > 0 && sweepTable(sweeps, at, false),
    ),
    section(
      "audit",
      "Audit",
      entries.length === 0 ? "nothing was deleted or moved here" : "the latest first",
      earlier.behind &&
        h(
          "p",
          { key: "newer", class: "pager" },
          h("button", { type: "button", on: { click: actions.latest } }, "Show the latest rows"),
          quiet("Many rows were written since."),
        ),
      entries.length > 0 && auditTable(entries, at, false),
      (entries.at(-1)?.sequence ?? 1) > 1 && earlierPart(earlier, actions),
    ),
  ];
}

function earlierPart({ asking, problem, ended }: EarlierRows, actions: VolumeActions): Content {
  if (ended) return h("p", { key: "ended", class: "hint" }, "The catalogue has no rows before these.");
  return [
    problem !== undefined &&
      h("p", { key: "failed", class: "trouble", role: "alert" }, `No earlier rows: ${problem}.`),
    h(
      "p",
      { key: "earlier", class: "pager" },
      h(
        "button",
        { type: "button", "aria-disabled": asking ? "true" : null, on: { click: actions.earlier } },
        "Earlier rows",
      ),
    ),
  ];
}

function usage(
  { at, volume, usage: points, measured, hours }: VolumeDetail,
  highWaterPercent: number | null,
  actions: VolumeActions,
): Description {
  const to = Date.parse(at) / 1000;
  const plot = {
    usage: points,
    measured,
    capacityBytes: volume.capacityBytes ?? 0,
    highWaterPercent,
    from: to - hours * 3600,
    to,
  };
  const source =
    measured.length > 0
      ? "As Prometheus measured it; filled: after each sweep"
      : "After each sweep; what happens in between shows only where Prometheus is asked";
  const mark =
    highWaterPercent === null
      ? ""
      : `; dashed: from ${formatPercent(highWaterPercent)} on a sweep makes room`;
  const shown = measured.length > 0 ? measured : points;
  return section(
    "usage",
    "Use over time",
    h(
      "span",
      { class: "choice", role: "group", "aria-label": "For how long back" },
      HOURS_OFFERED.map((each) =>
        h(
          "button",
          {
            key: each,
            type: "button",
            "aria-pressed": String(each === hours),
            on: { click: () => actions.hours(each) },
          },
          spanOf(each),
        ),
      ),
    ),
    points.length + measured.length > 0
      ? [
          h("div", { key: "plot", ...plotOf(plot, hours) }),
          h("output", { key: "pointed", ...pointedOf() }),
          h("p", { key: "legend", class: "hint" }, `${source}${mark}. Times are UTC.`),
          h(
            "details",
            { key: "figures" },
            h("summary", {}, "The same in figures"),
            table(
              "Use over time",
              [{ title: "Time" }, { title: "In use", number: true }, { title: "Fullness", number: true }],
              thinned(shown, 48).map(([time, held]) => ({
                key: time,
                cells: [
                  formatTime(new Date(time * 1000).toISOString()),
                  formatBytes(held),
                  volume.capacityBytes ? formatPercent((100 * held) / volume.capacityBytes) : "",
                ],
              })),
            ),
          ),
        ]
      : empty(`Nothing was measured in the last ${spanOf(hours)}.`),
  );
}

/** At most so many of the points, the fullest of each run of neighbours, the latest first. */
function thinned(points: VolumeDetail["usage"], most: number): VolumeDetail["usage"] {
  const run = Math.max(1, Math.ceil(points.length / most));
  return Array.from({ length: Math.ceil(points.length / run) }, (_, index) =>
    points.slice(index * run, (index + 1) * run).reduce((a, b) => (b[1] > a[1] ? b : a)),
  ).reverse();
}

export function jobView(id: string, { job, history, at }: JobDetail): Content[] {
  return [
    back(),
    h("h1", { key: "title", tabindex: "-1" }, "Job ", h("span", { class: "id" }, id)),
    job === null
      ? empty(
          "The catalogue has no such job",
          history.length > 0 ? "; what happened to it is in the audit." : ".",
        )
      : facts([
          [
            "Next sweep",
            [badge(job.action === "keep" ? "ok" : "attention", actionWord(job)), " ", job.reason],
          ],
          job.dueInSeconds !== null && [
            "Changes",
            `in ${formatSpan(job.dueInSeconds)}, if nothing else does before`,
          ],
          ["Tenant", job.tenant],
          ["State", `${stateWord(job.state)} for ${formatSpan(job.secondsInState)}`],
          job.state === "active" && ["Heartbeat", `${formatSpan(job.secondsSinceHeartbeat)} ago`],
          [
            "Where",
            job.location === "local"
              ? volumeLink(job.volume)
              : job.location === "object"
                ? "in object storage"
                : "deleted",
          ],
          ["Size", bytes(job.bytes)],
          ["Worker", `${job.pod} on ${job.node}`],
        ]),
    job !== null &&
      h(
        "p",
        { key: "hint", class: "hint" },
        "By the catalogue: a lock, a living pod or a record that says otherwise still keeps a job. ",
        h("code", {}, "cleanup-job explain"),
        " looks at the volume itself.",
      ),
    section(
      "audit",
      "Audit",
      history.length === 0 ? "nothing happened to it yet" : "",
      history.length > 0 && auditTable(history.toReversed(), at, true),
    ),
  ];
}

function facts(entries: readonly (readonly [string, Content] | false)[]): Description {
  return h(
    "dl",
    { key: "facts", class: "facts" },
    entries
      .filter((entry) => entry !== false)
      .map(([term, value]) => h("div", { key: term }, h("dt", {}, term), h("dd", {}, value))),
  );
}
