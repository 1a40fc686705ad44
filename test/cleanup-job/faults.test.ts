import * as fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JobId } from "@video-storage/contract/identity";
import { lockShared } from "@video-storage/worker/directory-lock";
import { random as randomFrom } from "../support/random.js";
import { cases, rounds, seed } from "../support/rounds.js";
import { faultPoints } from "./faults/plugin.js";
import { startWorld } from "./world.js";
import type { Volume, World } from "./world.js";

/** Sweeps that are killed. In two volumes side by side. */
const KILLS = rounds("FAULT_KILLS", 500);
const SEED = seed("FAULT_SEED");
const LANES = 2;

let world: World;

beforeAll(async () => {
  world = await startWorld({ plugins: [faultPoints] });
  world.pods.answers.set("alive", { phase: "Running" });
});
afterAll(() => world.stop());

interface Due {
  readonly jobId: JobId;
  readonly action: "delete" | "tier";
  /** Names in it that are no directories. */
  readonly files: number;
}

/** All names below a directory, whatever their kind; undefined when it isn't there. */
function namesBelow(path: string): string[] | undefined {
  try {
    return (fs.readdirSync(path, { recursive: true }) as string[]).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

class Lane {
  private readonly live = new Map<JobId, string[]>();
  private readonly due = new Map<JobId, Due & { readonly names: string[] }>();
  private readonly leases: number[] = [];
  kills = 0;
  readonly volume: Volume;

  constructor(volume: Volume) {
    this.volume = volume;
  }

  /** Jobs that only their heartbeat, only a held lock, or only their living pod keeps. */
  async addLive(): Promise<void> {
    const { volume } = this;
    const locked = await volume.addJob({ state: "active", heartbeatAge: 1e6 });
    const lease = fs.openSync(`${volume.root}/${locked}`, "r");
    lockShared(lease);
    this.leases.push(lease);
    const ids = [
      locked,
      await volume.addJob({ state: "active" }),
      await volume.addJob({ state: "active", heartbeatAge: 1e6, pod: "alive" }),
    ];
    for (const id of ids) this.live.set(id, namesBelow(`${volume.root}/${id}`)!);
  }

  async addDue(action: Due["action"]): Promise<void> {
    const { volume } = this;
    const files = { "source.mp4": "v".repeat(4096), "logs/a.log": "a", "second.mp4": "w" };
    const jobId = await volume.addJob({
      ...{ state: action === "tier" ? "completed" : "uploaded", age: 1000, files },
    });
    if (action === "delete") this.addHostile(`${volume.root}/${jobId}`);
    const names = namesBelow(`${volume.root}/${jobId}`)!;
    const isFile = (name: string): boolean => !fs.lstatSync(`${volume.root}/${jobId}/${name}`).isDirectory();
    this.due.set(jobId, { jobId, action, names, files: names.filter(isFile).length });
    if (action === "delete") fs.chmodSync(`${volume.root}/${jobId}/a/b`, 0);
  }

  private addHostile(job: string): void {
    const { uid, gid } = fs.statSync(this.volume.root);
    fs.mkdirSync(`${job}/a/b/c`, { recursive: true });
    fs.writeFileSync(`${job}/a/b/file`, "");
    fs.writeFileSync(`${job}/a/b/c/file`, "");
    fs.linkSync(`${job}/source.mp4`, `${job}/a/second-name`);
    fs.symlinkSync("/dev/null", `${job}/a/link`);
    for (const name of ["a", "a/b", "a/b/c", "a/b/file", "a/b/c/file", "a/link"]) {
      fs.lchownSync(`${job}/${name}`, uid, gid);
    }
  }

  /** How many points a sweep passes with what there is now; it isn't killed. */
  async count(): Promise<number> {
    const file = `${this.volume.root}/../points`;
    fs.writeFileSync(file, "");
    fs.chmodSync(file, 0o666);
    this.volume.environment = { FAULT_COUNT_FILE: file };
    expect((await this.volume.run("sweep")).code).toBe(0);
    return Number(fs.readFileSync(file, "utf8"));
  }

  /** Whether the sweep was killed there. */
  async sweepKilledAt(point: number, sweepers = 1): Promise<boolean> {
    this.volume.environment = { FAULT_KILL_AT: String(point) };
    const runs = await Promise.all(Array.from({ length: sweepers }, () => this.volume.run("sweep")));
    for (const { code, errors } of runs) {
      if (code === null) this.kills++;
      else expect({ code, errors }).toEqual({ code: 0, errors: [] });
    }
    await this.expectSafe();
    return runs.some(({ code }) => code === null);
  }

  /** What holds at every moment. */
  async expectSafe(): Promise<void> {
    const { root } = this.volume;
    for (const [jobId, names] of this.live) expect(namesBelow(`${root}/${jobId}`)).toEqual(names);
    const rows = await this.volume.catalogue.admin(
      `SELECT job_id AS job, bool_or(phase = 'intent') AS intended, bool_or(phase = 'outcome') AS ended,
         (SELECT location <> 'local' FROM storage.jobs j WHERE j.job_id = a.job_id) AS away
       FROM storage.audit a GROUP BY job_id`,
    );
    const byJob = new Map(rows.map((row) => [row["job"], row]));
    for (const [jobId, { names }] of this.due) {
      const row = byJob.get(jobId);
      const there = fs.existsSync(`${root}/${jobId}`);
      const whole = there && this.isWhole(`${root}/${jobId}`, names);
      const inTrash = fs.existsSync(`${root}/.trash/${jobId}`);
      if (!whole) expect({ jobId, intended: row?.["intended"] }).toEqual({ jobId, intended: true });
      if (row?.["ended"] === true)
        expect({ jobId, there, inTrash }).toEqual({ jobId, there: false, inTrash: false });
      expect(row?.["away"] ?? false).toBe(row?.["ended"] ?? false);
    }
  }

  private isWhole(job: string, names: string[]): boolean {
    const closed = `${job}/a/b`;
    if (names.includes("a/b") && fs.existsSync(closed) && process.getuid!() !== 0)
      fs.chmodSync(closed, 0o700);
    return JSON.stringify(namesBelow(job)) === JSON.stringify(names);
  }

  /** What holds when a sweep has ended by itself: everything was done, once, and is counted. */
  async expectFinished(): Promise<{ exact: number; resumed: number }> {
    expect(this.volume.jobs()).toEqual([...this.live.keys()].sort());
    expect(this.volume.trash()).toEqual([]);
    const rows = await this.volume.catalogue.admin(
      `SELECT job_id AS job, action, phase, files::int, details->>'counted' AS counted,
         (details->>'resumed')::boolean AS resumed FROM storage.audit`,
    );
    const shown = rows.map(({ job, action, phase }) => `${job} ${action} ${phase}`).sort();
    const expected = [...this.due.values()].flatMap(({ jobId, action }) =>
      ["intent", "outcome"].map((phase) => `${jobId} ${action} ${phase}`),
    );
    expect(shown).toEqual(expected.sort());
    let exact = 0;
    let resumed = 0;
    for (const row of rows.filter(({ phase }) => phase === "outcome")) {
      const { files } = this.due.get(row["job"] as JobId)!;
      if (row["counted"] === "exactly") {
        exact++;
        expect(row["files"]).toBe(files);
      } else expect(row["files"]).toBeLessThanOrEqual(files);
      resumed += Number(row["resumed"]);
    }
    return { exact, resumed };
  }

  async end(): Promise<void> {
    this.volume.environment = {};
    const verified = await this.volume.run("audit", "verify");
    expect(verified).toMatchObject({ code: 0, events: [{ intact: true, entries: 2 * this.due.size }] });
    for (const lease of this.leases) fs.closeSync(lease);
    await this.volume.catalogue.close();
  }
}

async function newLane(): Promise<Lane> {
  const lane = new Lane(await world.newVolume());
  await lane.addLive();
  return lane;
}

describe("a sweep killed before any one of its changes", () => {
  it.each(["delete", "tier"] as const)(
    "(%s) is finished by the next, once",
    async (action) => {
      const lane = await newLane();
      await lane.addDue(action);
      const points = await lane.count();
      // An intent, a rename, nine names, five directories and an outcome are the least.
      expect(points).toBeGreaterThan(action === "delete" ? 17 : 10);
      const tried = cases(points, SEED);
      for (const point of tried) {
        await lane.addDue(action);
        await lane.sweepKilledAt(point);
        await lane.sweepKilledAt(0);
        await lane.expectFinished();
      }
      console.log(
        JSON.stringify({ action, points, tried: tried.length, kills: lane.kills, FAULT_SEED: SEED }),
      );
      expect(lane.kills).toBeGreaterThan(tried.length * 0.6);
      await lane.end();
    },
    600_000,
  );
});

describe("sweeps killed anywhere, and those that go on after them", () => {
  it(
    `lose and leak nothing in ${KILLS} kills`,
    async () => {
      console.log(`FAULT_SEED=${SEED} FAULT_KILLS=${KILLS}`);
      const run = async (index: number): Promise<Record<string, number>> => {
        const random = randomFrom(SEED + index);
        const lane = await newLane();
        await lane.addDue("delete");
        const points = (await lane.count()) * 2;
        let sweeps = 0;
        while (lane.kills < KILLS / LANES) {
          for (let i = 0; i < 3; i++) await lane.addDue(random() < 0.05 ? "tier" : "delete");
          for (let attempt = 0; attempt < 6; attempt++) {
            const killed = await lane.sweepKilledAt(
              1 + Math.floor(random() * points),
              random() < 0.1 ? 2 : 1,
            );
            sweeps++;
            if (!killed) break;
          }
          await lane.sweepKilledAt(0);
          await lane.expectFinished();
        }
        const { exact, resumed } = await lane.expectFinished();
        await lane.end();
        return { kills: lane.kills, sweeps, exact, resumed };
      };
      const lanes = await Promise.all(Array.from({ length: LANES }, (_, index) => run(index)));
      console.log(JSON.stringify(lanes));
      expect(lanes.reduce((sum, { kills }) => sum + kills!, 0)).toBeGreaterThanOrEqual(KILLS);
      expect(lanes.reduce((sum, { resumed }) => sum + resumed!, 0)).toBeGreaterThan(0);
    },
    120_000 + KILLS * 5_000,
  );
});

describe("a disk that fails at one job", () => {
  it.each(["EIO", "EROFS", "EACCES", "ENOSPC"])(
    "(%s) costs no other, and is finished when it works again",
    async (code) => {
      const lane = await newLane();
      const { volume } = lane;
      const files = { [`fault-${code}-1`]: "x", "source.mp4": "v" };
      const failing = await volume.addJob({ state: "uploaded", age: 1000, files });
      const directory = `${volume.root}/${failing}/fault-${code}-directory`;
      fs.mkdirSync(directory);
      fs.writeFileSync(`${directory}/file`, "");
      const { uid, gid } = fs.statSync(volume.root);
      fs.chownSync(directory, uid, gid);
      const fine = await volume.addJob({ state: "failed", age: 1000 });
      const { code: exit, events } = await volume.run("sweep");
      expect(exit).toBe(1);
      expect(events.at(-1)).toMatchObject({ event: "swept", result: "partial", deleted: 1, failed: 1 });
      expect(events.find(({ event }) => event === "failed")).toMatchObject({
        ...{ job: failing, files: 2, directories: 1 },
        remaining: expect.arrayContaining([{ name: `fault-${code}-1`, reason: code }]),
      });
      expect(volume.trash()).toEqual([failing]);
      fs.renameSync(
        `${volume.root}/.trash/${failing}/fault-${code}-1`,
        `${volume.root}/.trash/${failing}/mended`,
      );
      fs.rmSync(`${volume.root}/.trash/${failing}/fault-${code}-directory`, { recursive: true });
      const { code: second } = await volume.run("sweep");
      expect(second).toBe(0);
      expect(volume.trash()).toEqual([]);
      const outcomes = (await volume.audit()).filter(({ phase }) => phase === "outcome");
      expect(outcomes.map(({ job }) => job).sort()).toEqual([failing, fine].sort());
      // The first sweep's two and the second one's: it was not killed, so nothing of it is lost.
      expect(outcomes.find(({ job }) => job === failing)).toMatchObject({ files: 3, resumed: true });
      await lane.volume.catalogue.close();
    },
  );
});
