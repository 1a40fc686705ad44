import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startWorld } from "./world.js";
import type { Volume, World } from "./world.js";

let world: World;
let volume: Volume;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.stop());
beforeEach(async () => {
  world.objects.fault = "none";
  volume = await world.newVolume();
});

describe("plan --retention", () => {
  it("names what changed times would delete, with totals, and changes nothing", async () => {
    const young = await volume.addJob({ state: "uploaded", age: 50 });
    await volume.addJob({ state: "uploaded", age: 150 });
    const failed = await volume.addJob({ state: "failed", age: 500, tenant: "globex" });
    await volume.addJob({ state: "active" });
    await volume.catalogue.admin(`UPDATE storage.jobs SET bytes = 1000`);
    const { code, events } = await volume.run("plan", "--retention", "uploaded=30s,failed=1h");
    expect(code).toBe(0);
    expect(events.slice(0, -1).sort((a) => (a["job"] === young ? -1 : 1))).toMatchObject([
      { event: "would-change", job: young, from: "keep", to: "delete", code: "uploaded-expired" },
      { event: "would-change", job: failed, from: "delete", to: "keep", code: "failed-young" },
    ]);
    expect(events.at(-1)).toMatchObject({
      event: "plan",
      jobs: 4,
      newly: {
        delete: { jobs: 1, bytes: 1000 },
        tier: { jobs: 0, bytes: 0 },
        keep: { jobs: 1, bytes: 1000 },
      },
      byTenant: { acme: { jobs: 1, bytes: 1000 } },
    });
    expect(volume.jobs()).toHaveLength(4);
    expect(await volume.audit()).toEqual([]);
  });

  it.each([
    ["uploaded=soon", 'duration "soon" is not valid'],
    ["trash=1h", 'knows no "trash"'],
    ["completedAction=shred", "none of tier, delete, keep"],
    ["nothing.json", "neither a list such as uploaded=1h,failed=2d nor a file"],
  ])("refuses %s", async (change, message) => {
    const { code, errors } = await volume.run("plan", "--retention", change);
    expect(code).toBe(2);
    expect(String(errors[0]!["reason"])).toContain(message);
  });
});

describe("object storage that is away", () => {
  it("is asked once, and what needs none of it goes on", async () => {
    world.objects.fault = "unavailable";
    const completed = [];
    for (let i = 0; i < 6; i++) completed.push(await volume.addJob({ state: "completed", age: 1000 }));
    const uploaded = await volume.addJob({ state: "uploaded", age: 1000 });
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(1);
    expect(events.filter((event) => event["code"] === "object-storage-away")).toHaveLength(1);
    expect(volume.jobs()).toEqual(completed.sort());
    expect((await volume.audit()).map(({ job }) => job)).toEqual([uploaded, uploaded]);
    world.objects.fault = "none";
    expect((await volume.run("sweep")).code).toBe(0);
    expect(volume.jobs()).toEqual([]);
  });
});

describe("a job whose files were swapped before they are copied", () => {
  it("never takes another's file along", async () => {
    const secret = `${volume.root}/../another's`;
    fs.writeFileSync(secret, "a stranger's secret");
    const seed = Number(process.env["SEED"] ?? Date.now());
    console.log(`seed ${seed}`);
    const swaps = [
      (file: string) => fs.symlinkSync(secret, file),
      (file: string) => fs.linkSync(secret, file),
      (file: string) => execFileSync("mkfifo", [file]),
      (file: string) => fs.mkdirSync(file),
      (file: string) => fs.writeFileSync(file, "x".repeat(4096)),
    ];
    const jobs = [];
    for (let i = 0; i < 20; i++) {
      const job = await volume.addJob({ state: "completed", age: 1000 });
      const file = `${volume.root}/${job}/${i % 2 === 0 ? "source.mp4" : "logs/extraction.log"}`;
      fs.unlinkSync(file);
      swaps[(i + seed) % swaps.length]!(file);
      jobs.push(job);
    }
    await volume.run("sweep");
    for (const content of world.objects.objects.values())
      expect(content.toString()).not.toContain("stranger");
    // What was swapped is either refused, or its own user's log of other content.
    expect(volume.jobs().length).toBeGreaterThan(10);
  });
});
