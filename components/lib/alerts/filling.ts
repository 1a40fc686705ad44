import type { AlertDraft, Severity } from "./rule.js";
import { span } from "./promql.js";
import { freePercent } from "./volume-series.js";
import type { Room } from "./volume-series.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** Between these two marks sweeps keep a volume, in percent in use. */
export interface Marks {
  /** Above it the sweep evicts, in percent of the volume. */
  readonly highPercent: number;
  /** Down to it. */
  readonly lowPercent: number;
}

/** A prediction that a volume will be full. */
export interface Prediction {
  readonly alert: string;
  readonly severity: Severity;
  /** It speaks when the volume will be full within this time. */
  readonly withinSeconds: number;
  /** From what was measured in this time. */
  readonly slopeSeconds: number;
  /** Whether also the trend of the least room over several sweeps counts, and not only the slope of right now. */
  readonly overSweeps: boolean;
  readonly forSeconds: number;
}

/**
 * Windows for SSD speed: at 1 GB/s the last 15 % of 1.92 TB last five minutes, in which the usual rules, with their
 * windows of hours, haven't begun to look.
 */
export function fastPredictions(alert: string): Prediction[] {
  return [
    {
      alert,
      severity: "critical",
      withinSeconds: 5 * MINUTE,
      slopeSeconds: 2 * MINUTE,
      overSweeps: false,
      forSeconds: 30,
    },
    {
      alert,
      severity: "warning",
      withinSeconds: 30 * MINUTE,
      slopeSeconds: 10 * MINUTE,
      overSweeps: true,
      forSeconds: 2 * MINUTE,
    },
  ];
}

/** What tells of growth over a day, with the horizons of the rules that kube-prometheus brings. */
export function slowPredictions(alert: string): Prediction[] {
  const common = { alert, overSweeps: true, forSeconds: 15 * MINUTE };
  return [
    { ...common, severity: "critical", withinSeconds: 4 * HOUR, slopeSeconds: 2 * HOUR },
    { ...common, severity: "warning", withinSeconds: 24 * HOUR, slopeSeconds: 8 * HOUR },
  ];
}

/** How much less than the least room seen before counts as news, as a share of it. */
const NEW_LOW = 0.8;

/** A look back further than this costs more than it tells. */
const LONGEST_LOOK_BACK = 24 * HOUR;

export interface FillingArgs {
  readonly prediction: Prediction;
  readonly room: Room;
  readonly marks: Marks;
  /** The longest time between two starts of the sweep. */
  readonly periodSeconds: number;
  /** Names the volume, in an annotation. */
  readonly where: string;
  readonly description: string;
}

/**
 * Says that a volume will be full, and stays silent as long as it fills and is swept, fills and is swept.
 *
 * A prediction alone can't: near the top of each tooth of the saw it is right that the volume would be full soon, if no
 * sweep came. Three things must hold together:
 *
 * - More is in use than what a sweep empties a volume down to; below that, sweeps still have all to give.
 * - By the slope of right now the volume will be full in time. Where `overSweeps`, the slope of the least room seen in
 *   each period will do as well: teeth that grow have no steady slope of their own, their tops have.
 * - The room is clearly less than the least of the past, which is that of the top of the tooth before. So a tooth
 *   like the ones before isn't news. `NEW_LOW` doesn't delay the news of a volume that fills at one rate: within
 *   time h before it is full, it has less than h / (h + s) of what it had s earlier, and each h / (h + s) here is
 *   at most 0.75. Where there is no past, such as after a Prometheus lost its data, what tells of the next minutes speaks
 *   without, and what looks at several sweeps waits until it has seen one.
 */
export function fillingUp(args: FillingArgs): AlertDraft {
  const { prediction, room, marks, where } = args;
  const { withinSeconds: within, slopeSeconds: slope } = prediction;
  const period = boundedPeriod(args.periodSeconds);
  const least = `min_over_time(${room.free}[${span(period)}])`;
  const slopes = [`predict_linear(${room.free}[${span(slope)}], ${within}) < 0`];
  if (prediction.overSweeps) {
    const trend = trendSeconds(prediction, args.periodSeconds);
    // Some sixty points say as much of a trend as all of them.
    const step = Math.max(MINUTE, Math.round(trend / 60 / MINUTE) * MINUTE);
    slopes.push(`predict_linear(${least}[${span(trend)}:${span(step)}], ${within}) < 0`);
  }
  const past = `min_over_time(${room.free}[${span(lookBack(within, marks, period))}] offset ${span(slope)})`;
  const news = prediction.overSweeps
    ? `and ${least} < ${NEW_LOW} * ${past} and ${room.free} offset ${span(slope + period)}`
    : `unless ${room.free} >= ${NEW_LOW} * ${past}`;
  return {
    alert: prediction.alert,
    severity: prediction.severity,
    expr: `${freePercent(room)} < ${100 - marks.lowPercent} ` + `and (${slopes.join(" or ")}) ${news}`,
    forSeconds: prediction.forSeconds,
    keepFiringForSeconds: untilSweptAgain(args.periodSeconds),
    summary:
      `${where} will be out of ${room.unit === "bytes" ? "space" : "inodes"} within ${span(within)}: ` +
      `{{ printf "%.1f" $value }} % is left`,
    description: args.description,
    reads: [],
  };
}

/** Over how long the trend of the least room of each period is looked at: over three sweeps at least. */
export function trendSeconds({ slopeSeconds }: Prediction, periodSeconds: number): number {
  return 3 * Math.max(slopeSeconds, boundedPeriod(periodSeconds));
}

function boundedPeriod(seconds: number): number {
  // A scrape a minute must find two samples in it.
  return Math.min(Math.max(seconds, 2 * MINUTE), LONGEST_LOOK_BACK);
}

/** How long an alert on a volume stays after it was last true: a sweep may end it for a moment only. */
export function untilSweptAgain(periodSeconds: number): number {
  return Math.min(Math.max(periodSeconds, 5 * MINUTE), HOUR);
}

/**
 * Long enough to see the top of the tooth before. A tooth rises from the low mark to the high one, and at its top the
 * volume would be full within h if the rest takes h: the tooth took h × (high − low) / (100 − high). One that takes longer
 * predicts nothing.
 */
function lookBack(within: number, { highPercent, lowPercent }: Marks, period: number): number {
  const tooth = highPercent === 100 ? Infinity : (within * (highPercent - lowPercent)) / (100 - highPercent);
  const minutes = Math.ceil((Math.max(2 * period, tooth) + period) / MINUTE);
  return Math.min(minutes * MINUTE, LONGEST_LOOK_BACK);
}
