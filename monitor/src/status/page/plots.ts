import uPlot from "uplot";
import { formatBytes, formatPercent, formatTime } from "../format.js";
import type { ShownVolume } from "../model.js";
import { widgetOf } from "./dom.js";
import type { Attributes, Widget } from "./dom.js";

type Points = ShownVolume["usage"];

export interface UsagePlot {
  /** After each sweep. */
  readonly usage: Points;
  /** In between, as Prometheus has it. */
  readonly measured: Points;
  readonly capacityBytes: number;
  readonly highWaterPercent: number | null;
  /** Seconds of Unix time. */
  readonly from: number;
  readonly to: number;
}

/** Attributes of an element that holds a small plot, without axes, for a row of a table. */
export function sparklineOf(plot: UsagePlot, hours: number): Attributes {
  return {
    class: "sparkline",
    role: "img",
    "aria-label": said(plot, hours),
    widget: widgetOf(sparkline, plot),
  };
}

/** Attributes of an element that holds a plot with axes. */
export function plotOf(plot: UsagePlot, hours: number): Attributes {
  return { class: "plot", role: "img", "aria-label": said(plot, hours), widget: widgetOf(fullPlot, plot) };
}

/** Attributes of the output right after a plot, in which that says what lies under the pointer. */
export function pointedOf(): Attributes {
  return { class: "pointed", widget: widgetOf(filledByThePlot, undefined) };
}

/** What is drawn every second would remove what the plot wrote. */
const filledByThePlot: Widget<undefined> = { create: () => ({ update() {}, destroy() {} }) };

/** What the plot shows, in words. */
function said({ usage, measured, capacityBytes }: UsagePlot, hours: number): string {
  const points = measured.length > 0 ? measured : usage;
  const last = points.at(-1);
  if (!last) return `Use over the last ${spanOf(hours)}: nothing was measured`;
  const values = points.map(([, bytes]) => bytes);
  const share = (bytes: number): string =>
    capacityBytes > 0 ? formatPercent((100 * bytes) / capacityBytes) : formatBytes(bytes);
  return `Use over the last ${spanOf(hours)}: from ${share(Math.min(...values))} to ${share(Math.max(...values))}, last ${share(last[1])}`;
}

export function spanOf(hours: number): string {
  return hours <= 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

const scheme = matchMedia("(prefers-color-scheme: dark)");

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Both kinds of points on one axis of time; undefined where the one has none. */
function joined({ usage, measured }: UsagePlot): uPlot.AlignedData {
  const times = [...new Set([...measured, ...usage].map(([at]) => at))].sort((a, b) => a - b);
  const column = (points: Points): (number | undefined)[] => {
    const values = new Map(points);
    return times.map((at) => values.get(at));
  };
  return [times, column(measured), column(usage)] as uPlot.AlignedData;
}

/** Drawn anew when the colours change; else only its data is. */
function drawing(
  options: (element: HTMLElement, data: UsagePlot) => uPlot.Options,
  resized: boolean,
): Widget<UsagePlot>["create"] {
  return (element) => {
    let plot: uPlot | undefined;
    let data: UsagePlot | undefined;
    const draw = (): void => {
      plot?.destroy();
      plot = data && new uPlot(options(element, data), joined(data), element);
      fit();
    };
    const fit = (): void => {
      if (!plot || !data) return;
      plot.setScale("x", { min: data.from, max: data.to });
      plot.setScale("y", { min: 0, max: Math.max(data.capacityBytes, 1) });
    };
    const watch = resized
      ? new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: element.clientHeight }))
      : undefined;
    watch?.observe(element);
    scheme.addEventListener("change", draw);
    return {
      update(next) {
        const before = data;
        data = next;
        const same =
          before?.highWaterPercent === next.highWaterPercent && before.capacityBytes === next.capacityBytes;
        if (!plot || !same) return draw();
        if (JSON.stringify(before) === JSON.stringify(next)) return;
        plot.setData(joined(next), false);
        fit();
      },
      destroy() {
        watch?.disconnect();
        scheme.removeEventListener("change", draw);
        plot?.destroy();
      },
    };
  };
}

const SERIES = (): uPlot.Series[] => [
  {},
  { label: "measured", stroke: colour("plot"), width: 1.25, points: { show: false } },
  {
    label: "after each sweep",
    ...{
      stroke: colour("plot"),
      fill: colour("plot-fill"),
      width: 1.5,
      points: { show: false },
      spanGaps: true,
    },
  },
];

/** A horizontal line where a sweep begins to make room. */
function mark(plot: uPlot, { highWaterPercent, capacityBytes }: UsagePlot): void {
  if (highWaterPercent === null) return;
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos((capacityBytes * highWaterPercent) / 100, "y", true));
  ctx.save();
  ctx.strokeStyle = colour("attention");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

const UTC = (seconds: number): Date => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

const FIXED_SCALES: uPlot.Options["scales"] = { x: { time: true, auto: false }, y: { auto: false } };

const sparkline: Widget<UsagePlot> = {
  create: drawing(
    (element) => ({
      ...{ width: element.clientWidth || 132, height: element.clientHeight || 26, padding: [2, 0, 2, 0] },
      ...{
        cursor: { show: false },
        legend: { show: false },
        select: { show: false, left: 0, top: 0, width: 0, height: 0 },
      },
      scales: FIXED_SCALES,
      tzDate: UTC,
      axes: [{ show: false }, { show: false }],
      series: SERIES(),
    }),
    false,
  ),
};

const fullPlot: Widget<UsagePlot> = {
  create: drawing(
    (element, data) => ({
      ...{ width: element.clientWidth, height: element.clientHeight, legend: { show: false } },
      scales: FIXED_SCALES,
      tzDate: UTC,
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      axes: [
        axis({ size: 32, values: timesOf }),
        axis({ size: 74, values: (_, values) => values.map(formatBytes), splits: quarters }),
      ],
      series: SERIES(),
      hooks: { draw: [(plot) => mark(plot, data)], setCursor: [tell] },
    }),
    true,
  ),
};

function axis(more: uPlot.Axis): uPlot.Axis {
  const grid = { stroke: colour("line"), width: 1 };
  return { stroke: colour("quiet"), grid, ticks: { ...grid, size: 4 }, font: `12px ${FONT}`, ...more };
}
const FONT = `system-ui, sans-serif`;

/** The capacity is the last line, not the round number above it. */
function quarters(plot: uPlot): number[] {
  const { max = 0 } = plot.scales["y"]!;
  return [0, 0.25, 0.5, 0.75, 1].map((share) => share * (max ?? 0));
}

function timesOf(_: uPlot, times: number[]): string[] {
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return times.map((at) => {
    const text = new Date(at * 1000).toISOString();
    return span > 2 * 86_400 ? `${text.slice(8, 10)}.${text.slice(5, 7)}.` : text.slice(11, 16);
  });
}

/** Says what lies under the pointer, in the output below the plot: see {@link pointedOf}. */
function tell(plot: uPlot): void {
  const output = plot.root.parentElement?.nextElementSibling;
  const index = plot.cursor.idx;
  if (!(output instanceof HTMLOutputElement)) return;
  const at = index == null ? undefined : plot.data[0][index];
  const value = index == null ? undefined : (plot.data[1]?.[index] ?? plot.data[2]?.[index]);
  output.value =
    at === undefined || value == null
      ? ""
      : `${formatTime(new Date(at * 1000).toISOString())}: ${formatBytes(value)}`;
}
