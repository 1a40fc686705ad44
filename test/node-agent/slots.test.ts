import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { run } from "../../local/command.js";
import { NodeMachine, noLoopDevices, slotSettings } from "../support/node-machine.js";

// Each step is a process or several, and the machine may be busy.
vi.setConfig({ testTimeout: 120_000 });

const SECRET = "PREVIOUS-TENANTS-VIDEO";
const reason = noLoopDevices();

describe.skipIf(reason !== undefined)(`slots on real block devices${reason ? ` (${reason})` : ""}`, () => {
  let node: NodeMachine;
  beforeEach(async () => {
    node = await NodeMachine.start();
  }, 300_000);
  afterEach(() => node.close());

  const slot = (name: string, ...parts: string[]) =>
    node.outside(node.path("mnt/video-jobs", name, ...parts));
  const blkid = async (device: string) =>
    (await run("blkid", ["--probe", "--output", "export", device])).stdout
      .split("\n")
      .filter((line) => /^(LABEL|TYPE|SUBSYSTEM|PTTYPE)=/.test(line))
      .sort();
  const mountOf = async (name: string) => {
    const { stdout } = await node.run("findmnt", [
      "-n",
      "-o",
      "FSTYPE,OPTIONS",
      node.path("mnt/video-jobs", name),
    ]);
    return stdout.trim();
  };
  const keep = (name: string, text: string) => writeFileSync(slot(name, "kept"), text);
  const kept = (name: string) => readFileSync(slot(name, "kept"), "utf8");

  describe("in files", () => {
    it("are made, mounted so that nothing runs on them, owned by their user, and of a size that is hard", async () => {
      const { code, events } = await node.agent(["prepare"], slotSettings(node));
      expect({ code, events: events.map(({ event, slot: of }) => `${event} ${of}`) }).toEqual({
        code: 0,
        events: ["made slot-0", "made slot-1"],
      });
      expect(readdirSync(node.outside(node.path("mnt/video-jobs")))).toEqual(["slot-0", "slot-1"]);
      const { uid, gid, mode } = statSync(slot("slot-1"));
      expect({ uid, gid, mode: mode.toString(8) }).toEqual({ uid: 21_001, gid: 20_000, mode: "42750" });
      expect(readdirSync(slot("slot-0"))).toEqual([]);
      expect(await mountOf("slot-0")).toMatch(/^ext4 +rw,nosuid,nodev,noexec,noatime/);
      const filled = await node.run("dd", [
        "if=/dev/zero",
        `of=${node.path("mnt/video-jobs/slot-0/big")}`,
        "bs=1M",
      ]);
      expect(filled.stderr).toContain("No space left on device");
      expect(statSync(slot("slot-0", "big")).size).toBeLessThan(32 * 2 ** 20);
      expect(statSync(slot("slot-0", "big")).size).toBeGreaterThan(24 * 2 ** 20);
      writeFileSync(slot("slot-1", "neighbour"), Buffer.alloc(2 ** 20));
      expect(statSync(slot("slot-1", "neighbour")).size).toBe(2 ** 20);
    });

    it("hold as many files as they were told and no more", async () => {
      await node.agent(["prepare"], slotSettings(node, { slots: 1 }));
      let made = 0;
      const fill = () => {
        for (; ; made++) writeFileSync(slot("slot-0", `file-${made}`), "");
      };
      expect(fill).toThrow("ENOSPC");
      // ext4 keeps eleven for itself, the root directory's among them; lost+found gave its own back.
      expect(made).toBe(1024 - 10);
    });

    it("come back after a reboot with what was on them, by the same settings and nothing made", async () => {
      await node.agent(["prepare"], slotSettings(node));
      keep("slot-0", "job");
      await node.boot();
      const { code, events } = await node.agent(["prepare"], slotSettings(node));
      expect({ code, did: events.map(({ event }) => event) }).toEqual({
        code: 0,
        did: ["mounted", "mounted"],
      });
      expect(kept("slot-0")).toBe("job");
      const again = await node.agent(["prepare"], slotSettings(node));
      expect({ code: again.code, events: again.events }).toEqual({ code: 0, events: [] });
    });

    it("have no place where a pod could write before they are mounted", async () => {
      await node.agent(["prepare"], slotSettings(node));
      await node.boot();
      await node.must("mkdir", ["-p", node.path("mnt/video-jobs")]);
      expect(readdirSync(node.outside(node.path("mnt/video-jobs")))).toEqual([]);
    });

    it("leave no loop device behind when nothing is mounted any more", async () => {
      await node.agent(["prepare"], slotSettings(node));
      const attached = async () =>
        (await run("losetup", ["-n", "-l", "-O", "BACK-FILE"])).stdout.includes(node.directory);
      expect(await attached()).toBe(true);
      await node.boot();
      expect(await attached()).toBe(false);
    });

    it("are refused where somebody else's filesystem lies in the file, which stays as it is", async () => {
      await node.agent(["prepare"], slotSettings(node));
      await node.boot();
      await run("mkfs.ext4", ["-q", "-F", "-L", "somebody", node.path("files/slot-0.img")]);
      const before = readFileSync(node.path("files/slot-0.img"));
      const { code, events } = await node.agent(["prepare"], slotSettings(node));
      expect(code).toBe(1);
      expect(events.map(({ event, of, slot: name }) => [event, of ?? name])).toEqual([
        ["mounted", "slot-1"],
        ["refused", "slot-0"],
      ]);
      expect(events[1]!["reason"]).toMatch(
        /^\/dev\/loop\d+ holds what the agent did not write: ext4 labelled somebody;/,
      );
      expect(readFileSync(node.path("files/slot-0.img")).equals(before)).toBe(true);
    });

    it("keep their size, whatever the settings say later", async () => {
      const settings = slotSettings(node, { slots: 1 });
      await node.agent(["prepare"], settings);
      const other = structuredClone(settings);
      if (other.layout.kind === "slots") other.layout.nodes["node-0"]!.slots[0]!.bytes = 64 * 2 ** 20;
      const { code, events } = await node.agent(["prepare"], other);
      expect(code).toBe(1);
      expect(events.at(-1)!["reason"]).toBe(
        `${node.path("files/slot-0.img")} has 33554432 bytes and should have 67108864: a slot's size is not changed`,
      );
    });

    it("take their blocks at once where they are told to, and keep them through a wipe of what was there", async () => {
      const medium = { kind: "loop-files" as const, directory: node.path("files"), preallocate: true };
      await node.agent(["prepare"], slotSettings(node, { medium, slots: 1 }));
      expect(statSync(node.path("files/slot-0.img")).blocks * 512).toBeGreaterThanOrEqual(32 * 2 ** 20);
    });

    it("are not made over a directory that holds something", async () => {
      await node.must("mkdir", ["-p", node.path("mnt/video-jobs/somebodys")]);
      const { code, stderr } = await node.agent(["prepare"], slotSettings(node));
      expect(code).toBe(1);
      expect(stderr).toContain("is where the slots are mounted and holds somebodys");
    });
  });

  describe("on disks", () => {
    const onDisks = (...patterns: string[]) => ({ medium: { kind: "devices" as const, patterns } });

    it("are partitions of a blank disk, as many as fit, then of the next", async () => {
      const [first, second] = [await node.disk("a", 100), await node.disk("b", 50)];
      const settings = slotSettings(node, { ...onDisks(first.device, second.device), slots: 4 });
      const { code, events } = await node.agent(["prepare"], settings);
      expect(events.map(({ event, slot: of, reason: why }) => `${event} ${of ?? why}`)).toEqual([
        "made slot-0",
        "made slot-1",
        "made slot-2",
        "made slot-3",
      ]);
      expect(code).toBe(0);
      expect(await blkid(first.device)).toEqual(["PTTYPE=gpt"]);
      expect(await blkid(`${first.device}p3`)).toEqual(["LABEL=video-ready", "TYPE=ext4"]);
      expect(await blkid(`${second.device}p1`)).toEqual(["LABEL=video-ready", "TYPE=ext4"]);
    });

    it("come back after a reboot, and more of them move none", async () => {
      const disk = await node.disk("a", 140);
      await node.agent(["prepare"], slotSettings(node, onDisks(disk.device)));
      keep("slot-1", "job");
      // While the others are mounted.
      const grown = await node.agent(["prepare"], slotSettings(node, { ...onDisks(disk.device), slots: 3 }));
      expect(grown.events.map(({ event, slot: of }) => `${event} ${of}`)).toEqual(["made slot-2"]);
      expect(kept("slot-1")).toBe("job");
      await node.boot();
      await run("partx", ["--delete", disk.device]);
      const { code, events } = await node.agent(
        ["prepare"],
        slotSettings(node, { ...onDisks(disk.device), slots: 3 }),
      );
      expect({ code, did: events.map(({ event }) => event) }).toEqual({
        code: 0,
        did: ["mounted", "mounted", "mounted"],
      });
      expect(kept("slot-1")).toBe("job");
    });

    it("say which slots no disk has room for, and make the others", async () => {
      const disk = await node.disk("a", 50);
      const { code, events } = await node.agent(["prepare"], slotSettings(node, onDisks(disk.device)));
      expect(code).toBe(1);
      expect(events.map(({ event, of, slot: name, reason: why }) => [event, of ?? name, why])).toEqual([
        ["made", "slot-0", undefined],
        ["refused", "slot-1", "no disk has room for it"],
      ]);
    });

    it.each([
      [
        "a filesystem",
        (device: string) => ["mkfs.ext4", "-q", "-F", device],
        /signatures that the agent did not write: ext4/,
      ],
      ["swap", (device: string) => ["mkswap", device], /signatures that the agent did not write: swap/],
      [
        "somebody's partitions",
        (device: string) => ["sh", "-c", `echo 'label: gpt\n,16M' | "$SFDISK" --quiet ${device}`],
        /has partition .* of type 0fc63daf-8483-4772-8e79-3d69d8477de4, which the agent did not make/,
      ],
      [
        "an empty partition table",
        (device: string) => ["sh", "-c", `echo 'label: gpt' | "$SFDISK" --quiet ${device}`],
        /signatures that the agent did not write: gpt, PMBR/,
      ],
      [
        "data without a signature",
        (device: string) => ["sh", "-c", `echo raw | dd of=${device} conv=notrunc bs=1 seek=4096`],
        /has no known signature, but data where one would be/,
      ],
    ])("are refused on a disk with %s, of which not a byte changes", async (_, write, expected) => {
      const disk = await node.disk("a", 100);
      const [program, ...args] = write(disk.device);
      const env = { ...process.env, SFDISK: node.path("bin/sfdisk") };
      writeFileSync(node.path("kill"), "never");
      const written = await run(program!, args, { env });
      expect(written.code, written.stderr).toBe(0);
      await run("sync", [disk.device]);
      const before = readFileSync(disk.file);
      const { code, events } = await node.agent(["prepare"], slotSettings(node, onDisks(disk.device)));
      expect(code).toBe(1);
      expect(events[0]).toMatchObject({ event: "refused", level: "error", of: disk.device });
      expect(events[0]!["reason"]).toMatch(expected);
      expect(readFileSync(disk.file).equals(before)).toBe(true);
    });

    it("are refused on a disk that is in use though it has no signature", async () => {
      const disk = await node.disk("a", 100);
      const handle = await (await import("node:fs/promises")).open(disk.device, 0o200);
      const { code, events } = await node.agent(["prepare"], slotSettings(node, onDisks(disk.device)));
      await handle.close();
      expect(code).toBe(1);
      expect(events[0]!["reason"]).toBe(
        `${disk.device} is in use: mounted, mapped, part of an array, or swap`,
      );
    });

    it("are refused where a partition of ours was given another filesystem", async () => {
      const disk = await node.disk("a", 100);
      await node.agent(["prepare"], slotSettings(node, onDisks(disk.device)));
      await node.boot();
      await run("mkfs.ext4", ["-q", "-F", "-L", "somebody", `${disk.device}p2`]);
      const { code, events } = await node.agent(["prepare"], slotSettings(node, onDisks(disk.device)));
      expect(code).toBe(1);
      expect(events.map(({ event, slot: name, of }) => [event, name ?? of])).toEqual([
        ["mounted", "slot-0"],
        ["refused", "slot-1"],
      ]);
      expect(await blkid(`${disk.device}p2`)).toEqual(["LABEL=somebody", "TYPE=ext4"]);
    });

    it("can be xfs", async () => {
      const disk = await node.disk("a", 320);
      const settings = slotSettings(node, { ...onDisks(disk.device), slots: 1, filesystem: "xfs" });
      if (settings.layout.kind === "slots") settings.layout.nodes["node-0"]!.slots[0]!.bytes = 300 * 2 ** 20;
      const { code, events } = await node.agent(["prepare"], settings);
      expect({ code, did: events.map(({ event, reason: why }) => [event, why]) }).toEqual({
        code: 0,
        did: [["made", undefined]],
      });
      expect(await mountOf("slot-0")).toMatch(/^xfs +rw,nosuid,nodev,noexec,noatime/);
    });
  });

  it("leave nothing to be read of what lay on the place before", async () => {
    const disk = await node.disk("a", 100);
    const medium = { kind: "devices" as const, patterns: [disk.device] };
    await node.agent(["prepare"], slotSettings(node, { medium }));
    writeFileSync(slot("slot-0", "video"), SECRET.repeat(100_000));
    await node.must("sync", ["--file-system", slot("slot-0")]);
    await node.boot();
    expect(readFileSync(disk.file).includes(SECRET)).toBe(true);
    // Interrupted before, as its label says.
    await run("e2label", [`${disk.device}p1`, "video-wiping"]);
    const { events } = await node.agent(["prepare"], slotSettings(node, { medium }));
    expect(events.map(({ event, slot: of }) => `${event} ${of}`)).toEqual(["made slot-0", "mounted slot-1"]);
    expect(readdirSync(slot("slot-0"))).toEqual([]);
    expect(readFileSync(disk.file).includes(SECRET)).toBe(false);
  });

  it("are one agent's at a time", async () => {
    const first = node.startAgent(["prepare"], slotSettings(node, { slots: 16 }));
    while (node.started().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await node.agent(["prepare"], slotSettings(node, { slots: 16 }));
    expect(second.code).toBe(4);
    expect(second.stderr).toContain("another agent holds");
    expect(await first.ended).toBe(0);
  });
});
