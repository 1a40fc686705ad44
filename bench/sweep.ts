import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { newJobId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { unpackDebianPackages } from "../local/build/debian-packages.js";
import { bundle } from "../local/images/bundle.mjs";
import { startWorld } from "../test/cleanup-job/world.js";
import type { Volume, World } from "../test/cleanup-job/world.js";
import { median, Results } from "./lib/bars.js";
import { peakMemoryBytes } from "./lib/memory.js";
import { newSlotIn } from "./sweep/slots.js";
import type { Slot } from "./sweep/slots.js";
import { makeVideoJobs, smallFilesFrom } from "./sweep/trees.js";

const USAGE = `usage: npm run bench:sweep -- [--small] [--rounds 3] [--only a,b,c,d] [--disk DIR] [--memory DIR]

What a sweep costs.
  a  200,000 small files in 2,000 directories deleted, on the disk, on a slot (a filesystem in a file) and on tmpfs
  b  200 jobs of video-like files deleted, few and large, on a slot
     both beside rm -rf, find -delete and systemd-tmpfiles, each on a tree of its own made the same way, by turns; on
     the disk beside sixteen rm at once too, which is how fast it frees files at all. Each program deletes an empty
     tree just before, so that its being read from the disk isn't timed
  c  100,000 live jobs with 1,000 expired: time to decide, memory, catalogue rows and system calls for each live job
  d  1,000,000 job records beside 100,000: memory
All trees of (a) on the disk are made first: with three rounds 3,000,000 files, 13 GiB.
With --small everything is a fiftieth, which says whether it runs and nothing about how fast.
`;

const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "a,b,c,d" },
    disk: { type: "string", default: tmpdir() },
    memory: { type: "string", default: "/dev/shm" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const rounds = Number(values.rounds);
const parts = new Set(values.only.split(","));
const scale = values.small ? 50 : 1;
const results = new Results(values.small ? "sweep-small" : "sweep");
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const work = fs.mkdtempSync(`${values.disk}/bench-sweep-`);
const memory = fs.mkdtempSync(`${values.memory}/bench-sweep-`);
fs.chmodSync(memory, 0o755); // for the database's user
try {
  if (parts.has("a") || parts.has("b")) await deletions();
  if (parts.has("c") || parts.has("d")) await decisions();
} finally {
  execFileSync("rm", ["-rf", work, memory]);
}
process.exit(results.finish());

type Tool = "ours" | "rm" | "find" | "tmpfiles" | "rm-sixteen-at-once";

async function deletions(): Promise<void> {
  const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  const program = `${work}/program`;
  await bundle({
    ...{ entry: here("sweep/delete-trees.ts"), directory: program, name: "delete-trees", locks: true },
    threads: { "deletion-thread": here("../cleanup-job/src/deletion/thread-main.ts") },
  });
  const tmpfiles = await systemdTmpfiles();
  const command = (tool: Tool, directory: string, trees: string[]): string[] => {
    switch (tool) {
      case "ours":
        return [process.execPath, `${program}/delete-trees.mjs`, ...trees];
      case "rm":
        return ["rm", "-rf", ...trees];
      case "find":
        return ["find", ...trees, "-delete"];
      case "tmpfiles": {
        // Its way: an age, and here all are old enough.
        fs.writeFileSync(`${work}/tmpfiles.conf`, `e ${directory} - - - 0\n`);
        return [tmpfiles!, "--clean", `${work}/tmpfiles.conf`];
      }
      case "rm-sixteen-at-once": {
        const each = 'find "$1" -mindepth 1 -maxdepth 1 -print0 | xargs -0 -P 16 -n 8 rm -rf && rmdir "$1"';
        return ["sh", "-c", `for tree; do set -- "$tree"; ${each}; done`, "sh", ...trees];
      }
    }
  };
  const everywhere: Tool[] = ["ours", "rm", "find", ...(tmpfiles ? (["tmpfiles"] as const) : [])];

  type Turn = Slot & { readonly trees: string[] };
  /** With `ahead` the trees of all turns are made before the first is deleted, and no round warms up. */
  const compare = (name: string, newTurn: () => Turn, { tools = everywhere, ahead = false } = {}) => {
    const seconds = Object.fromEntries(tools.map((tool) => [tool, [] as number[]])) as Record<Tool, number[]>;
    const warmingUp = ahead ? 0 : 1;
    const turns = Array.from({ length: rounds + warmingUp }, (_, round) =>
      tools.map((_, i) => ({ round, tool: tools[(i + round) % tools.length]! })),
    ).flat();
    const made = ahead ? turns.map(newTurn) : [];
    for (const { round, tool } of turns) {
      const { directory, trees, done } = made.shift() ?? newTurn();
      try {
        execFileSync("sync", ["--file-system", directory]);
        // Writing the trees pushes programs out of memory, and reading one again from the disk is no deletion.
        const nothing = `${work}/nothing`;
        fs.mkdirSync(`${nothing}/tree`, { recursive: true });
        timed(command(tool, nothing, [`${nothing}/tree`]));
        const took = timed(command(tool, directory, trees));
        const left = fs.readdirSync(directory);
        if (left.length > 0) throw new Error(`${tool} left ${left.length} of ${trees.length} trees`);
        if (round >= warmingUp) seconds[tool].push(took);
      } finally {
        done();
      }
    }
    results.figure(`${name}-seconds`, seconds);
    const medianOf = (tool: Tool): number => median(seconds[tool]);
    for (const tool of tools.slice(2))
      results.figure(`${name}-over-${tool}`, medianOf("ours") / medianOf(tool));
    return medianOf;
  };
  const inDirectory = (parent: string, make: (directory: string) => string[]) => (): Turn => {
    const directory = fs.mkdtempSync(`${parent}/turn-`);
    const done = (): void => void execFileSync("rm", ["-rf", directory]);
    return { directory, trees: make(directory), done };
  };
  const onSlot = (bytes: number, make: (directory: string) => string[]) => (): Turn => {
    const slot = newSlotIn(work, bytes, 250_000);
    return { ...slot, trees: make(slot.directory) };
  };

  if (parts.has("a")) {
    const archives = fs.mkdtempSync(`${memory}/archives-`);
    const make = smallFilesFrom(archives, 2000 / scale, 100);
    // Ahead, since ext4 without a journal passes over the inodes of files deleted in the last minutes (its
    // recently_deleted), and after 200,000 of them took up to 100 s to make as many again.
    const onDisk = compare("small-files-on-disk", inDirectory(work, make), {
      tools: [...everywhere, "rm-sixteen-at-once"],
      ahead: true,
    });
    results.bar("small-files-on-disk", onDisk("ours"), onDisk("rm"), { atMost: 1 / 2 });
    const onASlot = compare("small-files-on-a-slot", onSlot(4 * GIB, make));
    results.figure("small-files-on-a-slot-over-rm", onASlot("ours") / onASlot("rm"));
    const inMemory = compare("small-files-on-tmpfs", inDirectory(memory, make));
    results.bar("small-files-on-tmpfs", inMemory("ours"), inMemory("rm"), { atMost: 1 / 0.9 });
  }
  if (parts.has("b")) {
    const make = (directory: string): string[] =>
      makeVideoJobs(directory, 200 / (values.small ? 10 : 1), (64 * MIB) / (values.small ? 8 : 1));
    const onASlot = compare("video-jobs-on-a-slot", onSlot(32 * GIB, make));
    results.bar("video-jobs-on-a-slot", onASlot("ours"), onASlot("rm"), { atMost: 1 });
  }
}

function timed([program, ...args]: string[]): number {
  const started = performance.now();
  execFileSync(program!, args, { stdio: ["ignore", "ignore", "inherit"], maxBuffer: 1 << 24 });
  return (performance.now() - started) / 1000;
}

async function systemdTmpfiles(): Promise<string | undefined> {
  const installed = ["/usr/bin/systemd-tmpfiles", "/bin/systemd-tmpfiles"].find((file) =>
    fs.existsSync(file),
  );
  if (installed) return installed;
  try {
    const programs = await unpackDebianPackages(["systemd-standalone-tmpfiles"]);
    return await programs.find("systemd-tmpfiles");
  } catch (error) {
    results.skipped("systemd-tmpfiles", (error as Error).message);
    return undefined;
  }
}

async function decisions(): Promise<void> {
  const world = await startWorld({ directory: memory });
  try {
    const small = await sweepLive(world, 100_000 / scale);
    if (parts.has("c")) {
      const { live, due, first, idle, rows } = small;
      results.figure("jobs", { live, due });
      results.figure("sweep-with-expired-seconds", first.seconds);
      results.figure("decide-seconds", idle.seconds);
      results.figure("expired-on-the-side-seconds-each", (first.seconds - idle.seconds) / due);
      results.bar("memory-MiB-with-expired", first.memoryMiB, 120, { atMost: 1 });
      // One in fifty more, for what a sweep asks whatever there is and for rows of jobs that just went.
      results.bar("catalogue-rows-per-live-job", rows / live, 1, { atMost: 1.02 });
      const calls = await systemCalls(small.volume);
      if (calls !== undefined) {
        results.figure("system-calls-of-a-sweep", calls);
        // What a sweep of nothing makes, for starting, is in it.
        results.bar("system-calls-per-live-job", calls / live, 1, { atMost: 1 });
      }
    }
    if (parts.has("d")) {
      const large = await sweepLive(world, 1_000_000 / scale);
      results.figure("records-memory-MiB", [small.idle.memoryMiB, large.idle.memoryMiB]);
      results.figure("records-seconds", [small.idle.seconds, large.idle.seconds]);
      results.bar("memory-for-ten-times-the-records", large.idle.memoryMiB, small.idle.memoryMiB, {
        atMost: 1.1,
      });
    }
  } finally {
    await world.stop();
  }
}

interface Measured {
  readonly seconds: number;
  readonly memoryMiB: number;
}

/** Sweeps a volume of live jobs, once with one in a hundred expired and once without. */
async function sweepLive(
  world: World,
  live: number,
): Promise<{ volume: Volume; live: number; due: number; first: Measured; idle: Measured; rows: number }> {
  const volume = await world.newVolume();
  const due = Math.ceil(live / 100);
  await volume.catalogue.admin(`ALTER TABLE storage.jobs DISABLE TRIGGER USER`);
  await addJobs(volume, "active", live);
  await addJobs(volume, "uploaded", due);
  await volume.catalogue.admin(`ALTER TABLE storage.jobs ENABLE TRIGGER USER`);
  await volume.catalogue.admin(`ANALYZE storage.jobs`);
  const first = await measuredSweep(volume, { deleted: due, kept: live });
  await volume.catalogue.admin(`VACUUM storage.jobs`); // or the index still leads to the rows that were deleted
  const before = await rowsRead(volume);
  const idle = await measuredSweep(volume, { deleted: 0, kept: live });
  return { volume, live, due, first, idle, rows: (await rowsRead(volume)) - before };
}

async function addJobs(volume: Volume, state: "active" | "uploaded", count: number): Promise<void> {
  const { uid, gid } = fs.statSync(volume.root);
  for (let done = 0; done < count; done += 10_000) {
    const ids: JobId[] = Array.from({ length: Math.min(10_000, count - done) }, () => newJobId());
    for (const id of ids) {
      fs.mkdirSync(`${volume.root}/${id}`);
      fs.chownSync(`${volume.root}/${id}`, uid, gid);
      if (state === "active") continue; // a live job isn't opened, so what is in it makes no difference
      fs.writeFileSync(`${volume.root}/${id}/source.mp4`, "v");
    }
    await volume.catalogue.admin(
      `INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod, state_changed_at, heartbeat_at)
       SELECT 'acme', id, $2, 1, $3, 'node-0', 'workers', 'pod', now() - interval '1 day', now() + interval '1 hour'
       FROM unnest($1::uuid[]) AS id`,
      [ids, state, volume.name],
    );
  }
}

async function measuredSweep(volume: Volume, expected: { deleted: number; kept: number }): Promise<Measured> {
  const started = performance.now();
  const { child, finished } = volume.start("sweep");
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, residentMiB(child.pid!) ?? 0);
  }, 10);
  const { code, events } = await finished;
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  const { deleted, kept } = events.at(-1) as { deleted?: number; kept?: number };
  if (code !== 0 || deleted !== expected.deleted || kept !== expected.kept) {
    throw new Error(`the sweep ended with ${code}: ${JSON.stringify(events.at(-1))}`);
  }
  return { seconds, memoryMiB: most };
}

/** The most that the process has held so far. */
function residentMiB(pid: number): number | undefined {
  try {
    return peakMemoryBytes(pid) / MIB;
  } catch {
    return undefined;
  }
}

/** Rows of storage.jobs that statements have read so far, as the database counts them. */
async function rowsRead(volume: Volume): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1500)); // a session reports when it is idle or ends
  const [row] = await volume.catalogue.admin(
    `SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::float8 AS read
     FROM pg_stat_user_tables WHERE schemaname = 'storage' AND relname = 'jobs'`,
  );
  return row!["read"] as number;
}

/** All system calls of a sweep with nothing to delete, of all its threads; undefined without strace. */
async function systemCalls(volume: Volume): Promise<number | undefined> {
  let strace: string;
  try {
    strace = await (await unpackDebianPackages(["strace"])).find("strace");
  } catch (error) {
    results.skipped("system calls", (error as Error).message);
    return undefined;
  }
  const summary = `${work}/strace.txt`;
  const { child, finished } = volume.start("sweep");
  const tracer = spawn(strace, ["-f", "-c", "-o", summary, "-p", String(child.pid)], { stdio: "ignore" });
  const ended = new Promise((resolve) => tracer.once("exit", resolve));
  await finished;
  await ended;
  const total = /^\s*100\.00\s+\S+\s+\S*\s+(\d+)/m.exec(fs.readFileSync(summary, "utf8"));
  return total ? Number(total[1]) : undefined;
}
