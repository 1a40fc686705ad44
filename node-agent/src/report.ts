/** One thing that happened. Never a key. */
export interface Event {
  readonly event: string;
  readonly level?: "info" | "warning" | "error";
  readonly [field: string]: unknown;
}

export type Reporter = (event: Event) => void;

/** JSON lines unless somebody is looking; for people one line per event. */
export function reporterFor(stream: NodeJS.WriteStream, json: boolean): Reporter {
  if (json || !stream.isTTY) {
    return ({ event, level = "info", ...fields }) =>
      void stream.write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`);
  }
  return ({ event, level = "info", reason, ...fields }) => {
    const rest = Object.entries(fields).map(
      ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    const mark = { info: "  ", warning: "! ", error: "✗ " }[level];
    stream.write(`${mark}${[event.padEnd(10), ...rest, reason].filter(Boolean).join("  ")}\n`);
  };
}
