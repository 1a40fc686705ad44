import type { Reporter } from "./report.js";

const INTERVAL_MILLISECONDS = 200;

/** A line that tells how far it is, where somebody looks: on a terminal, and below what is reported there. */
export interface Watched {
  readonly report: Reporter;
  /** One more job was looked at. */
  readonly progress: () => void;
  readonly end: () => void;
}

/** The reporter, with a progress line on `terminal` where that is one and no JSON is wanted. */
export function watchedBy(
  terminal: Pick<NodeJS.WriteStream, "isTTY" | "write">,
  report: Reporter,
  json: boolean,
): Watched {
  if (json || !terminal.isTTY) return { report, progress: () => undefined, end: () => undefined };
  let looked = 0;
  let done = 0;
  let bytes = 0;
  let shownAt = 0;
  const clear = (): void => void terminal.write("\r\u001b[K");
  return {
    report(event) {
      if (event.event === "deleted" || event.event === "tiered") {
        done++;
        bytes += Number(event["bytes"] ?? 0);
      }
      clear();
      report(event);
    },
    progress() {
      looked++;
      if (Date.now() - shownAt < INTERVAL_MILLISECONDS) return;
      shownAt = Date.now();
      terminal.write(
        `\r\u001b[K${looked} jobs looked at, ${done} gone, ${(bytes / 2 ** 20).toFixed(1)} MiB freed`,
      );
    },
    end: clear,
  };
}
