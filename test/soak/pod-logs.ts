import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

/** A line of JSON that a worker of the run printed. */
export interface WorkerEvent {
  readonly event: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly jobId?: string;
  readonly [field: string]: unknown;
}

/** Where a node keeps what a pod's container printed: it outlives the node's processes, and goes with the pod. */
export function podLogDirectory(
  nodeDirectory: string,
  pod: { namespace: string; name: string; uid: string; container: string },
): string {
  const { namespace, name, uid, container } = pod;
  return join(nodeDirectory, "logs", "system", "pods", `${namespace}_${name}_${uid}`, container);
}

/** What a container printed so far; nothing when it hasn't begun. */
export async function readEvents(directory: string): Promise<WorkerEvent[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith(".log")).sort();
  const texts = await Promise.all(
    names.map((name) => readFile(join(directory, name), "utf8").catch(() => "")),
  );
  return eventsIn(texts.join(""));
}

/**
 * The events in a log as container runtimes write it: time, stream, `F` for a line or `P` for a part of one, text.
 * What was cut off by the end of a node is no line.
 */
export function eventsIn(log: string): WorkerEvent[] {
  const events: WorkerEvent[] = [];
  let pending = "";
  for (const line of log.slice(0, log.lastIndexOf("\n") + 1).split("\n")) {
    const [, kind, text] = /^\S+ (?:stdout|stderr) ([FP]) (.*)$/.exec(line) ?? [];
    if (kind === undefined) continue;
    pending += text;
    if (kind === "P") continue;
    const whole = pending;
    pending = "";
    if (!whole.startsWith("{")) continue;
    try {
      events.push(JSON.parse(whole) as WorkerEvent);
    } catch {
      // Half a line and half of the next: a writer was killed in between.
    }
  }
  return events;
}
