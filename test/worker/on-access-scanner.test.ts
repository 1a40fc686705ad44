import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { openStorage } from "@video-storage/worker";
import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { deleteTree } from "../../cleanup-job/src/deletion/tree.js";
import { openRoot } from "../../cleanup-job/src/deletion/handles.js";
import { startPostgres } from "../support/postgres.js";
import { workerSurroundings } from "../support/worker-surroundings.js";

interface Met {
  readonly name: string;
  readonly sha256: string;
  readonly locked: boolean;
}

it("a scanner that opens, locks and holds every file delays workers and deletions, and fails neither", async ({
  skip,
}) => {
  const postgres = await startPostgres();
  const catalogue = await postgres.createCatalogue(["acme"]);
  const surroundings = await workerSurroundings(catalogue);
  const volume = path.join(surroundings.root, "..", "scanned");
  await fs.mkdir(volume);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", volume], { stdio: "ignore" });
  } catch {
    skip("needs the privilege to mount a small volume");
  }
  const program = new URL("../support/on-access-scanner.ts", import.meta.url).pathname;
  const scanner = spawn(process.execPath, [...RUNS_TYPESCRIPT, program, volume], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(scanner, "exit");
  const met: Met[] = [];
  const lines = createInterface({ input: scanner.stdout });
  const [first] = (await once(lines, "line")) as [string];
  lines.on("line", (line) => met.push(JSON.parse(line) as Met));
  try {
    if (!first.includes("ready")) skip(`this kernel lets no scanner in: ${first}`);
    const storage = await openStorage({ ...(await surroundings.options()), root: volume });
    const whole = new Map<string, string>();
    const jobs = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const job = await storage.createJob();
        const { sha256 } = await job.writeStream(
          "source.mp4",
          Array<Buffer>(40).fill(Buffer.alloc(65_536, `${index}`)),
        );
        whole.set(path.join(job.directory, "source.mp4"), sha256);
        await job.appendLog("run.log", "written");
        await job.complete();
        const view = await storage.openForUpload(job.identity.jobId);
        for await (const chunk of await view.open("source.mp4")) expect(chunk).toBeInstanceOf(Buffer);
        view.close();
        return job;
      }),
    );
    expect(jobs.map((job) => job.state)).toEqual(Array<string>(6).fill("completed"));
    // What it met under a final name was whole, whenever it looked.
    const finals = met.filter(({ name }) => whole.has(name));
    expect(finals.length).toBeGreaterThanOrEqual(6);
    for (const { name, sha256 } of finals)
      expect({ name, sha256 }).toEqual({ name, sha256: whole.get(name) });
    expect(met.some(({ name }) => name.endsWith(".partial"))).toBe(true);
    expect(met.some(({ locked }) => locked)).toBe(true);
    await storage.close();

    // And what it holds still, the sweep's deletion removes.
    const root = await openRoot(volume);
    for (const job of jobs) {
      const deletion = await deleteTree(root, job.identity.jobId);
      expect(deletion).toMatchObject({ complete: true, files: 3 });
    }
    await root.close();
    expect(await fs.readdir(volume)).toEqual([".admission"]);
  } finally {
    scanner.stdin.end();
    await ended;
    execFileSync("umount", ["-l", volume]);
    await surroundings.remove();
    await catalogue.close();
    await postgres.stop();
  }
}, 120_000);
