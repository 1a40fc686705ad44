import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobId } from "@video-storage/contract/identity";
import { random as randomFrom } from "../support/random.js";
import { rounds, seed } from "../support/rounds.js";
import { startWorld } from "./world.js";
import type { JobSpecification, Volume, World } from "./world.js";

const RUNS = rounds("KILL_RUNS", 60);
const SEED = seed("KILL_SEED");

let world: World;
let volume: Volume;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  volume = await world.newVolume();
});
afterEach(() => volume.catalogue.close());

function frames(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`frame-${i}.jpg`, `${i}`]));
}
const COPIED = 25;

async function addJobs(specification: JobSpecification, count: number): Promise<JobId[]> {
  const files = frames(specification.state === "completed" ? COPIED : 600);
  const ids: JobId[] = [];
  for (let i = 0; i < count; i++) ids.push(await volume.addJob({ files, ...specification }));
  return ids;
}

/** What must hold when the last sweep has ended, however many were killed before. */
async function expectExactlyOnce(deleted: JobId[], tiered: JobId[], live: JobId[]): Promise<void> {
  expect(volume.jobs()).toEqual([...live].sort());
  expect(volume.trash()).toEqual([]);
  const rows = (await volume.audit()).map(({ job, action, phase }) => `${job} ${action} ${phase}`);
  const expected = [...deleted.map((job) => `${job} delete`), ...tiered.map((job) => `${job} tier`)];
  expect(rows.sort()).toEqual(expected.flatMap((row) => [`${row} intent`, `${row} outcome`]).sort());
  for (const job of tiered) {
    const keys = [...world.objects.objects.keys()].filter((key) => key.includes(job));
    expect(keys).toHaveLength(COPIED + 1);
  }
  const verified = await volume.run("audit", "verify");
  expect(verified).toMatchObject({ code: 0, events: [{ intact: true, entries: 2 * expected.length }] });
}

/** Kills where something is going on: while a tree goes, while a file is copied, or at any time. */
async function killSomewhere(child: ChildProcess, random: () => number, start: number): Promise<void> {
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition() && child.exitCode === null) await sleep(1);
  };
  const where = random();
  const copies = world.objects.objects.size + 1 + Math.floor(random() * 2 * COPIED);
  if (where < 0.4) {
    const jobs = volume.jobs().length - Math.floor(random() * 3);
    await until(() => volume.jobs().length < jobs);
    await sleep(random() * 40);
  } else if (where < 0.6) await until(() => world.objects.objects.size >= copies);
  else await sleep((0.7 + 1.3 * random()) * start);
  child.kill("SIGKILL");
}

describe("a sweep that is killed", () => {
  it(
    `is finished by the next, once, in ${RUNS} runs`,
    async () => {
      console.log(`KILL_SEED=${SEED} KILL_RUNS=${RUNS}`);
      const random = randomFrom(SEED);
      let kills = 0;
      let resumed = 0;
      let withOpenIntent = 0;
      // Which sweeps are killed is chance: few runs may have none.
      for (let run = 0; run < RUNS || (kills === 0 && run < RUNS + 20); run++) {
        if (run > 0) {
          await volume.catalogue.close();
          volume = await world.newVolume();
        }
        const beforeWork = performance.now();
        expect((await volume.run("sweep")).code).toBe(0);
        const start = performance.now() - beforeWork;
        const deleted = await addJobs({ state: "uploaded", age: 1000 }, 3);
        const tiered = await addJobs({ state: "completed", age: 1000 }, 2);
        const live = await addJobs({ state: "active" }, 2);
        for (;;) {
          const { child, finished } = volume.start("sweep");
          const killer = random() < 0.8 ? killSomewhere(child, random, start) : undefined;
          const { code } = await finished;
          await killer;
          if (code === 0) break;
          expect(code).toBeNull(); // killed, and not failed
          kills++;
          const rows = await volume.audit();
          const open = rows.filter(({ phase }) => phase === "intent").length * 2 - rows.length;
          withOpenIntent += Number(open > 0);
        }
        resumed += (await volume.audit()).filter((row) => row["resumed"]).length;
        await expectExactlyOnce(deleted, tiered, live);
      }
      console.log(JSON.stringify({ runs: RUNS, kills, withOpenIntent, resumed }));
      expect(kills).toBeGreaterThan(0);
    },
    60_000 + RUNS * 20_000,
  );
});

describe("two sweeps of one volume", () => {
  it("never run at once, and between them do everything once", async () => {
    const deleted = await addJobs({ state: "uploaded", age: 1000 }, 6);
    const live = await addJobs({ state: "active" }, 2);
    const runs = await Promise.all([1, 2, 3].map(() => volume.run("sweep")));
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    const ends = runs.map(({ events }) => events.at(-1)!);
    expect(ends.filter(({ event }) => event === "skipped").length).toBeGreaterThan(0);
    expect(ends.reduce((sum, { deleted: count }) => sum + Number(count ?? 0), 0)).toBe(6);
    await expectExactlyOnce(deleted, [], live);
  });
});

describe("SIGTERM", () => {
  it("finishes the job in hand, begins none, and exits with 0", async () => {
    const deleted = await addJobs({ state: "uploaded", age: 1000 }, 12);
    const { child, finished } = volume.start("sweep");
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (data) => String(data).includes('"deleted"') && resolve());
    });
    child.kill("SIGTERM");
    const { code, events } = await finished;
    expect(code).toBe(0);
    const last = events.at(-1)!;
    expect(last).toMatchObject({ event: "swept", result: "interrupted", failed: 0 });
    expect(Number(last["deleted"])).toBeLessThan(12);
    expect(volume.trash()).toEqual([]);
    expect(volume.jobs()).toHaveLength(12 - Number(last["deleted"]));
    expect(await volume.audit()).toHaveLength(2 * Number(last["deleted"]));
    expect((await volume.run("sweep")).code).toBe(0);
    await expectExactlyOnce(deleted, [], []);
  });
});
