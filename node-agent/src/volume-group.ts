import { join } from "node:path";

import type { EncryptionSettings } from "@video-storage/contract/node-agent-config";
import { deviceBytes, findDevices, isUnused, isZeroAtItsEnds } from "./block-devices.js";
import type { BlockDevice } from "./block-devices.js";
import * as luks from "./encryption.js";
import { probe, signatures } from "./probe.js";
import type { CommandRunner } from "./runner.js";
import { LABELS, SUBSYSTEM } from "./signature.js";

export interface VolumeGroupTools {
  readonly runner: CommandRunner;
  readonly mapperDirectory: string;
}

export interface VolumeGroupReport {
  /** Disks that are in the group. */
  readonly disks: readonly string[];
  readonly problems: ReadonlyMap<string, string>;
}

/** What a disk is to a volume group. */
type Member =
  | { readonly kind: "blank" }
  /** In the group, or encrypted and to be opened first. */
  | { readonly kind: "member" }
  | { readonly kind: "encrypted"; readonly uuid: string; readonly finished: boolean }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Brings the disks that match into one volume group, encrypted beneath where the settings say so, and activates
 * it. Only blank disks are taken, and only a group with the agent's own tag is extended.
 */
export async function prepareVolumeGroup(
  tools: VolumeGroupTools,
  patterns: readonly string[],
  name: string,
  encryption: EncryptionSettings,
  masters: readonly Buffer[],
): Promise<VolumeGroupReport> {
  const problems = new Map<string, string>();
  const members: string[] = [];
  const found = await findDevices(patterns);
  if (found.length === 0) problems.set("devices", `no disk matches ${patterns.join(" or ")}`);
  const candidates: string[] = [];
  for (const disk of found) {
    try {
      const place = await memberPlace(tools, disk, name, encryption, masters);
      if (await isMember(tools.runner, place, name)) members.push(place);
      else candidates.push(place);
    } catch (error) {
      problems.set(disk.stablePath, (error as Error).message);
    }
  }
  for (const place of candidates) {
    const program = members.length === 0 ? "vgcreate" : "vgextend";
    const tag = program === "vgcreate" ? ["--addtag", SUBSYSTEM] : [];
    await tools.runner.run(program, ["--yes", ...tag, name, place]);
    members.push(place);
  }
  if (members.length > 0) await tools.runner.run("vgchange", ["--activate", "y", name]);
  return { disks: members, problems };
}

/** The block device that becomes the member: the disk, or its mapping. Throws when the disk is refused. */
async function memberPlace(
  tools: VolumeGroupTools,
  disk: BlockDevice,
  group: string,
  encryption: EncryptionSettings,
  masters: readonly Buffer[],
): Promise<string> {
  const { runner } = tools;
  const state = await memberState(runner, disk, group, encryption);
  if (state.kind === "refused") throw new Error(`${disk.stablePath} ${state.reason}`);
  if (encryption.kind !== "luks") return disk.path;
  const mapping = `${group}-${disk.path.split("/").at(-1)}`;
  const place = join(tools.mapperDirectory, luks.mappingName(mapping));
  const isOpen = await deviceBytes(place).then(
    () => true,
    () => false,
  );
  if (isOpen) return place;
  const uuid =
    state.kind === "encrypted" && state.finished
      ? state.uuid
      : await luks.format(runner, disk.path, masters[0]!);
  await luks.open(runner, disk.path, uuid, luks.mappingName(mapping), masters);
  // Ready as soon as the header is: what lies behind it is LVM's to keep whole.
  await luks.setLabel(runner, disk.path, LABELS.ready);
  return place;
}

async function memberState(
  runner: CommandRunner,
  disk: BlockDevice,
  group: string,
  encryption: EncryptionSettings,
): Promise<Member> {
  const refused = (reason: string): Member => ({ kind: "refused", reason });
  if (disk.readOnly) return refused("is read-only");
  const found = await probe(runner, disk.path);
  if (found["TYPE"] === "crypto_LUKS" && found["SUBSYSTEM"] === SUBSYSTEM && encryption.kind === "luks") {
    return { kind: "encrypted", uuid: found["UUID"]!, finished: found["LABEL"] === LABELS.ready };
  }
  if (found["TYPE"] === "LVM2_member" && encryption.kind !== "luks") {
    if (await isMember(runner, disk.path, group)) return { kind: "member" };
    return refused(`belongs to LVM, but not to the volume group ${group} with the tag ${SUBSYSTEM}`);
  }
  const all = await signatures(runner, disk.path);
  if (all.length > 0) return refused(`has signatures that the agent did not write: ${all.join(", ")}`);
  if (!(await isUnused(disk.path))) return refused("is in use: mounted, mapped, part of an array, or swap");
  if (!(await isZeroAtItsEnds(disk.path, disk.bytes))) {
    return refused("has no known signature, but data where one would be: clear it with blkdiscard or wipefs");
  }
  return { kind: "blank" };
}

/** Whether the device is in the group, and the group is the agent's. */
async function isMember(runner: CommandRunner, device: string, group: string): Promise<boolean> {
  const { code, stdout } = await runner.run(
    "pvs",
    ["--reportformat", "json", "--options", "pv_name,vg_name,vg_tags", device],
    { answers: [5] },
  );
  if (code !== 0) return false;
  const { report } = JSON.parse(stdout.toString()) as {
    report: { pv: { vg_name: string; vg_tags: string }[] }[];
  };
  return report
    .flatMap(({ pv }) => pv)
    .some(({ vg_name, vg_tags }) => vg_name === group && vg_tags.split(",").includes(SUBSYSTEM));
}
