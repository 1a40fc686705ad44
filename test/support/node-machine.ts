import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";

import { unpackDebianPackages } from "../../local/build/debian-packages.js";
import type { DebianPrograms } from "../../local/build/debian-packages.js";
import { must, run } from "../../local/command.js";
import type { Finished } from "../../local/command.js";
import { bundledProgram } from "./bundles.js";
import type { BundledProgram } from "./bundles.js";

const PROGRAMS =
  "blkdiscard blkid cryptsetup e2label fallocate losetup mkfs.ext4 mkfs.xfs mount partx sfdisk umount wipefs xfs_db".split(
    " ",
  );

/** Why there can be no test on block devices here; undefined where there can. */
export function noLoopDevices(): string | undefined {
  if (process.getuid!() !== 0) return "loop devices need root";
  return existsSync("/dev/loop-control") ? undefined : "this kernel has no loop devices";
}

/** One program that the agent started, as it was started. */
export interface Started {
  readonly program: string;
  readonly args: readonly string[];
}

/** When the agent is killed: before or after its n-th program, counted from 1 over a machine's life. */
export interface Kill {
  readonly at: number;
  readonly when: "before" | "after";
}

/**
 * A node for one test: its own mounts, loop devices as disks, and the agent's real command on it. The programs are
 * the real ones; each is started through a script that writes down how, and can kill the agent beside it.
 *
 * Device-mapper is not in this kernel. `cryptsetup open` therefore proves the passphrase against the real header and
 * then gives the area behind the header as it is, unencrypted; everything else of cryptsetup is real.
 */
export class NodeMachine {
  readonly directory = mkdtempSync(join(tmpdir(), "video-storage-node-"));
  private readonly loops: string[] = [];
  private holder!: ChildProcess;
  private agentProgram!: BundledProgram;

  static async start(): Promise<NodeMachine> {
    const machine = new NodeMachine();
    await machine.begin();
    return machine;
  }

  private async begin(): Promise<void> {
    for (const name of ["bin", "disks", "mapper", "state", "mnt"]) mkdirSync(this.path(name));
    const debian = await unpackDebianPackages();
    for (const name of PROGRAMS) await this.wrap(name, debian);
    await this.boot();
    this.agentProgram = await bundledProgram("node-agent");
  }

  /** Where something of this node lies, as everybody names it. */
  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Begins with no mount, as a node that was switched on; what is on the disks stays. */
  async boot(): Promise<void> {
    await this.shutDown();
    this.holder = spawn("unshare", ["--mount", "--propagation", "private", "sleep", "3600"], {
      stdio: "ignore",
    });
    const space = () => run("readlink", [`/proc/${this.holder.pid}/ns/mnt`]);
    const outside = (await run("readlink", ["/proc/self/ns/mnt"])).stdout;
    for (let tries = 0; (await space()).stdout === outside; tries++) {
      if (tries > 100) throw new Error("no mount namespace of its own");
      await sleep(20);
    }
    await this.must("mount", ["-t", "tmpfs", "tmpfs", this.path("mnt")]);
  }

  /** What a power cut leaves: the disks. */
  private async shutDown(): Promise<void> {
    if (this.holder?.exitCode === null && this.holder.signalCode === null) {
      const gone = new Promise((resolve) => this.holder.once("exit", resolve));
      this.holder.kill("SIGKILL");
      await gone;
    }
    for (const name of readdirSync(this.path("mapper"))) {
      await run("losetup", ["--detach", (await must("readlink", [this.path("mapper", name)])).trim()]);
      rmSync(this.path("mapper", name));
    }
  }

  async close(): Promise<void> {
    await this.shutDown();
    for (const loop of this.loops) {
      await run("partx", ["--delete", loop]);
      await run("losetup", ["--detach", loop]);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A blank disk, by the path under which settings name it: a link, as below /dev/disk/by-id. */
  async disk(name: string, mebibytes: number): Promise<{ link: string; device: string; file: string }> {
    const file = this.path(`${name}.disk`);
    await must("truncate", ["-s", `${mebibytes}M`, file]);
    const device = (await must("losetup", ["--find", "--show", file])).trim();
    this.loops.push(device);
    const link = this.path("disks", name);
    await must("ln", ["-s", device, link]);
    return { link, device, file };
  }

  /** Runs something on the node, by its own mounts. */
  run(program: string, args: readonly string[], input?: string): Promise<Finished> {
    return run("nsenter", this.entering(program, args), input === undefined ? {} : { input });
  }

  must(program: string, args: readonly string[]): Promise<string> {
    return must("nsenter", this.entering(program, args));
  }

  private entering(program: string, args: readonly string[]): string[] {
    return ["--target", String(this.holder.pid), "--mount", "--", program, ...args];
  }

  /** A path of the node's, as this process reaches it. */
  outside(path: string): string {
    return join(`/proc/${this.holder.pid}/root`, path);
  }

  /** Runs the agent's command to its end, however that comes. */
  async agent(
    command: readonly string[],
    config: unknown,
    kill?: Kill,
  ): Promise<{ code: number | null; events: Record<string, unknown>[]; stderr: string }> {
    const child = this.startAgent(command, config, kill);
    const ended = await child.ended;
    return { code: ended, events: child.events, stderr: child.stderr() };
  }

  /** Starts the agent's command and lets it run. */
  startAgent(command: readonly string[], config: unknown, kill?: Kill) {
    writeFileSync(this.path("config.json"), JSON.stringify(config));
    writeFileSync(this.path("kill"), kill ? `${kill.when} ${this.started().length + kill.at}\n` : "never\n");
    const options = [
      ...["--config", this.path("config.json"), "--json", "--node", "node-0"],
      ...["--state-directory", this.path("state"), "--work-directory", this.path("mnt/work")],
      ...["--mapper-directory", this.path("mapper")],
    ];
    const args = this.entering(process.execPath, [this.agentProgram.file, ...command, ...options]);
    const child = spawn("nsenter", args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: `${this.path("bin")}:${process.env["PATH"]}`,
        NODE_COMPILE_CACHE: this.agentProgram.compiled,
      },
    });
    const events: Record<string, unknown>[] = [];
    let rest = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop()!;
      events.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    return { child, events, ended, stderr: () => stderr };
  }

  /** Every program that agents started on this node so far. */
  started(): Started[] {
    if (!existsSync(this.path("started"))) return [];
    const lines = readFileSync(this.path("started"), "utf8").split("\n").slice(0, -1);
    return lines.map((line) => {
      const [program, ...args] = line.split("\u001f").slice(0, -1);
      return { program: program!, args };
    });
  }

  private async wrap(name: string, debian: DebianPrograms): Promise<void> {
    const real = await debian.find(name);
    const file = this.path("bin", name);
    const call = name === "cryptsetup" ? CRYPTSETUP : '"$real" "$@"';
    appendFileSync(
      file,
      `#!/bin/sh
node='${this.directory}' real='${real}'
export LD_LIBRARY_PATH='${debian.libraries}'
{ printf '%s\\037' '${name}' "$@"; echo; } >> "$node/started"
read -r kill < "$node/kill"
[ "$kill" = never ] || number=$(wc -l < "$node/started")
[ "$kill" != "before $number" ] || { kill -9 $PPID; exit 1; }
${call}
code=$?
[ "$kill" != "after $number" ] || kill -9 $PPID
exit $code
`,
    );
    chmodSync(file, 0o755);
  }
}

const CRYPTSETUP = `case "$1" in
open)
  shift; for name; do :; done
  device=$(eval "printf %s \\"\\$$(($# - 1))\\"")
  "$real" open --test-passphrase --type luks2 --key-file - "$device" && {
    loop=$(losetup --find --show --offset 16777216 "$device") && ln -s "$loop" "$node/mapper/$name"
  } ;;
close) losetup --detach "$(readlink "$node/mapper/$2")" && rm "$node/mapper/$2" ;;
*) "$real" "$@" ;;
esac`;

/** Settings for slots of 32 MiB on this node; the rest as given. */
export function slotSettings(
  machine: NodeMachine,
  changes: Partial<NodeAgentConfig> & { slots?: number; filesystem?: "ext4" | "xfs" } = {},
): NodeAgentConfig {
  const { slots = 2, filesystem = "ext4", ...rest } = changes;
  return {
    version: 1,
    environment: "test",
    medium: { kind: "loop-files", directory: machine.path("files"), preallocate: false },
    layout: {
      kind: "slots",
      filesystem,
      inodes: filesystem === "ext4" ? 1024 : null,
      nodes: {
        "node-0": {
          directory: machine.path("mnt/video-jobs"),
          slots: Array.from({ length: slots }, (_, index) => ({
            name: `slot-${index}`,
            bytes: 32 * 2 ** 20,
            user: 21_000 + index,
            group: 20_000,
            mode: "2750",
          })),
        },
      },
    },
    encryption: { kind: "none" },
    volumes: { storageClass: "local-ssd", owner: "declared", pool: null, wipeDelaySeconds: 0 },
    vanishedNodes: { graceSeconds: 600, claims: "keep" },
    ...rest,
  };
}
