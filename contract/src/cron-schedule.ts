/** A cron schedule of five numeric fields, as the sets of what they allow. */
interface Schedule {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly daysOfWeek: ReadonlySet<number>;
  /** Where both day fields say something, one of them is enough (as in robfig/cron, which Kubernetes uses). */
  readonly eitherDay: boolean;
}

/** Minute, hour, day of the month, month, day of the week. Sunday is 0: unlike cron, Kubernetes refuses 7. */
const LIMITS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;
const DAY_SECONDS = 86_400;
/** After this many days the calendar repeats, but for the skipped leap years of some centuries. */
const CALENDAR_DAYS = 28 * 365 + 7;

/** Whether a text is a cron schedule of five numeric fields that Kubernetes takes. */
export function isCronSchedule(text: string): boolean {
  return parse(text) !== undefined;
}

/**
 * The longest time, in seconds, between two starts of a cron schedule, on a clock without summer time.
 * Undefined for a schedule that never starts, such as one on 30 February, or that can't be read.
 */
export function longestCronGap(schedule: string): number | undefined {
  const parsed = parse(schedule);
  if (!parsed) return undefined;
  const times = parsed.hours.flatMap((hour) => parsed.minutes.map((minute) => (hour * 60 + minute) * 60));
  const inOneDay = Math.max(0, ...times.slice(1).map((time, index) => time - times[index]!));
  if (startsEveryDay(parsed)) return Math.max(inOneDay, DAY_SECONDS + times[0]! - times.at(-1)!);
  let longest = 0;
  let previous: number | undefined;
  let starts = 0;
  for (let day = 0; day < 2 * CALENDAR_DAYS; day++) {
    if (!startsOn(parsed, day)) continue;
    starts += 1;
    const first = day * DAY_SECONDS + times[0]!;
    if (previous !== undefined) longest = Math.max(longest, first - previous);
    previous = day * DAY_SECONDS + times.at(-1)!;
  }
  return starts === 0 ? undefined : Math.max(longest, inOneDay);
}

/** Most schedules do, and need no calendar, which takes some hundredths of a second to walk through. */
function startsEveryDay({ daysOfMonth, months, daysOfWeek, eitherDay }: Schedule): boolean {
  const [ofMonth, ofWeek] = [daysOfMonth.size === 31, daysOfWeek.size === 7];
  return months.size === 12 && (eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek);
}

function startsOn(schedule: Schedule, day: number): boolean {
  const date = new Date(day * DAY_SECONDS * 1000);
  if (!schedule.months.has(date.getUTCMonth() + 1)) return false;
  const ofMonth = schedule.daysOfMonth.has(date.getUTCDate());
  const ofWeek = schedule.daysOfWeek.has(date.getUTCDay());
  return schedule.eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
}

function parse(schedule: string): Schedule | undefined {
  const fields = schedule.split(" ");
  if (fields.length !== 5) return undefined;
  const sets = fields.map((field, index) => valuesOf(field, LIMITS[index]![0], LIMITS[index]![1]));
  if (sets.some((set) => set === undefined)) return undefined;
  const [minutes, hours, daysOfMonth, months, daysOfWeek] = sets as number[][];
  return {
    minutes: minutes!,
    hours: hours!,
    daysOfMonth: new Set(daysOfMonth),
    months: new Set(months),
    daysOfWeek: new Set(daysOfWeek),
    eitherDay: !isEvery(fields[2]!) && !isEvery(fields[4]!),
  };
}

/** Whether a field says nothing, as robfig/cron has it: a step of every second day and more says something. */
function isEvery(field: string): boolean {
  return field.split(",").some((part) => /^\*(?:\/0?1)?$/.test(part));
}

function valuesOf(field: string, minimum: number, maximum: number): number[] | undefined {
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const match = /^(\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
    if (!match) return undefined;
    const step = match[4] === undefined ? 1 : Number(match[4]);
    const from = match[2] === undefined ? minimum : Number(match[2]);
    // `5/10` begins at 5 and goes on to the end; `5` is 5 alone.
    const single = match[3] === undefined && match[2] !== undefined && match[4] === undefined;
    const to = match[3] !== undefined ? Number(match[3]) : single ? from : maximum;
    if (step === 0 || from < minimum || to > maximum || from > to) return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}
