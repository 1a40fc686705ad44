import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { JobId } from "@video-storage/contract/identity";
import type { Storage } from "../storage.js";
import { findProcess, stillRuns } from "./processes.js";
import type { WatchedProcess } from "./processes.js";

/**
 * A job's lease has to be held by a process, and each call of the command is one that ends. So `create` leaves one
 * behind that does nothing but hold it, send heartbeats, and end with the worker's process or the job.
 */

const HELD = "held";
const LOOK_MILLISECONDS = 250;

/** Starts the holder, and returns when it holds the lease. */
export async function startHolder(jobId: JobId, pid: number): Promise<void> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, process.argv[1]!, "hold", "--job", jobId, "--hold-for", String(pid)],
    { detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  let complaint = "";
  child.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
  const held = new Promise<boolean>((resolve) => {
    child.stdout.on("data", (data: Buffer) => {
      said += data.toString();
      if (said.includes(HELD)) resolve(true);
    });
    child.once("exit", () => resolve(false));
  });
  if (!(await held))
    throw new Error(`the process that holds the lease ended: ${complaint.trim() || "without a word"}`);
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
}

/** Holds the lease until the job ends or the process does. */
export async function hold(storage: Storage, jobId: string, pid: number): Promise<void> {
  const watched: WatchedProcess | undefined = findProcess(pid);
  if (watched === undefined) throw new Error(`there is no process ${pid} to hold the lease for`);
  const job = await storage.openJob(jobId);
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  let told = false;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => (told = true));
  process.stdout.write(`${HELD}\n`);
  while (!told && job.state === "active" && stillRuns(watched)) await sleep(LOOK_MILLISECONDS);
}
