/** As much of Grafana's JSON model of a dashboard as ours uses. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly schemaVersion: number;
  readonly editable: boolean;
  readonly graphTooltip: 0 | 1 | 2;
  readonly refresh: string;
  readonly time: { readonly from: string; readonly to: string };
  readonly timezone: string;
  readonly annotations: { readonly list: readonly object[] };
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly type: "datasource" | "query";
  readonly [field: string]: unknown;
}

export interface GridPosition {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat?: string;
  readonly [field: string]: unknown;
}

export interface Panel {
  readonly id: number;
  readonly type: "row" | "timeseries" | "stat" | "table";
  readonly title: string;
  readonly description?: string;
  readonly gridPos: GridPosition;
  readonly datasource?: object;
  readonly targets?: readonly Target[];
  readonly [field: string]: unknown;
}

/** A panel before it has a place. */
export interface PanelDraft {
  readonly type: Exclude<Panel["type"], "row">;
  readonly title: string;
  /** What it shows and when it is worth a look. */
  readonly description: string;
  /** Columns of the 24 that there are. */
  readonly width: 4 | 6 | 8 | 12 | 24;
  readonly queries: readonly Query[];
  /** Of Grafana's units. */
  readonly unit: Unit;
  /** From this value on it is orange, from that one red. */
  readonly thresholds?: { readonly warning?: number; readonly critical?: number };
  readonly minimum?: number;
  readonly maximum?: number;
  readonly stacked?: boolean;
}

export interface Query {
  readonly expr: string;
  /** How a series is called, with labels in double braces. */
  readonly legend: string;
}

export const UNITS = ["short", "percent", "bytes", "Bps", "s", "ops", "bool_yes_no"] as const;
export type Unit = (typeof UNITS)[number];

/** The version of the JSON model; Grafana brings older ones up to date when it reads them (this one is Grafana 10's). */
export const SCHEMA_VERSION = 39;

/** The variable that stands for the Prometheus that is chosen in Grafana. */
export const DATASOURCE = { type: "prometheus", uid: "${datasource}" } as const;

export interface RowDraft {
  readonly title: string;
  readonly panels: readonly PanelDraft[];
}

const COLUMNS = 24;
const ROW_HEIGHT = 1;
const HEIGHT = { timeseries: 8, table: 8, stat: 4 } as const;

/** Gives each row and panel its place, from left to right and from top to bottom, and its number. */
export function laidOut(rows: readonly RowDraft[]): Panel[] {
  const panels: Panel[] = [];
  let y = 0;
  for (const { title, panels: drafts } of rows) {
    panels.push({
      id: panels.length + 1,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: ROW_HEIGHT },
      panels: [],
    });
    y += ROW_HEIGHT;
    let x = 0;
    let lineHeight = 0;
    for (const draft of drafts) {
      if (x + draft.width > COLUMNS) {
        y += lineHeight;
        x = 0;
        lineHeight = 0;
      }
      const h = HEIGHT[draft.type];
      panels.push(panel(panels.length + 1, draft, { x, y, w: draft.width, h }));
      x += draft.width;
      lineHeight = Math.max(lineHeight, h);
    }
    y += lineHeight;
  }
  return panels;
}

function panel(id: number, draft: PanelDraft, gridPos: GridPosition): Panel {
  const { type, title, description, unit, minimum, maximum } = draft;
  const isTable = type === "table";
  return {
    id,
    type,
    title,
    description,
    gridPos,
    datasource: DATASOURCE,
    targets: draft.queries.map(({ expr, legend }, index) => ({
      refId: letter(index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      ...(type === "timeseries" ? { range: true } : { instant: true, range: false }),
      ...(isTable && { format: "table" }),
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(minimum !== undefined && { min: minimum }),
        ...(maximum !== undefined && { max: maximum }),
        thresholds: { mode: "absolute", steps: steps(draft) },
        ...(type === "timeseries" && { custom: drawing(draft) }),
      },
      overrides: isTable ? columns(draft.queries) : [],
    },
    options: OPTIONS[type],
    ...(isTable && { transformations: [{ id: "merge", options: {} }] }),
  };
}

/** A table's columns: those of values are called after the query's letter where there is more than one. */
function columns(queries: readonly Query[]) {
  const column = (name: string, property: object) => ({
    matcher: { id: "byName", options: name },
    properties: [property],
  });
  return [
    column("Time", { id: "custom.hidden", value: true }),
    ...queries.map(({ legend }, index) =>
      column(queries.length === 1 ? "Value" : `Value #${letter(index)}`, {
        id: "displayName",
        value: legend,
      }),
    ),
  ];
}

/** What a panel's queries are told apart by. */
function letter(index: number): string {
  return String.fromCharCode("A".charCodeAt(0) + index);
}

const OPTIONS = {
  timeseries: {
    legend: { displayMode: "table", placement: "right", showLegend: true, calcs: ["lastNotNull", "max"] },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: {
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    colorMode: "value",
    graphMode: "none",
    textMode: "auto",
  },
  table: { showHeader: true, cellHeight: "sm" },
} as const;

function steps({ thresholds = {} }: PanelDraft) {
  const { warning, critical } = thresholds;
  return [
    { color: "green", value: null },
    ...(warning === undefined ? [] : [{ color: "orange", value: warning }]),
    ...(critical === undefined ? [] : [{ color: "red", value: critical }]),
  ];
}

function drawing({ stacked, thresholds }: PanelDraft) {
  return {
    drawStyle: "line",
    lineWidth: 1,
    fillOpacity: stacked ? 30 : 0,
    showPoints: "never",
    spanNulls: false,
    stacking: { mode: stacked ? "normal" : "none", group: "A" },
    thresholdsStyle: { mode: thresholds ? "dashed" : "off" },
  };
}
