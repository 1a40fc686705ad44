import { setTimeout as sleep } from "node:timers/promises";

import { KubeConfig } from "@kubernetes/client-node";

import { ClusterClient, ClusterError } from "./apply/cluster-client.js";
import type { LiveObject } from "./apply/cluster-client.js";
import { entryOf, planPrune, readInventory, union, writeInventory } from "./apply/inventory.js";
import type { InventoryEntry } from "./apply/inventory.js";
import { jobLogs, podsTrouble } from "./apply/job-logs.js";
import { readinessOf } from "./apply/readiness.js";
import { manifestId } from "./manifests.js";
import type { Manifest } from "./manifests.js";

/** Something that happened, for whoever watches. */
export interface Progress {
  readonly step: "created" | "changed" | "unchanged" | "waiting" | "ready" | "deleted" | "kept";
  /** `Kind/namespace/name`. */
  readonly id: string;
  /** Why it waits, or why it is kept. */
  readonly detail?: string;
  /** Objects that are done, of all. */
  readonly done: number;
  readonly total: number;
}

export interface ClusterAccess {
  /** A kubeconfig file, or a configuration that is loaded already. */
  readonly kubeconfig: string | KubeConfig;
  /** The kubeconfig's own current one by default. */
  readonly context?: string;
  /** Namespace of the inventory; the one of the stack's systemNamespace. */
  readonly systemNamespace: string;
  readonly onProgress?: (progress: Progress) => void;
  /** How long one object may take to be ready or gone, in seconds. Default 300. */
  readonly timeoutSeconds?: number;
}

export interface ApplyOptions extends ClusterAccess {
  readonly manifests: readonly Manifest[];
}

export interface ApplyResult {
  /** Ids of what was made, changed, and left as it was. */
  readonly created: string[];
  readonly changed: string[];
  readonly unchanged: string[];
  /** Ids of what an earlier apply had declared and this one doesn't: deleted, or kept because data would go too. */
  readonly pruned: string[];
  readonly kept: string[];
}

/** A manifest could not be applied or did not become ready. Applying again goes on from there. */
export class ApplyError extends Error {
  override readonly name = "ApplyError";
}

const POLL = 500;
const DEFAULT_TIMEOUT = 300;

/**
 * Brings a cluster to what the manifests say, for trying the stack out where no engine is to be had: each
 * object by server-side apply once what it depends on is ready, and then the deletion of what is declared no
 * longer. Claims, volumes and namespaces are never deleted by that, only reported. A second run changes
 * nothing, and a run that was killed is finished by the next. Throws {@link ApplyError} or {@link ClusterError}.
 */
export async function apply(options: ApplyOptions): Promise<ApplyResult> {
  const client = connect(options);
  const aborted = new AbortController();
  const result: ApplyResult = { created: [], changed: [], unchanged: [], pruned: [], kept: [] };
  const total = options.manifests.length;
  let done = 0;
  const tell = (step: Progress["step"], id: string, detail?: string) =>
    options.onProgress?.({ step, id, ...(detail !== undefined && { detail }), done, total });
  const timeout = (options.timeoutSeconds ?? DEFAULT_TIMEOUT) * 1000;

  async function applyOne({ id, object }: Manifest): Promise<void> {
    const before = await clearTheWay(client, object, timeout);
    const after = await client.apply(object);
    const step = !before
      ? "created"
      : before.metadata.resourceVersion === after.metadata.resourceVersion
        ? "unchanged"
        : "changed";
    result[step].push(id);
    tell(step, id);
    await waitUntilReady(client, id, after, timeout, aborted.signal, (detail) => tell("waiting", id, detail));
    done += 1;
    tell("ready", id);
  }

  try {
    const namespaces = options.manifests.filter(({ object }) => object.kind === "Namespace");
    for (const manifest of namespaces) await applyOne(manifest);
    const before = await readInventory(client, options.systemNamespace);
    const now = options.manifests.map(entryOf);
    // Before the objects, so that what a killed run has made is known to the next.
    await writeInventory(client, options.systemNamespace, union(before, now));

    const started = new Map<string, Promise<void>>(namespaces.map(({ id }) => [id, Promise.resolve()]));
    for (const manifest of options.manifests) {
      if (started.has(manifest.id)) continue;
      const needs = manifest.dependsOn.flatMap((id) => started.get(id) ?? []);
      const one = Promise.all(needs).then(() => {
        aborted.signal.throwIfAborted();
        return applyOne(manifest);
      });
      started.set(manifest.id, one);
      one.catch(() => aborted.abort());
    }
    await firstFailure([...started.values()]);

    const plan = planPrune(before, now);
    for (const entry of plan.remove) {
      if (await client.delete(entry)) result.pruned.push(manifestId(entry));
      tell("deleted", manifestId(entry));
    }
    for (const entry of plan.keep) {
      result.kept.push(manifestId(entry));
      tell("kept", manifestId(entry), "no longer declared, but its data would go with it; delete it by hand");
    }
    await writeInventory(client, options.systemNamespace, [...plan.keep, ...now]);
    return result;
  } finally {
    aborted.abort();
    client.close();
  }
}

/**
 * Deletes all that apply has declared, claims, volumes and namespaces too, and waits until it is gone. What
 * lies on the volumes stays there: they are retained. Returns the ids. Throws {@link ApplyError}.
 */
export async function destroyApplied(options: ClusterAccess): Promise<string[]> {
  const client = connect(options);
  const timeout = (options.timeoutSeconds ?? DEFAULT_TIMEOUT) * 1000;
  try {
    const entries = (await readInventory(client, options.systemNamespace)).reverse();
    // The namespace that holds the inventory goes last: a destruction that was killed can then be finished.
    const isLast = (entry: InventoryEntry) =>
      entry.kind === "Namespace" && entry.metadata.name === options.systemNamespace;
    const deleted: string[] = [];
    for (const batch of [entries.filter((entry) => !isLast(entry)), entries.filter(isLast)]) {
      for (const entry of batch) await client.delete(entry);
      for (const entry of batch) {
        const id = manifestId(entry);
        await waitUntilGone(client, entry, timeout, (detail) =>
          options.onProgress?.({ step: "waiting", id, detail, done: deleted.length, total: entries.length }),
        );
        deleted.push(id);
        options.onProgress?.({ step: "deleted", id, done: deleted.length, total: entries.length });
      }
    }
    return deleted;
  } finally {
    client.close();
  }
}

function connect({ kubeconfig, context }: ClusterAccess): ClusterClient {
  let config: KubeConfig;
  if (typeof kubeconfig === "string") {
    config = new KubeConfig();
    config.loadFromFile(kubeconfig);
  } else {
    config = kubeconfig;
  }
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      throw new ClusterError(
        `the kubeconfig has no context ${context}; it has ${known.join(", ") || "none"}`,
      );
    }
    config.setCurrentContext(context);
  }
  return new ClusterClient(config);
}

/** Removes what would keep the object from being applied. Returns what is there and stays. */
async function clearTheWay(
  client: ClusterClient,
  object: Manifest["object"],
  timeout: number,
): Promise<LiveObject | undefined> {
  const live = await client.read(object);
  if (!live) return undefined;
  const hasFailed = live.kind === "Job" && readinessOf(live).state === "failed";
  // A Job that has failed never runs again; one that is on its way out can't be changed.
  if (hasFailed && live.metadata.deletionTimestamp === undefined) await client.delete(object);
  if (hasFailed || live.metadata.deletionTimestamp !== undefined) {
    await waitUntilGone(client, object, timeout);
    return undefined;
  }
  if (live.kind === "PersistentVolume" && live.status?.phase === "Released") {
    // Its claim was deleted and is about to be made again, under the same name for the same slot.
    return client.merge(object, { spec: { claimRef: { uid: null, resourceVersion: null } } });
  }
  return live;
}

async function waitUntilReady(
  client: ClusterClient,
  id: string,
  applied: LiveObject,
  timeout: number,
  signal: AbortSignal,
  tell: (detail: string) => void,
): Promise<void> {
  const deadline = Date.now() + timeout;
  let live: LiveObject | undefined = applied;
  for (let round = 0; ; round++) {
    if (!live) throw new ApplyError(`${id} was deleted by somebody else while it was waited for`);
    const readiness = readinessOf(live);
    if (readiness.state === "ready") return;
    if (readiness.state === "failed") {
      throw new ApplyError(`${id} failed: ${readiness.detail}\n${await jobLogs(client, live)}`.trimEnd());
    }
    const trouble = round % 4 === 3 || Date.now() > deadline ? await podsTrouble(client, live) : "";
    if (Date.now() > deadline) {
      const logs = live.kind === "Job" ? await jobLogs(client, live) : "";
      const why = [readiness.detail, trouble, logs].filter((part) => part !== "").join("\n");
      throw new ApplyError(`${id} was not ready after ${timeout / 1000} s: ${why}`);
    }
    tell(trouble === "" ? readiness.detail : `${readiness.detail}; ${trouble}`);
    await sleep(POLL, undefined, { signal });
    live = await client.read(applied);
  }
}

async function waitUntilGone(
  client: ClusterClient,
  reference: InventoryEntry | Manifest["object"],
  timeout: number,
  tell: (detail: string) => void = () => undefined,
): Promise<void> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const live = await client.read(reference);
    if (!live) return;
    const finalizers = (live.metadata as { finalizers?: string[] }).finalizers ?? [];
    const detail = finalizers.length > 0 ? `held by ${finalizers.join(", ")}` : "being deleted";
    if (Date.now() > deadline) {
      throw new ApplyError(`${manifestId(reference)} was not gone after ${timeout / 1000} s: ${detail}`);
    }
    tell(detail);
    await sleep(POLL);
  }
}

/** Waits for all; throws the failure that came first, not the aborts that followed it. */
async function firstFailure(tasks: readonly Promise<void>[]): Promise<void> {
  let first: unknown;
  await Promise.all(tasks.map((task) => task.catch((error: unknown) => (first ??= error))));
  if (first !== undefined) throw first;
}
