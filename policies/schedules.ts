/** One of the five fields of a schedule. */
interface Field {
  readonly name: string;
  readonly minimum: number;
  readonly maximum: number;
  /** What may stand for its numbers, from the lowest on. */
  readonly names: readonly string[];
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/** What Kubernetes takes, by robfig/cron; other programs' L, W, #, H and a seventh day are refused by the API server. */
const FIELDS: readonly Field[] = [
  { name: "minute", minimum: 0, maximum: 59, names: [] },
  { name: "hour", minimum: 0, maximum: 23, names: [] },
  { name: "day of the month", minimum: 1, maximum: 31, names: [] },
  { name: "month", minimum: 1, maximum: 12, names: MONTHS },
  { name: "day of the week", minimum: 0, maximum: 6, names: DAYS },
];
const DAY_SECONDS = 86_400;
/** After this many days the calendar repeats, but for the skipped leap years of some centuries. */
const CALENDAR_DAYS = 28 * 365 + 7;

const known = new Map<string, number | Error>();

/**
 * The longest time between two runs of a schedule of five fields, in seconds and in a zone without summer time.
 * Throws an Error that says what is wrong with the schedule.
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

// The contract's longestCronGap finds the same. The pack is published without it, and a test compares the two.
function measured(schedule: string): number | Error {
  if (/^(?:CRON_)?TZ=/.test(schedule)) return new Error("names a time zone; use spec.timeZone");
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== 5) return new Error(`has ${fields.length} fields; write five`);
  const sets = fields.map((text, index) => valuesOf(text, FIELDS[index]!));
  const wrong = sets.find((set) => set instanceof Error);
  if (wrong) return wrong;
  const [minutes, hours, daysOfMonth, months, daysOfWeek] = sets as readonly (readonly number[])[];
  const times = hours!.flatMap((hour) => minutes!.map((minute) => (hour * 60 + minute) * 60));
  const starts = startDays(daysOfMonth!, months!, daysOfWeek!, !isEvery(fields[2]!) && !isEvery(fields[4]!));
  if (starts.length === 0) return new Error("never comes to a start; name a day that there is");
  const overnight = times[0]! - times.at(-1)!;
  return Math.max(...gaps(times), ...gaps(starts).map((days) => days * DAY_SECONDS + overnight));
}

/** The days on which a schedule starts, counted from 1970, over two rounds of the calendar. */
function startDays(
  daysOfMonth: readonly number[],
  months: readonly number[],
  daysOfWeek: readonly number[],
  eitherDay: boolean,
): number[] {
  return Array.from({ length: 2 * CALENDAR_DAYS }, (_, day) => day).filter((day) => {
    const date = new Date(day * DAY_SECONDS * 1000);
    if (!months.includes(date.getUTCMonth() + 1)) return false;
    const days = [daysOfMonth.includes(date.getUTCDate()), daysOfWeek.includes(date.getUTCDay())];
    return eitherDay ? days.includes(true) : !days.includes(false);
  });
}

function gaps(values: readonly number[]): number[] {
  return [...new Set(values.slice(1).map((value, index) => value - values[index]!))];
}

/** Whether a field says nothing: where both day fields say something, one of them is enough. */
function isEvery(text: string): boolean {
  return text.split(",").some((part) => /^[*?](?:\/0*1)?$/.test(part));
}

/** The numbers that a field means, from the lowest on; an Error when it can't be read. */
function valuesOf(text: string, field: Field): number[] | Error {
  const { name, minimum, maximum, names } = field;
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const range = rangeOf(part, field);
    if (!range) {
      const named = names.length > 0 ? ` or ${names[0]} to ${names.at(-1)}` : "";
      const allowed = `write ${minimum} to ${maximum}${named}, alone, as a range or with a step, or *`;
      return new Error(`can't be read, because its ${name} is ${JSON.stringify(part)}; ${allowed}`);
    }
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function rangeOf(part: string, field: Field): { from: number; to: number; step: number } | undefined {
  const { minimum, maximum } = field;
  const [, first, last, given] = /^(\*|\?|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
  if (first === undefined) return undefined;
  const step = given === undefined ? 1 : Number(given);
  const every = first === "*" || first === "?";
  const from = every ? minimum : numberOf(first, field);
  // `5/10` begins at 5 and goes on to the end; `5` is 5 alone.
  const open = every || given !== undefined ? maximum : from;
  const to = last === undefined ? open : numberOf(last, field);
  const isRange = from >= minimum && to <= maximum && from <= to && !(every && last !== undefined);
  return isRange && step > 0 ? { from, to, step } : undefined;
}

/** The number that a text is or stands for; NaN for what is neither. */
function numberOf(text: string, { names, minimum }: Field): number {
  const named = names.indexOf(text.toUpperCase());
  return named >= 0 ? named + minimum : /^\d+$/.test(text) ? Number(text) : NaN;
}
