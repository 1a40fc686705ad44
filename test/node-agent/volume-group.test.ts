import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { systemRunner } from "@video-storage/node-agent/runner";
import type { CommandRunner, Program } from "@video-storage/node-agent/runner";
import { prepareVolumeGroup } from "@video-storage/node-agent/volume-group";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { must, run } from "../../local/command.js";
import { noLoopDevices } from "../support/node-machine.js";

const reason = noLoopDevices();

/** Real probing of real disks; LVM and cryptsetup, which need device-mapper, are written down and play along. */
describe.skipIf(reason !== undefined)(`a volume group${reason ? ` (${reason})` : ""}`, () => {
  let directory: string;
  let disks: string[];
  let commands: string[];
  let members: Set<string>;
  let inputs: (string | Buffer | undefined)[];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "volume-group-"));
    mkdirSync(join(directory, "mapper"));
    disks = [];
    for (const name of ["a", "b"]) {
      await must("truncate", ["-s", "32M", join(directory, name)]);
      disks.push((await must("losetup", ["--find", "--show", join(directory, name)])).trim());
    }
    commands = [];
    inputs = [];
    members = new Set();
  });
  afterEach(async () => {
    for (const disk of disks) await run("losetup", ["--detach", disk]);
    rmSync(directory, { recursive: true });
  });

  const real = systemRunner();
  const recorded: Program[] = ["vgcreate", "vgextend", "vgchange", "cryptsetup"];
  const runner: CommandRunner = {
    async run(program, args, options) {
      if (program === "pvs") {
        const pv = members.has(args.at(-1)!) ? [{ vg_name: "ssd", vg_tags: "video-storage" }] : [];
        return { code: 0, stdout: Buffer.from(JSON.stringify({ report: [{ pv }] })) };
      }
      if (!recorded.includes(program)) return real.run(program, args, options);
      commands.push([program, ...args].join(" "));
      inputs.push(options?.input);
      if (program.startsWith("vg") && program !== "vgchange") members.add(args.at(-1)!);
      return { code: 0, stdout: Buffer.alloc(0) };
    },
  };
  const prepare = (
    encryption: Parameters<typeof prepareVolumeGroup>[3],
    masters: Buffer[] = [],
    matching = disks,
  ) =>
    prepareVolumeGroup(
      { runner, mapperDirectory: join(directory, "mapper") },
      matching,
      "ssd",
      encryption,
      masters,
    );

  it("is made of the first blank disk and extended by the next, with the agent's tag", async () => {
    const { disks: found, problems } = await prepare({ kind: "none" });
    expect({ found, problems: [...problems] }).toEqual({ found: disks, problems: [] });
    expect(commands).toEqual([
      `vgcreate --yes --addtag video-storage ssd ${disks[0]}`,
      `vgextend --yes ssd ${disks[1]}`,
      "vgchange --activate y ssd",
    ]);
  });

  it("takes no disk that holds something, and says so", async () => {
    await must("mkfs.ext4", ["-q", disks[0]!]);
    const { disks: found, problems } = await prepare({ kind: "none" });
    expect(found).toEqual([disks[1]]);
    expect([...problems]).toEqual([
      [disks[0], `${disks[0]} has signatures that the agent did not write: ext4`],
    ]);
  });

  it("lies on encrypted disks where the medium doesn't encrypt; the key goes by standard input alone", async () => {
    const master = Buffer.alloc(64, 9);
    await prepare({ kind: "luks", key: { kind: "files", files: ["/key"] } }, [master], disks.slice(0, 1));
    const mapping = `video-storage-ssd-${disks[0]!.split("/").at(-1)}`;
    const shown = commands.map((command) => command.replace(/--uuid [0-9a-f-]{36}/, "--uuid UUID"));
    expect(shown).toEqual([
      `cryptsetup luksFormat --batch-mode --type luks2 --uuid UUID --label video-making --subsystem video-storage ` +
        `--cipher aes-xts-plain64 --key-size 512 --sector-size 4096 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - ${disks[0]}`,
      `cryptsetup open --type luks2 --key-file - ${disks[0]} ${mapping}`,
      `cryptsetup config ${disks[0]} --label video-ready --subsystem video-storage`,
      `vgcreate --yes --addtag video-storage ssd ${join(directory, "mapper", mapping)}`,
      "vgchange --activate y ssd",
    ]);
    expect(inputs[0]).toHaveLength(64);
    expect(inputs[1]).toEqual(inputs[0]);
    expect(inputs.slice(2)).toEqual([undefined, undefined, undefined]);
    expect(commands.join(" ")).not.toContain(Buffer.from(inputs[0] as Buffer).toString("hex"));
  });
});
