import { randomUUID } from "node:crypto";

import { passphrase } from "./keys.js";
import { CommandFailedError } from "./runner.js";
import type { CommandRunner } from "./runner.js";
import { LABELS, SUBSYSTEM } from "./signature.js";

/** What a LUKS2 header takes of the device, by cryptsetup's default. */
export const LUKS_HEADER_BYTES = 16 * 2 ** 20;

const WRONG_KEY = 2;

/** Name of the mapping behind which a slot lies open. */
export function mappingName(slot: string): string {
  return `video-storage-${slot}`;
}

/** Writes a header with a new volume key, labelled as unfinished. */
export async function format(runner: CommandRunner, device: string, master: Buffer): Promise<string> {
  const uuid = randomUUID();
  await runner.run(
    "cryptsetup",
    [
      ...["luksFormat", "--batch-mode", "--type", "luks2", "--uuid", uuid],
      ...["--label", LABELS.making, "--subsystem", SUBSYSTEM],
      ...["--cipher", "aes-xts-plain64", "--key-size", "512", "--sector-size", "4096"],
      // The passphrase is 64 random bytes, which no stretching makes better; the default would take a gibibyte
      // of memory and seconds for every slot.
      ...["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"],
      ...["--key-file", "-", device],
    ],
    { input: passphrase(master, uuid) },
  );
  return uuid;
}

/** Opens a header under a mapping, by the first of the keys that fits. Throws when none does. */
export async function open(
  runner: CommandRunner,
  device: string,
  headerUuid: string,
  name: string,
  masters: readonly Buffer[],
): Promise<void> {
  for (const master of masters) {
    const { code } = await runner.run(
      "cryptsetup",
      ["open", "--type", "luks2", "--key-file", "-", device, name],
      { input: passphrase(master, headerUuid), answers: [WRONG_KEY] },
    );
    if (code === 0) return;
  }
  throw new Error(
    `none of the ${masters.length} keys opens ${device}: give the key that it was made with as well; it is not made anew`,
  );
}

export async function close(runner: CommandRunner, name: string): Promise<void> {
  await runner.run("cryptsetup", ["close", name]);
}

export async function setLabel(runner: CommandRunner, device: string, label: string): Promise<void> {
  await runner.run("cryptsetup", ["config", device, "--label", label, "--subsystem", SUBSYSTEM]);
}

/**
 * Destroys every copy of the volume key, so that what lies on the device can't be read by anyone who has the
 * node's secret either, and makes sure of it by the header itself.
 */
export async function erase(runner: CommandRunner, device: string): Promise<void> {
  await runner.run("cryptsetup", ["luksErase", "--batch-mode", device]);
  const { stdout } = await runner.run("cryptsetup", ["luksDump", "--dump-json-metadata", device]);
  const { keyslots } = JSON.parse(stdout.toString()) as { keyslots: Record<string, unknown> };
  const left = Object.keys(keyslots).length;
  if (left > 0) {
    throw new CommandFailedError("cryptsetup", ["luksErase", device], 0, `${left} key slots are still there`);
  }
}
