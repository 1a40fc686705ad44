import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";

/** What a finished command left. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that ended otherwise than it should; the message carries the last it said. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly command: string;
  readonly finished: Finished;

  constructor(command: string, finished: Finished) {
    const said = (finished.stderr.trim() || finished.stdout.trim()).split("\n").slice(-12).join("\n");
    super(`${command} ended with ${finished.code}${said && `:\n${said}`}`);
    this.command = command;
    this.finished = finished;
  }
}

export interface RunOptions extends SpawnOptions {
  /** Fed to the command, which otherwise has no standard input. */
  readonly input?: string;
  /** Called with each whole line of output, of either stream. */
  readonly onLine?: (line: string) => void;
  /** Ends the command after so many seconds. */
  readonly timeoutSeconds?: number;
}

// A build that outlived its start would go on for minutes with nobody to use it.
const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach((child) => child.kill("SIGTERM")));

/** Runs a command to its end and returns what it printed, whatever its exit code. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const { input, onLine, timeoutSeconds, ...rest } = options;
  const child = spawn(program, args, {
    ...rest,
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  running.add(child);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    let pending = "";
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      if (!onLine) return;
      const lines = (pending + text).split("\n");
      pending = lines.pop()!;
      lines.forEach(onLine);
    });
  }
  child.stdin?.on("error", () => {}).end(input);
  const timer = timeoutSeconds ? setTimeout(() => child.kill("SIGKILL"), timeoutSeconds * 1000) : undefined;
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject).once("close", (status) => resolve(status ?? 128));
    });
    return { code, ...output };
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}

/** Like {@link run}; throws {@link CommandError} unless the command succeeds. */
export async function must(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const finished = await run(program, args, options);
  if (finished.code !== 0) throw new CommandError([program, ...args].slice(0, 6).join(" "), finished);
  return finished.stdout;
}
