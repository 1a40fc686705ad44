import type { AuditEntry } from "../model.js";

/** The rows of a volume's audit that stay shown once somebody has asked for earlier ones, and how the asking goes. */
export interface EarlierRows {
  readonly volume: string;
  /** The latest first, with none left out between them; empty until somebody asks. */
  readonly rows: readonly AuditEntry[];
  readonly asking: boolean;
  /** Why the last answer didn't come. */
  readonly problem: string | undefined;
  /** Nothing lies before the last row. */
  readonly ended: boolean;
  /** So much was written since that the latest rows no longer reach down to the first of these. */
  readonly behind: boolean;
}

export function nothingEarlier(volume: string): EarlierRows {
  return { volume, rows: [], asking: false, problem: undefined, ended: false, behind: false };
}

/** Asked for what lies before the rows that are shown: from now on those stay. */
export function asked(earlier: EarlierRows, latest: readonly AuditEntry[]): EarlierRows {
  const rows = earlier.rows.length > 0 ? earlier.rows : latest;
  return { ...earlier, rows, asking: true, problem: undefined };
}

/** An answer to what lies before a row. One that doesn't belong below the last row shown is left out. */
export function answered(
  earlier: EarlierRows,
  before: number,
  {
    value,
    problem,
  }: { readonly value: readonly AuditEntry[] | undefined; readonly problem: string | undefined },
): EarlierRows {
  const now = { ...earlier, asking: false, problem };
  if (value === undefined || earlier.rows.at(-1)?.sequence !== before) return now;
  return { ...now, rows: [...earlier.rows, ...value], ended: value.length === 0 };
}

/** What was written since comes above the rows shown, as long as it is known to leave no gap to them. */
export function withLatest(earlier: EarlierRows, latest: readonly AuditEntry[]): EarlierRows {
  const [first] = earlier.rows;
  const last = latest.at(-1);
  if (!first || !last) return earlier;
  if (last.sequence > first.sequence + 1) return { ...earlier, behind: true };
  return {
    ...earlier,
    rows: [...latest, ...earlier.rows.filter(({ sequence }) => sequence < last.sequence)],
  };
}
