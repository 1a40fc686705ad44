import { execFileSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobId } from "@video-storage/contract/identity";
import { startWorld } from "./world.js";
import type { Volume, World } from "./world.js";

let world: World;
let volume: Volume;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  volume = await world.newVolume();
  return () => volume.catalogue.close();
});

function frames(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`frame-${i}.jpg`, ""]));
}

async function outcomes(): Promise<Record<string, unknown>[]> {
  return volume.catalogue.admin(
    `SELECT job_id AS job, files::int, details->>'counted' AS counted, (details->>'resumed')::boolean AS resumed
     FROM storage.audit WHERE phase = 'outcome' ORDER BY sequence`,
  );
}

function event(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve) => {
    child.stdout!.on("data", (data) => String(data).includes(`"${name}"`) && resolve());
    child.once("exit", () => resolve());
  });
}

describe("a catalogue that goes away in the middle", () => {
  it("ends the sweep with 3; what is gone has its intent, and the next sweep the outcomes", async () => {
    const due: JobId[] = [];
    for (let i = 0; i < 12; i++) {
      due.push(await volume.addJob({ state: "uploaded", age: 1000, files: frames(200) }));
    }
    const live = await volume.addJob({ state: "active" });
    const { child, finished } = volume.start("sweep");
    await event(child, "deleted");
    await world.postgres.interrupt();
    const { code } = await finished.finally(() => world.postgres.resume());
    expect(code).toBe(3);
    const intended = new Set(
      (await volume.audit()).filter((row) => row["phase"] === "intent").map(({ job }) => job),
    );
    const here = volume.jobs();
    expect(due.filter((job) => !here.includes(job) && !intended.has(job))).toEqual([]);
    expect(here).toContain(live);
    expect(intended.size).toBeLessThan(12);

    expect((await volume.run("sweep")).code).toBe(0);
    expect(volume.jobs()).toEqual([live]);
    expect(volume.trash()).toEqual([]);
    expect((await outcomes()).map(({ job }) => job).sort()).toEqual([...due].sort());
  });
});

describe("a sweep that is stopped at once, in the middle of a job", () => {
  it("leaves it to the next, and the audit's one outcome counts what both removed", async () => {
    const logs = Array.from({ length: 20_000 }, (_, i) => [`logs/${i}.log`, ""]);
    const job = await volume.addJob({ state: "uploaded", age: 1000, files: Object.fromEntries(logs) });
    const { child, finished } = volume.start("sweep");
    const inTrash = `${volume.root}/.trash/${job}`;
    while (!fs.existsSync(inTrash) && child.exitCode === null) await new Promise((r) => setTimeout(r, 1));
    child.kill("SIGTERM");
    child.kill("SIGINT"); // a second signal says that there is no time to finish it
    const { code, events } = await finished;
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({ event: "swept", result: "interrupted", deleted: 0, failed: 0 });
    const left = fs.readdirSync(inTrash, { recursive: true }).length;
    expect(left).toBeGreaterThan(0);
    expect(await outcomes()).toEqual([]);

    expect((await volume.run("sweep")).code).toBe(0);
    expect(volume.trash()).toEqual([]);
    expect(await outcomes()).toEqual([{ job, files: 20_001, counted: "exactly", resumed: true }]);
    expect(await volume.catalogue.admin(`SELECT 1 FROM storage.deletion_progress`)).toEqual([]);
  });
});

describe.runIf(process.getuid!() === 0)("what the sweep's user may not remove", () => {
  it.each(["i", "a"])(
    "(attribute %s) is reported and keeps no other; without it the next sweep finishes",
    async (attribute) => {
      const stuck = await volume.addJob({
        state: "uploaded",
        age: 1000,
        files: { "source.mp4": "v", "b.mp4": "w" },
      });
      const fine = await volume.addJob({ state: "failed", age: 1000 });
      try {
        execFileSync("chattr", [`+${attribute}`, `${volume.root}/${stuck}/source.mp4`]);
        const { code, events } = await volume.run("sweep");
        expect(code).toBe(1);
        expect(events.at(-1)).toMatchObject({ result: "partial", deleted: 1, failed: 1 });
        expect(events.find((e) => e["event"] === "failed")).toMatchObject({
          ...{
            job: stuck,
            files: 2,
            remaining: [{ name: "source.mp4", reason: "EPERM" }],
          },
        });
        expect((await outcomes()).map(({ job }) => job)).toEqual([fine]);
      } finally {
        const path = [`${volume.root}/.trash/${stuck}`, `${volume.root}/${stuck}`].find((p) =>
          fs.existsSync(p),
        );
        execFileSync("chattr", [`-${attribute}`, `${path}/source.mp4`]);
      }
      expect((await volume.run("sweep")).code).toBe(0);
      expect(volume.trash()).toEqual([]);
      expect((await outcomes()).find(({ job }) => job === stuck)).toMatchObject({
        files: 3,
        counted: "exactly",
      });
    },
  );

  it("(a directory of another user's) is reported and keeps no other", async () => {
    const stuck = await volume.addJob({ state: "uploaded", age: 1000 });
    const fine = await volume.addJob({ state: "failed", age: 1000 });
    fs.chownSync(`${volume.root}/${stuck}`, 0, 0);
    fs.chmodSync(`${volume.root}/${stuck}`, 0o700);
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(1);
    expect(events.at(-1)).toMatchObject({ deleted: 1, failed: 1 });
    expect(volume.jobs()).toEqual([stuck]);
    expect((await outcomes()).map(({ job }) => job)).toEqual([fine]);
  });
});
