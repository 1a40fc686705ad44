import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";
import { hostnameOf, ofNode } from "./cluster.js";
import type { Cluster } from "./cluster.js";
import { ClusterUnavailableError } from "./cluster-unavailable.js";
import { annotationPatch, claimUser, decide, mayMake, offerPatch } from "./decisions.js";
import type { Volume } from "./decisions.js";
import { nodeNotes, says } from "./node-notes.js";
import { prepare, reportProblems } from "./prepare.js";
import type { Machine, NodeSlot, Preparation } from "./prepare.js";
import { own } from "./filesystem.js";
import { SlotRefusedError, condemnSlot, prepareSlot } from "./slots.js";
import { KEYS, agentVolumeName, buildLocalVolume } from "./volume-object.js";

/** File in the work directory that is there once the node has been prepared; the pod's readiness. */
export const READY_FILE = "ready";

const ROUND_SECONDS = 30;
const LONGEST_PAUSE_SECONDS = 60;

/**
 * Prepares the node, says on the node what it made, and from then on wipes what is released and offers it again,
 * until the signal. Each round begins with what is really there, so it doesn't matter where the last one ended.
 */
export async function run(
  machine: Omit<Machine, "node" | "config">,
  readConfig: () => Promise<NodeAgentConfig>,
  nodeName: string,
  cluster: Cluster,
  stop: AbortSignal,
): Promise<void> {
  let wake = (): void => {};
  let watching = false;
  let pause = 1;
  let said = "";
  let config: NodeAgentConfig | undefined;
  while (!stop.aborted) {
    const woken = new Promise<void>((resolve) => (wake = resolve));
    try {
      const node = hostnameOf(await cluster.node(nodeName));
      if (!watching) cluster.watchVolumes(ofNode(node), () => wake(), stop);
      watching = true;
      // Read in each round, so that a node that grows restarts no agent.
      config = await readConfig().catch((error: unknown) => {
        if (!config) throw error;
        machine.report({ event: "settings-refused", level: "error", reason: (error as Error).message });
        return config;
      });
      const preparation = await round({ ...machine, config, node }, nodeName, cluster, stop);
      const problems = JSON.stringify([...preparation.problems]);
      if (problems !== said) reportProblems(machine.report, preparation.problems);
      said = problems;
      await writeFile(join(machine.workDirectory, READY_FILE), "");
      pause = 1;
    } catch (error) {
      if (!(error instanceof ClusterUnavailableError)) throw error;
      machine.report({ event: "cluster-unavailable", level: "warning", reason: error.message });
      pause = Math.min(pause * 2, LONGEST_PAUSE_SECONDS);
      await pauseFor(pause, stop);
      continue;
    }
    await Promise.race([woken, pauseFor(ROUND_SECONDS, stop)]);
  }
}

async function pauseFor(seconds: number, stop: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal: stop }).catch(() => {});
}

/** One round: prepare, note, and see to every volume of the node. */
export async function round(
  machine: Machine,
  nodeName: string,
  cluster: Cluster,
  stop: AbortSignal,
): Promise<Preparation> {
  const { config } = machine;
  const listed = config.volumes ? await volumesOf(machine, cluster) : new Map<string, Volume>();
  const preparation = await prepare(machine, (slot) => mayMake(listed.get(slot)));
  const problems = new Map(preparation.problems);
  for (const slot of preparation.slots.values()) {
    if (stop.aborted) break;
    const name = slot.settings.name;
    try {
      await attend(machine, cluster, slot, listed.get(name), preparation.ready.get(name));
    } catch (error) {
      if (error instanceof ClusterUnavailableError) throw error;
      problems.set(name, (error as Error).message);
    }
  }
  const result = { ...preparation, problems };
  const notes = nodeNotes(config, result);
  if (!says(await cluster.node(nodeName), notes)) await cluster.noteOnNode(nodeName, notes);
  return result;
}

/** The volumes that stand for slots of this node, by slot. */
async function volumesOf({ config, node }: Machine, cluster: Cluster): Promise<Map<string, Volume>> {
  const volumes = await cluster.volumes(ofNode(node));
  const ours = volumes.filter(({ storageClass }) => storageClass === config.volumes!.storageClass);
  return new Map(ours.map((volume) => [volume.labels[KEYS.slot] ?? "", volume]));
}

async function attend(
  machine: Machine,
  cluster: Cluster,
  slot: NodeSlot,
  volume: Volume | undefined,
  content: string | undefined,
): Promise<void> {
  const { config, report } = machine;
  if (!volume) {
    if (config.volumes!.owner === "agent" && content !== undefined)
      await offerNew(machine, cluster, slot, content);
    return;
  }
  // The mount point of another slot, or of another directory: whoever wrote that volume must say what is meant.
  if (volume.path !== slot.target) {
    throw new SlotRefusedError(
      `volume ${volume.name} names ${volume.path}, and the slot is at ${slot.target}`,
    );
  }
  const { wipeDelaySeconds } = config.volumes!;
  const decision = decide(volume, content, wipeDelaySeconds, new Date());
  if (decision.do === "record" && content !== undefined) {
    await cluster.patchVolume(volume.name, annotationPatch(volume, KEYS.content, content));
  }
  if (decision.do === "lost") {
    if (!(KEYS.lost in volume.annotations)) {
      await cluster.patchVolume(volume.name, annotationPatch(volume, KEYS.lost, new Date().toISOString()));
    }
    throw new SlotRefusedError(
      `what claim ${volume.claim?.namespace}/${volume.claim?.name} had on it is gone: delete the claim to accept the loss`,
    );
  }
  if (config.volumes!.owner === "agent" && volume.phase === "Bound") await giveToClaim(cluster, slot, volume);
  if (decision.do !== "wipe") return;
  // The list may be a moment old, and what follows can't be taken back.
  const fresh = await cluster.volume(volume.name);
  if (!fresh || fresh.uid !== volume.uid) return;
  const again = decide(fresh, content, wipeDelaySeconds, new Date());
  if (again.do !== "wipe") return;
  report({ event: "wiping", volume: fresh.name, slot: slot.settings.name });
  const { uuid } = await slot.use(async (place) => {
    await condemnSlot(machine, place);
    return prepareSlot(machine, place);
  });
  if (uuid === content)
    throw new Error(`slot ${slot.settings.name} still has its old content after being wiped`);
  if (await cluster.patchVolume(fresh.name, offerPatch(fresh, again.claimUid, uuid))) {
    report({ event: "offered", volume: fresh.name, slot: slot.settings.name });
  }
}

/** Makes the user that a claim names the owner of the slot that it came to lie on. */
async function giveToClaim(cluster: Cluster, slot: NodeSlot, { claim }: Volume): Promise<void> {
  if (claim?.uid === undefined) return;
  const annotations = await cluster.claimAnnotations({ ...claim, uid: claim.uid });
  const user = claimUser(annotations?.[KEYS.runAsUser]);
  if (user !== undefined) await own(slot.target, { ...slot.settings, user });
}

async function offerNew(machine: Machine, cluster: Cluster, slot: NodeSlot, content: string): Promise<void> {
  const { config, node, report } = machine;
  const { storageClass, pool } = config.volumes!;
  const name = agentVolumeName(storageClass, node, slot.settings.name);
  const volume = buildLocalVolume({
    name,
    labels: {
      "app.kubernetes.io/name": "storage",
      "app.kubernetes.io/instance": config.environment,
      "app.kubernetes.io/component": "storage",
      "app.kubernetes.io/part-of": "video-storage",
      "app.kubernetes.io/managed-by": "video-storage-node-agent",
      [KEYS.pool]: pool!,
    },
    className: storageClass,
    node,
    path: slot.target,
    bytes: BigInt(slot.settings.bytes),
    claim: null,
    onRelease: "wipe",
  });
  const { metadata, ...rest } = volume;
  await cluster.createVolume({
    apiVersion: "v1",
    kind: "PersistentVolume",
    ...rest,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [KEYS.content]: content } },
  });
  report({ event: "offered", volume: name, slot: slot.settings.name });
}
