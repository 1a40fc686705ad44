import type { StackContract } from "@video-storage/contract/stack-contract";
import { z } from "zod";
import type { Alert } from "./model.js";

/** Prometheus can't be asked now, or what answers there isn't one. */
export class PrometheusError extends Error {
  override readonly name = "PrometheusError";
}

const TIMEOUT_MILLISECONDS = 2_000;
/** A thousand volumes' answers are a tenth of it. */
const MAXIMUM_ANSWER_BYTES = 8 * 1024 * 1024;

/** A Prometheus' HTTP API, as far as it is read here. All throw {@link PrometheusError}. */
export interface Prometheus {
  /** One sample of each series now. */
  query(expression: string): Promise<Sample[]>;
  queryRange(expression: string, range: { from: number; to: number; step: number }): Promise<Series[]>;
  /** Alerting rules of all groups. */
  alertingRules(): Promise<RuleGroup[]>;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds of Unix time. */
  readonly at: number;
  readonly value: number;
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [at: number, value: number])[];
}

const labels = z.record(z.string(), z.string());
const point = z.tuple([z.number(), z.string()]);
const vector = z.object({ result: z.array(z.object({ metric: labels, value: point })) });
const matrix = z.object({ result: z.array(z.object({ metric: labels, values: z.array(point) })) });
const ruleGroups = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          name: z.string(),
          type: z.string(),
          alerts: z
            .array(
              z.object({
                labels,
                annotations: labels.default({}),
                state: z.enum(["firing", "pending"]),
                activeAt: z.string(),
              }),
            )
            .default([]),
        }),
      ),
    }),
  ),
});
export type RuleGroup = z.infer<typeof ruleGroups>["groups"][number];

/** @param address of its root, such as `http://127.0.0.1:9090`, with a path where it is behind one. */
export function connectPrometheus(address: string): Prometheus {
  const root = address.replace(/\/+$/, "");
  const ask = async <T>(
    path: string,
    parameters: Record<string, string>,
    shape: z.ZodType<T>,
  ): Promise<T> => {
    const body = await answerOf(`${root}/api/v1/${path}?${new URLSearchParams(parameters)}`, root);
    const result = z.object({ status: z.literal("success"), data: shape }).safeParse(body);
    if (!result.success) throw new PrometheusError(`what answers at ${root} is not a Prometheus`);
    return result.data.data;
  };
  return {
    async query(expression) {
      const { result } = await ask("query", { query: expression }, vector);
      return result.map(({ metric, value: [at, value] }) => ({ labels: metric, at, value: Number(value) }));
    },
    async queryRange(expression, { from, to, step }) {
      const range = { start: String(from), end: String(to), step: String(step) };
      const { result } = await ask("query_range", { query: expression, ...range }, matrix);
      return result.map(({ metric, values }) => ({
        labels: metric,
        points: values.map(([at, value]) => [at, Number(value)] as const),
      }));
    },
    alertingRules: async () => (await ask("rules", { type: "alert" }, ruleGroups)).groups,
  };
}

async function answerOf(url: string, root: string): Promise<unknown> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
      redirect: "error",
      headers: { accept: "application/json" },
    });
    const text = await boundedText(response);
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new PrometheusError(`Prometheus at ${root} can't be asked: ${reasonOf(error)}`, { cause: error });
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAXIMUM_ANSWER_BYTES)
      throw new Error(`its answer is larger than ${MAXIMUM_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer in ${TIMEOUT_MILLISECONDS / 1000} s`;
  const { code, message } = (error.cause ?? error) as { code?: string; message?: string };
  return code ?? message ?? error.message;
}

/** Only the filesystems that {@link findSeries} could find, of the many that a node has. */
const SLOT_MOUNTS = `mountpoint=~".+/slot-[0-9]+",fstype!="tmpfs"`;

/** What node-exporter measures of them. */
const FILESYSTEM_METRICS = {
  sizeBytes: "node_filesystem_size_bytes",
  freeBytes: "node_filesystem_free_bytes",
  availableBytes: "node_filesystem_avail_bytes",
  files: "node_filesystem_files",
  filesFree: "node_filesystem_files_free",
} as const;

const NODE_LABELS = ["node", "nodename", "kubernetes_node", "instance"] as const;

export type Slot = Pick<StackContract["slots"][number], "name" | "node">;

/**
 * Finds which of some series is of a slot: its mount point ends as the slot's name does (`…/slot-3`), and one of its
 * labels names the slot's node. Where the stack has one node, the mount point alone will do. Undefined where that is
 * none, or more than one: then nobody can say.
 */
export function findSeries<T extends { readonly labels: Sample["labels"] }>(
  series: readonly T[],
  slots: readonly Slot[],
): (slot: Slot) => T | undefined {
  const there = new Map<string, Set<T>>();
  const add = (key: string, one: T): void => void there.set(key, (there.get(key) ?? new Set()).add(one));
  for (const one of series) {
    const directory = directoryOf(one.labels["mountpoint"] ?? "");
    if (directory === undefined) continue;
    add(directory, one);
    for (const label of NODE_LABELS) {
      // An instance is a node with a port.
      const node = one.labels[label]?.replace(/:\d+$/, "");
      if (node !== undefined) add(`${directory} ${node}`, one);
    }
  }
  const single = new Set(slots.map(({ node }) => node)).size === 1;
  return ({ name, node }) => {
    const directory = directoryOf(name);
    if (node === null || directory === undefined) return undefined;
    const found = there.get(`${directory} ${node}`) ?? (single ? there.get(directory) : undefined);
    return found?.size === 1 ? [...found][0] : undefined;
  };
}

function directoryOf(path: string): string | undefined {
  return /slot-\d+$/.exec(path)?.[0];
}

/** What a filesystem holds, as an unprivileged writer sees it: what is reserved is neither used nor capacity. */
export interface Filesystem {
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** Null where it has no limit. */
  readonly inodesUsedPercent: number | null;
  /** Seconds of Unix time. */
  readonly at: number;
}

export type FilesystemSamples = Readonly<Record<keyof typeof FILESYSTEM_METRICS, readonly Sample[]>>;

export async function readFilesystems(prometheus: Prometheus): Promise<FilesystemSamples> {
  const entries = await Promise.all(
    Object.entries(FILESYSTEM_METRICS).map(async ([key, metric]) => [
      key,
      await prometheus.query(`${metric}{${SLOT_MOUNTS}}`),
    ]),
  );
  return Object.fromEntries(entries) as FilesystemSamples;
}

/** Of each slot, by its name, for which one series of each kind is found. */
export function filesystemsOf(slots: readonly Slot[], samples: FilesystemSamples): Map<string, Filesystem> {
  const find = Object.fromEntries(
    Object.entries(samples).map(([key, series]) => [key, findSeries(series, slots)]),
  ) as Record<keyof FilesystemSamples, (slot: Slot) => Sample | undefined>;
  const filesystems = new Map<string, Filesystem>();
  for (const slot of slots) {
    const [size, free, available] = [find.sizeBytes(slot), find.freeBytes(slot), find.availableBytes(slot)];
    if (!size || !free || !available) continue;
    const files = find.files(slot)?.value ?? 0;
    const filesFree = find.filesFree(slot)?.value ?? 0;
    const usedBytes = Math.max(0, size.value - free.value);
    filesystems.set(slot.name, {
      ...{ usedBytes, capacityBytes: usedBytes + available.value, at: available.at },
      inodesUsedPercent: files > 0 ? (100 * (files - filesFree)) / files : null,
    });
  }
  return filesystems;
}

/** What a slot held over time. Undefined where no series, or more than one, is found for it. */
export async function readUsage(
  prometheus: Prometheus,
  slot: Slot,
  slots: readonly Slot[],
  range: { from: number; to: number; step: number },
): Promise<Series["points"] | undefined> {
  const { sizeBytes, freeBytes } = FILESYSTEM_METRICS;
  const directory = directoryOf(slot.name);
  if (directory === undefined) return undefined;
  const mounts = `{${SLOT_MOUNTS.replace("slot-[0-9]+", directory)}}`;
  const series = await prometheus.queryRange(`${sizeBytes}${mounts} - ${freeBytes}${mounts}`, range);
  return findSeries(series, slots)(slot)?.points;
}

/** Rule groups of the storage, by the names that it gives them. */
const GROUPS = /^video-storage/;
const SEVERITIES = ["critical", "warning", "info"];

/** The storage's alerts that are not silent, the worst and oldest first; those of other environments left out. */
export function alertsOf(
  groups: readonly RuleGroup[],
  environment: string,
): { rules: number; alerts: Alert[] } {
  const rules = groups.filter(({ name }) => GROUPS.test(name)).flatMap((group) => group.rules);
  const alerts = rules.flatMap(({ name, alerts: active }) =>
    active
      .filter(({ labels: of }) => of["environment"] === undefined || of["environment"] === environment)
      .map((alert): Alert => ({
        name,
        state: alert.state,
        severity: alert.labels["severity"] ?? "unknown",
        since: new Date(alert.activeAt).toISOString(),
        summary: alert.annotations["summary"] ?? name,
        description: alert.annotations["description"] ?? "",
        runbook: webAddress(alert.annotations["runbook_url"]),
      })),
  );
  const rank = ({ state, severity }: Alert): number => {
    const index = SEVERITIES.indexOf(severity);
    return (state === "firing" ? 0 : 10) + (index === -1 ? SEVERITIES.length : index);
  };
  return {
    rules: rules.filter(({ type }) => type === "alerting").length,
    alerts: alerts.sort((a, b) => rank(a) - rank(b) || a.since.localeCompare(b.since)),
  };
}

/** A link that a rule says is followed only to the web. */
function webAddress(text: string | undefined): string | null {
  if (text === undefined || !URL.canParse(text)) return null;
  return ["http:", "https:"].includes(new URL(text).protocol) ? text : null;
}
