import { hkdfSync } from "node:crypto";
import { readFile } from "node:fs/promises";

import type { KeySettings } from "@video-storage/contract/node-agent-config";
import type { CommandRunner } from "./runner.js";

const MINIMUM_BYTES = 32;
const PASSPHRASE_BYTES = 64;

/** The key can't be had, or is none. Says why, and nothing of the key. */
export class KeyError extends Error {
  override readonly name = "KeyError";
}

/** The node's secrets, from which every slot's own passphrase is derived; the first is for new slots. */
export async function masterKeys(runner: CommandRunner, settings: KeySettings): Promise<Buffer[]> {
  if (settings.kind === "tpm2") return [await unsealed(runner, settings.handle, settings.pcrs)];
  return Promise.all(settings.files.map(fromFile));
}

async function fromFile(file: string): Promise<Buffer> {
  const key = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new KeyError(`the key can't be read from ${file} (${error.code}): mount the Secret there`);
  });
  return checked(key, file);
}

async function unsealed(runner: CommandRunner, handle: string, pcrs: string | null): Promise<Buffer> {
  const policy = pcrs === null ? [] : ["--auth", `pcr:${pcrs}`];
  const { stdout } = await runner.run("tpm2_unseal", ["--object-context", handle, ...policy], {
    secretOutput: true,
  });
  return checked(stdout, `the TPM's object ${handle}`);
}

function checked(key: Buffer, place: string): Buffer {
  if (key.length < MINIMUM_BYTES) {
    throw new KeyError(
      `the key of ${place} has ${key.length} bytes: use at least ${MINIMUM_BYTES} random ones, such as from \`head -c 64 /dev/urandom\``,
    );
  }
  return key;
}

/**
 * The passphrase of one LUKS header. It is another for every header, so that what opens one slot opens no other,
 * and no earlier content of the same slot.
 */
export function passphrase(master: Buffer, headerUuid: string): Buffer {
  return Buffer.from(
    hkdfSync("sha256", master, headerUuid.toLowerCase(), "video-storage/slot/1", PASSPHRASE_BYTES),
  );
}
