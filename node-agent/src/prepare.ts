import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { ANY_NODE } from "@video-storage/contract/node-agent-config";
import type { NodeAgentConfig, NodeSettings, SlotSettings } from "@video-storage/contract/node-agent-config";
import { Notes, partitionDisks } from "./disks.js";
import { LUKS_HEADER_BYTES } from "./encryption.js";
import { coverDirectory } from "./filesystem.js";
import { masterKeys } from "./keys.js";
import { ensureLoopFiles, holdLoopFile, loopFile } from "./loop-files.js";
import { SlotRefusedError, prepareSlot, stateOf } from "./slots.js";
import type { Held, SlotPlace, SlotTools } from "./slots.js";
import { prepareVolumeGroup } from "./volume-group.js";
import type { Reporter } from "./report.js";

/** What the agent works with on a node. */
export interface Machine extends SlotTools {
  readonly config: NodeAgentConfig;
  /** The node's `kubernetes.io/hostname`. */
  readonly node: string;
  readonly report: Reporter;
}

/** A slot of this node, wherever it lies. */
export interface NodeSlot {
  readonly settings: SlotSettings;
  /** Its mount point, which is what its PersistentVolume names. */
  readonly target: string;
  /** Does something with the slot while its device is there. */
  use<T>(work: (place: SlotPlace) => Promise<T>): Promise<T>;
}

/** What was made of a node. */
export interface Preparation {
  readonly layout: "slots" | "volume-group";
  /** Slots that are mounted, by name, with the id of what is on them. */
  readonly ready: ReadonlyMap<string, string>;
  readonly slots: ReadonlyMap<string, NodeSlot>;
  /** What was refused or failed, by disk or slot. */
  readonly problems: ReadonlyMap<string, string>;
}

/** What the settings want of this node; undefined where they want nothing. */
export function nodeSettings(config: NodeAgentConfig, node: string): NodeSettings | undefined {
  if (config.layout.kind !== "slots") return undefined;
  const { nodes } = config.layout;
  return Object.hasOwn(nodes, node) ? nodes[node] : nodes[ANY_NODE];
}

/** Who may make new slots of blank ones: a slot with a volume that was in use must not come back empty unnoticed. */
export type MayMake = (slot: string) => boolean;

/**
 * Prepares everything that the settings want of this node. Idempotent: what is ready is mounted and otherwise left
 * as it is. One slot's trouble is reported and keeps none of the others.
 */
export async function prepare(machine: Machine, mayMake: MayMake = () => true): Promise<Preparation> {
  const { config, runner, report } = machine;
  await mkdir(machine.workDirectory, { recursive: true, mode: 0o700 });
  const masters = config.encryption.kind === "luks" ? await masterKeys(runner, config.encryption.key) : [];
  if (config.layout.kind === "volume-group") {
    const { disks, problems } = await prepareVolumeGroup(
      machine,
      config.medium.kind === "devices" ? config.medium.patterns : [],
      config.layout.name,
      config.encryption,
      masters,
    );
    for (const disk of disks) report({ event: "in-group", disk, group: config.layout.name });
    return { layout: "volume-group", ready: new Map(), slots: new Map(), problems };
  }
  const wanted = nodeSettings(config, machine.node);
  if (!wanted) {
    report({ event: "nothing", reason: `the settings name no slots for node ${machine.node}` });
    return { layout: "slots", ready: new Map(), slots: new Map(), problems: new Map() };
  }
  await coverDirectory(runner, wanted.directory);
  const { slots, problems: refused } = await findSlots(machine, wanted, masters);
  const problems = new Map(refused);
  const ready = new Map<string, string>();
  for (const [name, slot] of slots) {
    try {
      const result = await slot.use(async (place) => {
        if ((await stateOf(machine, place)).kind !== "ready" && !mayMake(name)) {
          throw new SlotRefusedError(
            `${place.device} is blank, and its volume is in use by a claim: delete the claim to accept the loss`,
          );
        }
        return prepareSlot(machine, place);
      });
      ready.set(name, result.uuid);
      if (result.did !== "nothing") report({ event: result.did, slot: name, target: slot.target });
    } catch (error) {
      problems.set(name, (error as Error).message);
    }
  }
  return { layout: "slots", ready, slots, problems };
}

/** Says what was refused or failed. */
export function reportProblems(report: Reporter, problems: ReadonlyMap<string, string>): void {
  for (const [of, reason] of problems) report({ event: "refused", level: "error", of, reason });
}

async function findSlots(
  machine: Machine,
  wanted: NodeSettings,
  masters: readonly Buffer[],
): Promise<{ slots: Map<string, NodeSlot>; problems: ReadonlyMap<string, string> }> {
  const { config, runner } = machine;
  const { medium, encryption, layout } = config;
  if (layout.kind !== "slots") throw new Error("only a layout of slots has slots");
  const overhead = encryption.kind === "luks" ? LUKS_HEADER_BYTES : 0;
  const slotOf = (settings: SlotSettings, hold: () => Promise<Held>, discard: boolean): NodeSlot => {
    const target = join(wanted.directory, settings.name);
    return {
      settings,
      target,
      use: async (work) => {
        const held = await hold();
        try {
          return await work({
            slot: settings,
            device: held.device,
            discard,
            target,
            ownedBySettings: config.volumes?.owner !== "agent",
            filesystem: layout.filesystem,
            inodes: layout.inodes,
            encryption,
            masters,
          });
        } finally {
          await held.release();
        }
      },
    };
  };
  if (medium.kind === "loop-files") {
    const problems = await ensureLoopFiles(runner, medium, wanted.slots, overhead);
    const usable = wanted.slots.filter(({ name }) => !problems.has(name));
    const slots = usable.map((settings): [string, NodeSlot] => {
      const file = loopFile(medium.directory, settings.name);
      return [settings.name, slotOf(settings, () => holdLoopFile(runner, file), !medium.preallocate)];
    });
    return { slots: new Map(slots), problems };
  }
  const notes = new Notes(machine.stateDirectory);
  const { devices, problems } = await partitionDisks(runner, medium.patterns, wanted.slots, overhead, notes);
  const slots = wanted.slots.flatMap((settings): [string, NodeSlot][] => {
    const device = devices.get(settings.name);
    if (device === undefined) return [];
    return [[settings.name, slotOf(settings, async () => ({ device, release: async () => {} }), true)]];
  });
  return { slots: new Map(slots), problems };
}
