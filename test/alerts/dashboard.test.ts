import { describe, expect, it } from "vitest";

import { METRICS } from "@video-storage/contract/metrics";

import { buildAlertRules } from "../../components/lib/alerts/rules.js";
import { buildDashboard } from "../../components/lib/dashboard/dashboard.js";
import type { DashboardArgs } from "../../components/lib/dashboard/dashboard.js";
import { UNITS } from "../../components/lib/dashboard/model.js";
import type { Panel } from "../../components/lib/dashboard/model.js";
import { STACK } from "./case.js";
import { promtool } from "./promtool.js";

const MARKS = { highPercent: 85, lowPercent: 70 };
const ON_NODES: DashboardArgs = {
  environment: "prod",
  source: { by: "node-exporter", directories: ["/mnt/video-jobs"] },
  bytes: MARKS,
  inodes: MARKS,
  nearlyFullPercent: 90,
};
const ON_CLAIMS: DashboardArgs = { ...ON_NODES, source: { by: "kubelet", namespace: "video-jobs" } };

/** What others export and we read, with the labels by which we tell volumes apart. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ["avail_bytes", "size_bytes", "files_free", "files"].map((name) => [
      `node_filesystem_${name}`,
      ["mountpoint", "instance", "device", "fstype"],
    ]),
  ),
  ...Object.fromEntries(
    ["available_bytes", "capacity_bytes", "inodes_free", "inodes"].map((name) => [
      `kubelet_volume_stats_${name}`,
      ["namespace", "persistentvolumeclaim"],
    ]),
  ),
  ALERTS: [
    ...["alertname", "severity", "instance", "mountpoint", "namespace", "persistentvolumeclaim"],
    ...["volume", "node", "tenant", "action", "reason", "bucket", "capability"],
  ],
};

const LABELS = new Map<string, readonly string[]>([
  ...Object.entries(OTHERS),
  ...Object.values(METRICS).flatMap(({ name, type, labels }): [string, readonly string[]][] =>
    type === "histogram"
      ? [[`${name}_bucket`, [...labels, "environment", "le"]]]
      : [[name, [...labels, "environment"]]],
  ),
]);

interface Drawn {
  readonly panel: Panel;
  readonly expr: string;
  readonly legend: string;
}

function drawn(args: DashboardArgs): Drawn[] {
  return buildDashboard(args).panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr, legendFormat }) => ({ panel, expr, legend: legendFormat! })),
  );
}

/** Names of metrics in a query: whatever stands before braces. */
const metricsIn = (expr: string): string[] =>
  [...expr.matchAll(/([A-Za-z_]\w*)\{/g)].map((match) => match[1]!);

describe.each([
  ["measured by node-exporter", ON_NODES],
  ["measured by the kubelet", ON_CLAIMS],
])("the dashboard of volumes %s", (_by, args) => {
  const { panels, ...rest } = buildDashboard(args);
  const queries = drawn(args);

  it("has the fields that Grafana reads a dashboard by", () => {
    expect(rest).toMatchObject({
      uid: "video-storage-prod",
      title: "Video storage: prod",
      schemaVersion: 39,
      timezone: "browser",
      time: { from: "now-3h", to: "now" },
    });
    expect(rest.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ["datasource", "datasource"],
      ["tenant", "query"],
    ]);
    expect(JSON.parse(JSON.stringify({ panels, ...rest }))).toEqual({ panels, ...rest });
  });

  it("has the rows in this order, each with panels below it", () => {
    const titles = panels.filter(({ type }) => type === "row").map(({ title }) => title);
    expect(titles).toEqual(["Volumes", "Jobs", "Sweeps", "Audit", "Object storage", "Workers", "Monitoring"]);
    const bare = panels.filter(
      ({ type }, index) => type === "row" && (panels[index + 1]?.type ?? "row") === "row",
    );
    expect(bare).toEqual([]);
  });

  it("has panels with numbers and titles of their own, on a grid of 24 columns, none over another", () => {
    const own = panels.map(({ id }) => id);
    expect(new Set(own).size).toBe(panels.length);
    const titles = panels.map(({ title }) => title);
    expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
    const taken = new Map<string, string>();
    const overlaps: string[] = [];
    for (const { title, gridPos } of panels) {
      const { x, y, w, h } = gridPos;
      expect([x >= 0, y >= 0, w > 0, h > 0, x + w <= 24]).toEqual([true, true, true, true, true]);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const place = `${column},${line}`;
          if (taken.has(place)) overlaps.push(`${title} over ${taken.get(place)}`);
          taken.set(place, title);
        }
      }
    }
    expect(overlaps).toEqual([]);
  });

  it("leaves no line of the grid empty", () => {
    const lines = new Set(
      panels.flatMap(({ gridPos: { y, h } }) => Array.from({ length: h }, (_, line) => y + line)),
    );
    expect(lines.size).toBe(Math.max(...lines) + 1);
  });

  it("asks the chosen Prometheus in every panel, each query under a letter of its own", () => {
    const asking = panels.filter(({ type }) => type !== "row");
    for (const { datasource, targets, description, fieldConfig } of asking) {
      expect(datasource).toEqual({ type: "prometheus", uid: "${datasource}" });
      const letters = targets!.map(({ refId }) => refId);
      expect(letters).toEqual(["A", "B", "C", "D"].slice(0, letters.length));
      expect(description).toMatch(/^[A-Z].*\.$/);
      const { unit } = (fieldConfig as { defaults: { unit: string } }).defaults;
      expect(UNITS).toContain(unit);
    }
  });

  it("draws metrics that there are, by labels that they have", () => {
    const strange = queries.flatMap(({ expr, legend }) => {
      const metrics = metricsIn(expr);
      const known = new Set(metrics.flatMap((name) => LABELS.get(name) ?? []));
      const used = [
        ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap((match) => match[1]!.split(", ")),
        ...[...expr.matchAll(/[{,](\w+)(?==|!)/g)].map((match) => match[1]!),
        ...[...legend.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!),
      ];
      const isState = metrics[0] === "ALERTS" ? ["alertstate", "environment"] : [];
      return [
        ...metrics.filter((name) => !LABELS.has(name)),
        ...used
          .filter((label) => !known.has(label) && !isState.includes(label))
          .map((label) => `${label} in ${expr}`),
        ...(metrics.length === 0 ? [`no metric in ${expr}`] : []),
      ];
    });
    expect(strange).toEqual([]);
  });

  it("keeps in its legend what the query keeps", () => {
    const lost = queries.flatMap(({ expr, legend }) => {
      const kept = /(?:sum|max|min) by \(([^)]*)\)/.exec(expr)?.[1]?.split(", ");
      const wanted = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!);
      return kept
        ? wanted.filter((label) => !kept.includes(label)).map((label) => `${label} of ${expr}`)
        : [];
    });
    expect(lost).toEqual([]);
  });

  it("tells apart whatever the alerts' own words tell apart", () => {
    const { expr } = alertsQuery(args);
    const kept = /^sum by \(([^)]*)\)/.exec(expr)![1]!.split(", ");
    const rules = buildAlertRules({ ...STACK, source: args.source }).groups.flatMap((group) => group.rules);
    const named = rules.flatMap(({ annotations }) =>
      [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map((match) => match[1]!),
    );
    expect(named).toContain("volume");
    expect([...new Set(named)].filter((label) => label !== "environment" && !kept.includes(label))).toEqual(
      [],
    );
  });

  it("shows the environment's own, or what its labels tell from others'", () => {
    const foreign = queries.filter(
      ({ expr }) => !expr.includes('environment="prod"') && !/node_filesystem|kubelet_volume/.test(expr),
    );
    expect(foreign).toEqual([]);
  });

  it("asks nothing that Prometheus doesn't understand", async () => {
    const rules = queries.map(({ expr }, index) => ({ record: `query_${index}`, expr: playable(expr) }));
    const { code, output } = await promtool(["check", "rules", "rules.yml"], {
      "rules.yml": { groups: [{ name: "dashboard", rules }] },
    });
    expect(output).toContain(`SUCCESS: ${queries.length} rules found`);
    expect(code).toBe(0);
  });
});

function alertsQuery(args: DashboardArgs): Drawn {
  return drawn(args).find(({ panel }) => panel.title === "Alerts")!;
}

it.each([
  [
    "claim",
    ON_CLAIMS,
    [
      { namespace: "video-jobs", persistentvolumeclaim: "slot-0" },
      { namespace: "video-jobs", persistentvolumeclaim: "slot-1" },
    ],
  ],
  [
    "volume of a node",
    ON_NODES,
    [
      { instance: "10.0.0.1:9100", mountpoint: "/mnt/video-jobs/slot-0" },
      { instance: "10.0.0.2:9100", mountpoint: "/mnt/video-jobs/slot-0" },
    ],
  ],
])("an alert has a line for each %s on which it fires", async (_of, args, volumes) => {
  const firing = { alertname: "VideoStorageVolumeNearlyFull", severity: "critical" };
  const written = (labels: Readonly<Record<string, string>>): string =>
    Object.entries(labels)
      .map(([label, value]) => `${label}="${value}"`)
      .join(",");
  const series = volumes.map(
    (labels) =>
      `ALERTS{${written({ ...firing, ...labels, alertstate: "firing", environment: "prod", job: "a" })}}`,
  );
  const test = {
    interval: "1m",
    input_series: series.map((name) => ({ series: name, values: "1" })),
    promql_expr_test: [
      {
        ...{ expr: alertsQuery(args).expr, eval_time: "0m" },
        exp_samples: volumes.map((labels) => ({
          labels: `{${written({ ...firing, ...labels })}}`,
          value: 1,
        })),
      },
    ],
  };
  expect(await promtool(["test", "rules", "test.yml"], { "test.yml": { tests: [test] } })).toEqual({
    ...{ code: 0, output: "Unit Testing:  test.yml\n  SUCCESS\n\n" },
  });
});

/** With a value for each of Grafana's variables. */
function playable(expr: string): string {
  return expr.replaceAll("$__rate_interval", "5m").replaceAll("$tenant", ".*");
}

it("the dashboard draws every metric of ours", () => {
  const shown = new Set(drawn(ON_NODES).flatMap(({ expr }) => metricsIn(expr)));
  const missing = Object.values(METRICS)
    .map(({ name, type }) => (type === "histogram" ? `${name}_bucket` : name))
    .filter((name) => !shown.has(name));
  expect(missing).toEqual([]);
});

it("a broken query would be found", async () => {
  const { code, output } = await promtool(["check", "rules", "rules.yml"], {
    "rules.yml": { groups: [{ name: "dashboard", rules: [{ record: "query_0", expr: "sum by (a (b)" }] }] },
  });
  expect(code).not.toBe(0);
  expect(output).toContain("could not parse expression");
});

it("dashboards of environments with long names have names of their own that Grafana takes", () => {
  const uid = (environment: string) => buildDashboard({ ...ON_NODES, environment }).uid;
  const long = "an-environment-with-a-name-that-is-long";
  expect(uid(`${long}-a`)).not.toBe(uid(`${long}-b`));
  expect([uid(long).length, uid(`${long}-a`).length].every((length) => length <= 40)).toBe(true);
});
