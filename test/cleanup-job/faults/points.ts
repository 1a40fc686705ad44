import { writeFileSync } from "node:fs";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";

/*
 * Part of the program under test: every system call and every statement that changes something passes a point first.
 * The points are counted over all threads, and at the one that FAULT_KILL_AT names the process is killed.
 */

const KEY = "fault-points";
const memory = isMainThread ? new SharedArrayBuffer(4) : (getEnvironmentData(KEY) as SharedArrayBuffer);
const counter = new Int32Array(memory);
if (isMainThread) setEnvironmentData(KEY, memory);
const killAt = Number(process.env["FAULT_KILL_AT"] ?? 0);

export function point(): void {
  if (Atomics.add(counter, 0, 1) + 1 === killAt) process.kill(process.pid, "SIGKILL");
}

const countFile = process.env["FAULT_COUNT_FILE"];
if (isMainThread && countFile !== undefined) {
  process.on("exit", () => writeFileSync(countFile, String(counter[0])));
}
