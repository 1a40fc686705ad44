import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Job } from "../job.js";
import type { Storage } from "../storage.js";
import { EXIT } from "./exit-codes.js";

export interface RunOptions {
  readonly command: readonly string[];
  readonly drainSeconds: number;
  /** Told what became of the job. */
  readonly report: (event: Record<string, unknown>) => void;
}

/** Runs a program with the job's lease held here. Returns the exit code. */
export async function runWithJob(storage: Storage, job: Job, options: RunOptions): Promise<number> {
  const [program, ...args] = options.command;
  const { jobId } = job.identity;
  const child = spawn(program!, args, {
    stdio: "inherit",
    env: { ...process.env, VIDEO_JOB_ID: jobId, VIDEO_JOB_DIRECTORY: job.directory },
  });
  let drained = false;
  const ended = endOf(child);
  const drain = (): void => {
    drained = true;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), options.drainSeconds * 1000).unref();
  };
  const interrupt = (): void => void child.kill("SIGINT");
  process.on("SIGTERM", drain).on("SIGINT", interrupt);
  try {
    const code = await ended.catch(async (error: Error) => {
      await job.fail(`${program} couldn't be started: ${error.message}`);
      throw error;
    });
    if (job.state !== "active") {
      options.report({ jobId, state: job.state });
      return code;
    }
    if (drained) {
      const [result] = await storage.drain();
      const error = result?.error;
      options.report({
        jobId,
        state: result?.state,
        ...(error === undefined ? {} : { error: String(error) }),
      });
      return result?.state === "handed-over" ? EXIT.handedOver : EXIT.failed;
    }
    if (code === 0) await completeOrFail(job);
    else await job.fail(`${program} ended with ${code}`);
    options.report({ jobId, state: job.state });
    return code;
  } finally {
    process.off("SIGTERM", drain).off("SIGINT", interrupt);
  }
}

async function completeOrFail(job: Job): Promise<void> {
  try {
    await job.complete();
  } catch (error) {
    await job.fail(`it couldn't be completed: ${(error as Error).message}`).catch(() => undefined);
    throw error;
  }
}

function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
