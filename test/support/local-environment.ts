import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { KubeConfig } from "@kubernetes/client-node";

import { PROJECT, stateDirectory } from "../../local/paths.js";

/** What a command of the local environment left. */
export interface Ended {
  readonly code: number;
  readonly output: string;
  readonly seconds: number;
}

/** Runs `npm start`, `npm run stop` and so on as a user does, for one environment. */
export function local(command: string, environment: string, ...args: string[]): Promise<Ended> {
  return startLocal(command, environment, ...args).ended;
}

/** The same, for a test that means to interrupt it. */
export function startLocal(
  command: string,
  environment: string,
  ...args: string[]
): { ended: Promise<Ended>; kill(signal: NodeJS.Signals): void } {
  const started = Date.now();
  const words = [
    join(PROJECT, "local/bootstrap.mjs"),
    "local/main.ts",
    command,
    "--environment",
    environment,
    ...args,
  ];
  // A group of its own, so that a kill reaches the command as a whole, as closing its terminal would.
  const child = spawn(process.execPath, words, {
    cwd: PROJECT,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject).once("exit", (code, signal) => {
      // The programs of the environment hold no end of these pipes, but nothing is to hang if one did.
      setTimeout(
        () => resolve({ code: signal ? 137 : code!, output, seconds: (Date.now() - started) / 1000 }),
        100,
      );
    });
  });
  return { ended, kill: (signal) => process.kill(-child.pid!, signal) };
}

/** The environment's kubeconfig, loaded. */
export function kubeConfigOf(environment: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(readFileSync(join(stateDirectory(environment), "admin.kubeconfig"), "utf8"));
  return config;
}
