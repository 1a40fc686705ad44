import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PressurePolicy } from "@video-storage/contract/cleanup-config";
import { isRelieved, pressureOn } from "@video-storage/contract/pressure";
import type { Space } from "@video-storage/contract/pressure";
import { startWorld } from "./world.js";
import type { Volume, World } from "./world.js";

const POLICY: PressurePolicy = {
  bytes: { highWaterPercent: 80, lowWaterPercent: 50 },
  inodes: { highWaterPercent: 90, lowWaterPercent: 60 },
  unuploaded: "keep",
  floor: { seconds: 0, bytes: 0 },
  tenantFloors: {},
};
const space = (bytes: number, inodes: number): Space => ({
  bytes: { used: bytes, capacity: 100 },
  inodes: { used: inodes, capacity: 200 },
});

describe("pressure", () => {
  it.each([
    [79, 179, undefined],
    [80, 0, "80.0% of the bytes are in use, from 80% on room is made down to 50%"],
    [0, 180, "90.0% of the inodes are in use, from 90% on room is made down to 60%"],
    [
      100,
      200,
      "100.0% of the bytes are in use, from 80% on room is made down to 50%, " +
        "and 100.0% of the inodes are in use, from 90% on room is made down to 60%",
    ],
  ])("of %i bytes of 100 and %i inodes of 200", (bytes, inodes, expected) => {
    expect(pressureOn(space(bytes, inodes), POLICY)).toBe(expected);
  });

  it("ends when there is room of both", () => {
    expect(isRelieved(space(50, 120), POLICY)).toBe(true);
    expect(isRelieved(space(51, 120), POLICY)).toBe(false);
    expect(isRelieved(space(50, 121), POLICY)).toBe(false);
  });

  it("is none of inodes where the filesystem has no limit", () => {
    const unlimited = { ...space(10, 0), inodes: { used: 1e9, capacity: 0 } };
    expect(pressureOn(unlimited, POLICY)).toBeUndefined();
    expect(isRelieved(unlimited, POLICY)).toBe(true);
  });
});

// A filesystem of its own of a known size, which only root can mount.
describe.skipIf(process.getuid!() !== 0)("on a full volume, the sweep", () => {
  let world: World;
  const mounted: string[] = [];
  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(async () => {
    for (const root of mounted) execFileSync("umount", [root]);
    await world?.stop();
  });

  const KIBIBYTE = 1024;
  const MEBIBYTE = 1024 * KIBIBYTE;
  /** 10 MiB and 200 inodes. */
  async function fullVolume(pressure: Partial<PressurePolicy> = {}): Promise<Volume> {
    const volume = await world.newVolume();
    const { uid, gid } = fs.statSync(volume.root);
    const options = `size=10m,nr_inodes=200,uid=${uid},gid=${gid},mode=2750`;
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", volume.root]);
    mounted.push(volume.root);
    volume.configure({ pressure: { ...POLICY, ...pressure } });
    return volume;
  }
  const video = (bytes: number) => ({ "source.mp4": "v".repeat(bytes), "logs/run.log": "done\n" });
  /** As if they had been read so long ago, the first the longest. */
  async function unusedFor(volume: Volume, seconds: Record<string, number>): Promise<void> {
    for (const [job, age] of Object.entries(seconds)) {
      await volume.catalogue.admin(
        `UPDATE storage.jobs SET last_access_at = now() - make_interval(secs => $2) WHERE job_id = $1`,
        [job, age],
      );
    }
  }

  it("frees the longest unused finished jobs down to the low mark, says why, and leaves the others", async () => {
    const volume = await fullVolume();
    const files = video(2 * MEBIBYTE);
    const newer = await volume.addJob({ state: "uploaded", age: 1, files });
    const older = await volume.addJob({ state: "failed", age: 1, files });
    const completed = await volume.addJob({ state: "completed", age: 1, files });
    const active = await volume.addJob({ state: "active", files });
    await unusedFor(volume, { [completed]: 4000, [older]: 3000, [newer]: 2000 });
    const dry = await volume.run("sweep", "--dry-run");
    expect(dry.events.filter((event) => event["code"] === "failed-evicted")).toMatchObject([
      { event: "would", job: older, action: "delete" },
    ]);
    expect(volume.jobs()).toHaveLength(4);

    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    expect(volume.jobs()).toEqual([completed, active].sort());
    expect(events.at(-1)).toMatchObject({ event: "swept", deleted: 2, evicted: 2, failed: 0 });
    const audit = await volume.audit();
    expect(audit.map(({ job, phase, code: why }) => [job, phase, why])).toEqual([
      [older, "intent", "failed-evicted"],
      [older, "outcome", "failed-evicted"],
      [newer, "intent", "uploaded-evicted"],
      [newer, "outcome", "uploaded-evicted"],
    ]);
    expect(audit[0]!["reason"]).toMatch(
      /^8\d\.\d% of the bytes are in use, from 80% on room is made down to 50%; it is among the longest unused, failed for \d+s$/,
    );
  });

  it("stops as soon as there is room", async () => {
    const volume = await fullVolume({ bytes: { highWaterPercent: 80, lowWaterPercent: 70 } });
    const ids = [];
    for (let i = 0; i < 4; i++) {
      ids.push(await volume.addJob({ state: "uploaded", age: 1, files: video(2 * MEBIBYTE) }));
    }
    await unusedFor(volume, Object.fromEntries(ids.map((id, i) => [id, 1000 - i])));
    await volume.run("sweep");
    expect(volume.jobs()).toEqual(ids.slice(1).sort());
  });

  it("counts inodes too", async () => {
    const volume = await fullVolume();
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`frame-${i}.jpg`, "f"]));
    const ids = [];
    for (let i = 0; i < 3; i++) {
      ids.push(
        await volume.addJob({ state: "uploaded", age: 1, files: { ...many, "logs/run.log": "done\n" } }),
      );
    }
    const active = await volume.addJob({
      state: "active",
      files: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`frame-${i}.jpg`, "f"])),
    });
    await unusedFor(volume, Object.fromEntries(ids.map((id, i) => [id, 1000 - i])));
    const { events } = await volume.run("sweep");
    expect(volume.jobs()).toEqual([ids[2]!, active].sort());
    expect(events.at(-1)).toMatchObject({ evicted: 2, capacityInodes: 200 });
  });

  it("leaves every tenant its floor, and says when that leaves the volume too full", async () => {
    const volume = await fullVolume({
      tenantFloors: { acme: { seconds: 3600 }, globex: { bytes: 3 * MEBIBYTE } },
    });
    const files = video(2 * MEBIBYTE);
    const acme = await volume.addJob({ state: "uploaded", age: 1, files });
    const first = await volume.addJob({ state: "uploaded", age: 1, files, tenant: "globex" });
    const second = await volume.addJob({ state: "uploaded", age: 1, files, tenant: "globex" });
    const third = await volume.addJob({ state: "uploaded", age: 1, files, tenant: "globex" });
    await volume.catalogue.admin(`UPDATE storage.jobs SET bytes = $1`, [2 * MEBIBYTE]);
    await unusedFor(volume, { [acme]: 900, [first]: 800, [second]: 700, [third]: 600 });
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    expect(volume.jobs()).toEqual([acme, second, third].sort());
    expect(events).toContainEqual(
      expect.objectContaining({ event: "attention", code: "still-full", evicted: 1 }),
    );
  });

  it("touches what nobody uploaded only as the policy says, and then last", async () => {
    const volume = await fullVolume({ unuploaded: "tier" });
    const files = video(3 * MEBIBYTE);
    const completed = await volume.addJob({ state: "completed", age: 1, files });
    const uploaded = await volume.addJob({ state: "uploaded", age: 1, files });
    const active = await volume.addJob({ state: "active", files });
    await unusedFor(volume, { [completed]: 4000, [uploaded]: 10 });
    await volume.run("sweep");
    expect((await volume.audit()).map(({ job, action }) => [job, action])).toEqual([
      ...[...Array<string>(2)].map(() => [uploaded, "delete"]),
      ...[...Array<string>(2)].map(() => [completed, "tier"]),
    ]);
    expect(volume.jobs()).toEqual([active]);
  });
});
