import { setTimeout as sleep } from "node:timers/promises";

import { keptNetwork } from "../../local/environment/network.js";
import { prometheusUrl } from "../../local/environment/prometheus.js";
import type { RunningEnvironment } from "./running-environment.js";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Alert {
  readonly state: "pending" | "firing";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The real Prometheus of an environment, asked as anybody would. */
export interface TestPrometheus {
  /** A path below `api/v1/`. */
  ask<T>(path: string, query?: Readonly<Record<string, string>>): Promise<T>;
  samples(query: string): Promise<Sample[]>;
  /** Alerts of a name that fire. */
  firing(name: string): Promise<Alert[]>;
}

export async function prometheusOf({ stateDirectory }: RunningEnvironment): Promise<TestPrometheus> {
  const base = prometheusUrl(await keptNetwork(stateDirectory));
  const ask = async <T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> => {
    const url = `${base}/api/v1/${path}?${new URLSearchParams(query)}`;
    const answer = (await (await fetch(url)).json()) as { status: string; error?: string; data: T };
    if (answer.status !== "success") throw new Error(`${url}: ${answer.error}`);
    return answer.data;
  };
  return {
    ask,
    async samples(query) {
      type Vector = { result: { metric: Record<string, string>; value: [number, string] }[] };
      const { result } = await ask<Vector>("query", { query });
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    async firing(name) {
      const { alerts } = await ask<{ alerts: Alert[] }>("alerts");
      return alerts.filter(({ state, labels }) => state === "firing" && labels["alertname"] === name);
    },
  };
}

/** Asks each second until it is so; the test's own time is the limit. */
export async function until<T>(
  what: () => Promise<T>,
  holds: (found: T) => boolean = (found) => Boolean(found),
): Promise<T> {
  for (;;) {
    const found = await what();
    if (holds(found)) return found;
    await sleep(1_000);
  }
}
