import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { processesOf } from "../../local/environment/sandbox.js";
import type { Sandbox } from "../../local/environment/sandbox.js";

/** Every process of a container, as this machine numbers them: they are in the control group named after it. */
export async function processesOfContainer(containerId: string): Promise<number[]> {
  const id = containerId.replace(/^containerd:\/\//, "");
  if (!/^[0-9a-f]{64}$/.test(id)) throw new Error(`${containerId} is no container of containerd's`);
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const groups = await readFile(`/proc/${entry}/cgroup`, "utf8").catch(() => "");
    if (groups.includes(id)) found.push(Number(entry));
  }
  return found;
}

/** The processes of a node itself, not those of its pods, that run the program. */
export async function processesOfProgram(
  sandbox: Sandbox,
  isIt: (words: readonly string[]) => boolean,
): Promise<number[]> {
  const all = await processesOf(sandbox);
  return all.filter(({ words }) => isIt(words)).map(({ pid }) => pid);
}

/** Kills them, without asking, and waits until they are gone. */
export async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  for (let tries = 0; tries < 200 && pids.some((pid) => existsSync(`/proc/${pid}`)); tries++) await sleep(25);
}
