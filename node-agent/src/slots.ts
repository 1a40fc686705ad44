import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type { EncryptionSettings, SlotSettings } from "@video-storage/contract/node-agent-config";
import { deviceBytes, isUnused, isZeroInSamples } from "./block-devices.js";
import * as luks from "./encryption.js";
import * as filesystem from "./filesystem.js";
import type { FilesystemType } from "./filesystem.js";
import { mounts } from "./mounts.js";
import { probe } from "./probe.js";
import { CommandFailedError } from "./runner.js";
import type { CommandRunner } from "./runner.js";
import { LABELS, slotState } from "./signature.js";
import type { SlotState } from "./signature.js";

/** One slot and all that it takes to work on it. */
export interface SlotPlace {
  readonly slot: SlotSettings;
  /** Partition or loop device. */
  readonly device: string;
  /** Whether the device's blocks may be given back; not where they were taken in advance. */
  readonly discard: boolean;
  /** Where it is mounted on the node. */
  readonly target: string;
  /** Whether the owner in the settings is for good; otherwise the claim that comes to lie on it names one. */
  readonly ownedBySettings: boolean;
  readonly filesystem: FilesystemType;
  readonly inodes: number | null;
  readonly encryption: EncryptionSettings;
  /** The node's secrets; empty where nothing is encrypted by the agent. */
  readonly masters: readonly Buffer[];
}

/** A block device that is there for as long as it is held. */
export interface Held {
  readonly device: string;
  release(): Promise<void>;
}

export interface SlotTools {
  readonly runner: CommandRunner;
  /** A directory of the agent's own, which others don't see what is mounted in. */
  readonly workDirectory: string;
  /** A directory of the node's that survives the agent and a reboot. */
  readonly stateDirectory: string;
  /** Where open mappings appear. */
  readonly mapperDirectory: string;
}

/** A slot that can't be worked on now: somebody uses it, or it holds what the agent didn't write. */
export class SlotRefusedError extends Error {
  override readonly name = "SlotRefusedError";
}

export async function stateOf({ runner }: SlotTools, place: SlotPlace): Promise<SlotState> {
  return slotState(place.encryption, place.filesystem, await probe(runner, place.device));
}

export interface Prepared {
  /** Id of what is on the slot: another whenever it was emptied. */
  readonly uuid: string;
  readonly did: "made" | "mounted" | "nothing";
}

/**
 * Brings a slot to where it is mounted at its place: mounts what is ready, finishes what was interrupted, makes
 * what is blank.
 * Throws {@link SlotRefusedError} before anything foreign is touched.
 */
export async function prepareSlot(
  tools: SlotTools,
  place: SlotPlace,
): Promise<{ uuid: string; did: "made" | "mounted" | "nothing" }> {
  const state = await stateOf(tools, place);
  if (state.kind === "foreign") {
    throw new SlotRefusedError(
      `${place.device} holds what the agent did not write: ${state.found}; clear it by hand if nobody needs it`,
    );
  }
  const ready = state.kind === "ready" ? state.uuid : undefined;
  const uuid = ready ?? (await makeSlot(tools, place));
  const mounted = await mountSlot(tools, place, uuid);
  return { uuid, did: ready === undefined ? "made" : mounted ? "mounted" : "nothing" };
}

/** Where the filesystem lies: behind the mapping, where there is one. */
async function openSlot(tools: SlotTools, place: SlotPlace, uuid: string): Promise<string> {
  if (place.encryption.kind !== "luks") return place.device;
  const mapping = await openMapping(tools, place);
  if (mapping !== undefined) return mapping;
  await luks.open(tools.runner, place.device, uuid, luks.mappingName(place.slot.name), place.masters);
  return join(tools.mapperDirectory, luks.mappingName(place.slot.name));
}

async function closeSlot(tools: SlotTools, place: SlotPlace): Promise<void> {
  const mapping = await openMapping(tools, place);
  if (mapping === undefined) return;
  await refuseUsed(mapping);
  await luks.close(tools.runner, luks.mappingName(place.slot.name));
}

async function openMapping(tools: SlotTools, place: SlotPlace): Promise<string | undefined> {
  const mapping = join(tools.mapperDirectory, luks.mappingName(place.slot.name));
  return deviceBytes(mapping).then(
    () => mapping,
    () => undefined,
  );
}

async function mountSlot(tools: SlotTools, place: SlotPlace, uuid: string): Promise<boolean> {
  if ((await mounts()).has(place.target)) return false;
  const device = await openSlot(tools, place, uuid);
  await filesystem.mount(tools.runner, device, place.target, place.filesystem);
  // The settings may have another owner than the slot was made with.
  if (place.ownedBySettings) await filesystem.own(place.target, place.slot);
  return true;
}

/** Makes a slot whose content nobody needs, whatever state an earlier attempt left it in; it ends as ready. */
async function makeSlot(tools: SlotTools, place: SlotPlace): Promise<string> {
  const { runner } = tools;
  const work = join(tools.workDirectory, "making", place.slot.name);
  await mkdir(join(tools.workDirectory, "making"), { recursive: true, mode: 0o700 });
  await filesystem.unmount(runner, work);
  await closeSlot(tools, place);
  await refuseUsed(place.device);
  await clear(tools, place);
  const encrypted = place.encryption.kind === "luks";
  const header = encrypted ? await luks.format(runner, place.device, place.masters[0]!) : undefined;
  const device = header === undefined ? place.device : await openSlot(tools, place, header);
  const uuid = await filesystem.make(runner, place.filesystem, device, LABELS.making, place.inodes);
  await filesystem.mount(runner, device, work, place.filesystem);
  await filesystem.furnish(work, place.slot);
  await filesystem.unmount(runner, work);
  if (header === undefined) {
    await filesystem.setLabel(runner, place.filesystem, device, LABELS.ready);
    return uuid;
  }
  await filesystem.flush(device);
  await luks.setLabel(runner, place.device, LABELS.ready);
  return header;
}

/**
 * Leaves nothing of an earlier content. What was encrypted is gone with its key; anything else is discarded,
 * which an SSD does at once, and where what is read afterwards isn't empty, overwritten.
 */
async function clear({ runner }: SlotTools, place: SlotPlace): Promise<void> {
  const found = await probe(runner, place.device);
  if (found["TYPE"] === "crypto_LUKS") await luks.erase(runner, place.device);
  await runner.run("wipefs", ["--all", "--quiet", place.device]);
  const discarded =
    place.discard && (await runner.run("blkdiscard", [place.device], { answers: [1] })).code === 0;
  if (found["TYPE"] === "crypto_LUKS") return;
  const bytes = await deviceBytes(place.device);
  if (discarded && (await isZeroInSamples(place.device, bytes))) return;
  await runner.run("blkdiscard", ["--zeroout", place.device]);
  if (await isZeroInSamples(place.device, bytes)) return;
  throw new CommandFailedError(
    "blkdiscard",
    ["--zeroout", place.device],
    0,
    "the device is not empty afterwards",
  );
}

/**
 * Takes a slot away from under its mount point and marks it, on the medium itself, as to be wiped: from then on
 * nothing offers or mounts it before {@link prepareSlot} has made it anew. Killed before the mark, nothing has
 * happened. Throws {@link SlotRefusedError}, with the slot mounted as it was, while anybody uses it.
 */
export async function condemnSlot(tools: SlotTools, place: SlotPlace): Promise<void> {
  const state = await stateOf(tools, place);
  if (state.kind === "foreign") throw new SlotRefusedError(`${place.device} holds ${state.found}`);
  if (state.kind !== "ready") return;
  await filesystem.unmount(tools.runner, place.target);
  try {
    await closeSlot(tools, place);
    await refuseUsed(place.device);
  } catch (error) {
    await mountSlot(tools, place, state.uuid);
    throw error;
  }
  if (place.encryption.kind === "luks") {
    await luks.setLabel(tools.runner, place.device, LABELS.wiping);
    await filesystem.flush(place.device);
  } else await filesystem.setLabel(tools.runner, place.filesystem, place.device, LABELS.wiping);
}

async function refuseUsed(device: string): Promise<void> {
  if (!(await isUnused(device))) throw new SlotRefusedError(`${device} is in use; it is left as it is`);
}
