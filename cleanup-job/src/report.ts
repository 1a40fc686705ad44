import { escaped, escapedLines } from "@video-storage/contract/shown-text";

/** One thing that happened. Never a secret, a file's content or a signed address. */
export interface Event {
  readonly event: string;
  readonly level?: "info" | "warning" | "error";
  readonly [field: string]: unknown;
}

export type Reporter = (event: Event) => void;

/** One JSON object per line, for logs. */
export function jsonReporter(write: (line: string) => void): Reporter {
  return ({ event, level = "info", ...fields }) =>
    // JSON.stringify leaves some that terminals obey: with --json it is for them too.
    write(`${escaped(JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }))}\n`);
}

/** One line per event, for people: the event, the job if there is one, then why, which may go on in more lines. */
export function humanReporter(write: (line: string) => void): Reporter {
  return ({ event, level = "info", job, reason, ...fields }) => {
    const rest = Object.entries(fields)
      .filter(([, value]) => value !== undefined && value !== null && value !== false)
      .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    const mark = { info: "  ", warning: "! ", error: "✗ " }[level];
    const parts = [
      escaped(event.padEnd(10)),
      job && escaped(String(job)),
      // Further back than any event begins, so that no line can be taken for one.
      reason && escapedLines(String(reason), "    "),
      escaped(rest.join(" ")),
    ].filter(Boolean);
    write(`${mark}${parts.join("  ")}\n`);
  };
}

/** JSON unless somebody is looking. */
export function reporterFor(stream: NodeJS.WriteStream, json: boolean): Reporter {
  const write = (line: string): void => void stream.write(line);
  return json || !stream.isTTY ? jsonReporter(write) : humanReporter(write);
}
