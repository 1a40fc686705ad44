import { CronExpressionParser } from "cron-parser";

const SAMPLE = 300;
const known = new Map<string, number | Error>();

/**
 * The longest time between two runs of a schedule of five fields, in seconds, over the next 300 runs and in
 * a zone without summer time. Throws an Error that says what is wrong with the schedule.
 */
export function longestPeriodSeconds(schedule: string): number {
  let result = known.get(schedule);
  if (result === undefined) {
    result = measured(schedule);
    known.set(schedule, result);
  }
  if (result instanceof Error) throw result;
  return result;
}

function measured(schedule: string): number | Error {
  const fields = schedule.trim().split(/\s+/);
  if (/^(?:CRON_)?TZ=/.test(schedule)) return new Error("names a time zone; use spec.timeZone");
  if (fields.length !== 5) return new Error(`has ${fields.length} fields; write five`);
  try {
    const runs = CronExpressionParser.parse(schedule, { tz: "UTC", currentDate: "2026-01-01T00:00:00Z" });
    const times = Array.from({ length: SAMPLE }, () => runs.next().getTime());
    return Math.max(...times.slice(1).map((time, index) => time - times[index]!)) / 1000;
  } catch (error) {
    return new Error(`can't be read: ${(error as Error).message}`);
  }
}
