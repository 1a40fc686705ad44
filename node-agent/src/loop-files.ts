import { mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

import type { SlotSettings } from "@video-storage/contract/node-agent-config";
import type { CommandRunner } from "./runner.js";
import type { Held } from "./slots.js";

/** Where a slot's file lies. */
export function loopFile(directory: string, slot: string): string {
  return join(directory, `${slot}.img`);
}

/**
 * Makes the files that are missing and returns what is wrong with the others, by slot. A file is complete as soon
 * as it has its name.
 */
export async function ensureLoopFiles(
  runner: CommandRunner,
  settings: { readonly directory: string; readonly preallocate: boolean },
  slots: readonly SlotSettings[],
  overhead: number,
): Promise<Map<string, string>> {
  const { directory, preallocate } = settings;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    if (name.endsWith(".img.new")) await unlink(join(directory, name));
  }
  const problems = new Map<string, string>();
  for (const slot of slots) {
    const file = loopFile(directory, slot.name);
    const bytes = slot.bytes + overhead;
    const size = await stat(file).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined) await makeFile(runner, file, bytes, preallocate);
    else if (size !== bytes) {
      problems.set(
        slot.name,
        `${file} has ${size} bytes and should have ${bytes}: a slot's size is not changed`,
      );
    }
  }
  return problems;
}

async function makeFile(
  runner: CommandRunner,
  file: string,
  bytes: number,
  preallocate: boolean,
): Promise<void> {
  const unfinished = `${file}.new`;
  const handle = await open(unfinished, "wx", 0o600);
  try {
    await handle.truncate(bytes);
    if (preallocate) await runner.run("fallocate", ["--length", String(bytes), unfinished]);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(unfinished, file);
}

/**
 * The loop device of a file, attached now unless it is. It lasts as long as this hold on it or something that is
 * mounted from it, and goes by itself after that, however the agent ends.
 */
export async function holdLoopFile(runner: CommandRunner, file: string): Promise<Held> {
  const { stdout } = await runner.run("losetup", ["--json", "--list", "--associated", file]);
  const listed = stdout.toString().trim();
  const { loopdevices } = (listed === "" ? { loopdevices: [] } : JSON.parse(listed)) as {
    loopdevices: { name: string; autoclear: boolean }[];
  };
  const known = loopdevices[0];
  const device = known?.name ?? (await attach(runner, file));
  const handle = await open(device, "r");
  // While it is in use this only asks for it to go afterwards.
  if (!known?.autoclear) await runner.run("losetup", ["--detach", device]);
  return { device, release: () => handle.close() };
}

async function attach(runner: CommandRunner, file: string): Promise<string> {
  const attached = await runner.run("losetup", ["--find", "--show", "--nooverlap", file]);
  return attached.stdout.toString().trim();
}
