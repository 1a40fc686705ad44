import { spawn } from "node:child_process";
import { openSync, closeSync, existsSync } from "node:fs";
import { mkdir, readFile, readdir, readlink, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { must, run } from "../command.js";
import type { Finished, RunOptions } from "../command.js";
import { Failure } from "../failure.js";
import { PROJECT, cacheDirectory } from "../paths.js";

/**
 * A machine inside the machine: its own processes, mounts, network and host name. Everything of an
 * environment runs in one, so nothing of it meets the user's ports, services or files, ending its first
 * process ends all of it, and what it mounted goes with it. It needs no record of process ids: its first
 * process carries the state directory in its command line.
 */
export interface Sandbox {
  readonly stateDirectory: string;
  /** The first process, as the machine outside numbers it. */
  readonly pid: number;
  /** Runs a command inside to its end. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Like run, and throws unless the command succeeds. */
  must(program: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** Starts a program inside that outlives this process; its output goes to `logs/NAME.log`. */
  launch(name: string, program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Launched;
  /** A path of the inside, as the outside reaches it. */
  path(inside: string): string;
}

/** A program that was started inside. */
export interface Launched {
  readonly log: string;
  /** Whether it has ended by itself. */
  ended(): boolean;
}

const MARKER = "video-storage-sandbox";
const READY = "/run/sandbox-ready";

/**
 * First process of a sandbox. Directories that programs insist on (/run, /mnt, /var/lib, /var/log) are
 * covered, so that nothing is written to the machine's own; the checkout, its state and the cache stay
 * visible wherever they lie. Shared propagation is what the kubelet and containerd expect below `/`.
 */
const FIRST_PROCESS = `
set -e
tini=$1 host=$2 state=$3; shift 3
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
index=0
for directory in "$state" "$@"; do
  index=$((index + 1)); mkdir -p /run/kept/$index; mount --rbind "$directory" /run/kept/$index
done
mount -t tmpfs -o mode=755 tmpfs /mnt
mount -t tmpfs -o mode=755 tmpfs /var/lib
index=0
for directory in "$state" "$@"; do
  index=$((index + 1))
  [ -e "$directory" ] || { mkdir -p "$directory"; mount --rbind /run/kept/$index "$directory"; }
done
mkdir -p /var/lib/kubelet /var/lib/containerd "$state/kubelet" "$state/containerd" "$state/logs/system"
mount --bind "$state/kubelet" /var/lib/kubelet
mount --bind "$state/containerd" /var/lib/containerd
mount --bind "$state/logs/system" /var/log
mount --make-rshared /
hostname "$host"
ip link set lo up
: > ${READY}
exec "$tini" -- sh -c 'while :; do sleep 86400 & wait; done' ${MARKER} "$state"
`;

/** The running sandbox of a state directory, if there is one. */
export async function findSandbox(stateDirectory: string): Promise<Sandbox | undefined> {
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const [commandLine, status] = await Promise.all([
      readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => ""),
      readFile(`/proc/${entry}/status`, "utf8").catch(() => ""),
    ]);
    const words = commandLine.split("\0");
    const firstInside = /^NSpid:\t\d+\t1$/m.test(status);
    if (firstInside && words.includes(MARKER) && words.includes(stateDirectory)) {
      return sandboxAt(Number(entry), stateDirectory);
    }
  }
  return undefined;
}

/** The sandbox of a state directory, made now if it is not there or was left half-made. */
export async function ensureSandbox(stateDirectory: string, host: string, tini: string): Promise<Sandbox> {
  const found = await findSandbox(stateDirectory);
  if (found && existsSync(found.path(READY))) return found;
  if (found) await endSandbox(found);
  await mkdir(join(stateDirectory, "logs"), { recursive: true });
  await mkdir(cacheDirectory(), { recursive: true });
  const log = openSync(join(stateDirectory, "logs", "sandbox.log"), "a");
  const kept = [PROJECT, cacheDirectory()];
  const args = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--propagation", "private", "--"];
  const first = ["sh", "-c", FIRST_PROCESS, MARKER, tini, host, stateDirectory, ...kept];
  const child = spawn("unshare", [...args, ...first], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  });
  closeSync(log);
  let ended = false;
  child.once("exit", () => (ended = true)).once("error", () => (ended = true));
  child.unref();
  for (let tries = 0; tries < 100 && !ended; tries++) {
    const made = await findSandbox(stateDirectory);
    if (made && existsSync(made.path(READY))) return made;
    await sleep(50);
  }
  const said = await readFile(join(stateDirectory, "logs", "sandbox.log"), "utf8").catch(() => "");
  throw new Failure(
    `The environment's namespaces could not be made: ${said.trim().split("\n").at(-1)}`,
    "It needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN; inside a container, run that one privileged.",
  );
}

/**
 * Ends a sandbox with everything in it. Databases are asked first and given a moment; the kernel ends
 * the rest with the first process.
 */
export async function endSandbox(sandbox: Sandbox): Promise<void> {
  const asked: number[] = [];
  for (const { pid, words } of await processesOf(sandbox)) {
    if (/\/(etcd|prometheus)$/.test(words[0]!)) asked.push(signal(pid, "SIGTERM"));
    // SIGINT asks it to end without waiting for its clients.
    if (isPostmaster(words)) asked.push(signal(pid, "SIGINT"));
  }
  for (let tries = 0; tries < 30 && asked.some((pid) => existsSync(`/proc/${pid}`)); tries++)
    await sleep(100);
  await killSandbox(sandbox);
}

/** Ends a sandbox as a machine that fails does: nothing in it is asked. What it wrote stays. */
export async function killSandbox(sandbox: Sandbox): Promise<void> {
  const groups = await containerGroups(sandbox);
  signal(sandbox.pid, "SIGKILL");
  for (let tries = 0; tries < 200 && existsSync(`/proc/${sandbox.pid}`); tries++) await sleep(50);
  for (const group of groups) await removeTree(group);
}

/** Whether a command line is a postmaster's, which alone of its processes has arguments, or about to be. */
export function isPostmaster(words: readonly string[]): boolean {
  return words.some((word, index) => word.endsWith("/postgres") && words[index + 1] === "-D");
}

/** Where containerd has a directory for each container that runs, by its id. */
const CONTAINERS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";

/**
 * The control groups of a sandbox's containers, in each hierarchy. containerd makes them at the top, whatever the
 * kubelet's cgroupRoot says, unless that has a group for each class of pods. One that is left behind costs the next
 * kubelet three seconds at its start: cAdvisor waits that long for each container that is none.
 */
export async function containerGroups(sandbox: Sandbox): Promise<string[]> {
  const ids = await readdir(sandbox.path(CONTAINERS)).catch(() => []);
  const hierarchies = ["", ...(await readdir("/sys/fs/cgroup").catch(() => []))];
  return hierarchies
    .flatMap((hierarchy) => ids.map((id) => join("/sys/fs/cgroup", hierarchy, "k8s.io", id)))
    .filter((group) => existsSync(group));
}

/** Control groups are removed from the leaves up; their files go with them. */
async function removeTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  for (let tries = 0; tries < 20; tries++) {
    const done = await rmdir(directory).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code !== "EBUSY",
    );
    if (done) return;
    await sleep(50);
  }
}

/** Every process inside, as the outside numbers them. */
export async function processesOf(sandbox: Sandbox): Promise<{ pid: number; words: string[] }[]> {
  const inside = await readlink(`/proc/${sandbox.pid}/ns/pid`).catch(() => "gone");
  const found: { pid: number; words: string[] }[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const space = await readlink(`/proc/${entry}/ns/pid`).catch(() => "");
    if (space !== inside) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    found.push({ pid: Number(entry), words: commandLine.split("\0") });
  }
  return found;
}

function signal(pid: number, name: NodeJS.Signals): number {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
  return pid;
}

function sandboxAt(pid: number, stateDirectory: string): Sandbox {
  const enter = (program: string, args: readonly string[]): string[] => [
    ...["--target", String(pid), "--mount", "--net", "--uts", "--ipc", "--pid", "--wd=/", "--", program],
    ...args,
  ];
  return {
    stateDirectory,
    pid,
    run: (program, args, options) => run("nsenter", enter(program, args), options),
    must: (program, args, options) => must("nsenter", enter(program, args), options),
    path: (inside) => join(`/proc/${pid}/root`, inside),
    launch: (name, program, args, env) => {
      const log = join(stateDirectory, "logs", `${name}.log`);
      const output = openSync(log, "a");
      const child = spawn("nsenter", enter(program, args), {
        detached: true,
        stdio: ["ignore", output, output],
        cwd: "/",
        env: { ...process.env, ...env },
      });
      closeSync(output);
      let ended = false;
      child.once("exit", () => (ended = true)).once("error", () => (ended = true));
      child.unref();
      return { log, ended: () => ended };
    },
  };
}
