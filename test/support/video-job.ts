import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import type { OpenStorageOptions } from "@video-storage/worker/settings";

const PROJECT = new URL("../..", import.meta.url).pathname;

/** The worker's command, bundled into a directory as it goes into images; what a shell needs to find it there. */
export function bundleVideoJob(directory: string): { PATH: string; NODE_COMPILE_CACHE: string } {
  execFileSync(process.execPath, [path.join(PROJECT, "worker/build.mjs"), "--out", directory], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  // It is started a hundred times: it is compiled once, and what was compiled goes with it.
  return {
    PATH: `${directory}:${process.env["PATH"]}`,
    NODE_COMPILE_CACHE: path.join(directory, "compiled"),
  };
}

/** The Node.js 20 of this machine, where it has one: the project's own comes first on PATH, and is newer. */
export function olderNode(): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .filter((directory) => !directory.includes("node_modules"))
    .map((directory) => path.join(directory, "node"))
    .filter((file) => existsSync(file))
    .find((file) => execFileSync(file, ["--version"], { encoding: "utf8" }).startsWith("v20."));
}

/** What a pod's spec gives the command, from what `openStorage` would be given. */
export async function commandEnvironment(
  options: OpenStorageOptions,
  directory: string,
): Promise<Record<string, string>> {
  const contract = path.join(directory, `contract-${options.tenantId}.json`);
  await fs.writeFile(contract, JSON.stringify(options.contract));
  return {
    VIDEO_STORAGE_CONTRACT: contract,
    VIDEO_STORAGE_TENANT: options.tenantId!,
    VIDEO_STORAGE_VOLUME: options.volume!,
    VIDEO_STORAGE_ROOT: options.root!,
    VIDEO_STORAGE_CATALOGUE_CREDENTIALS: options.catalogueCredentials!,
    VIDEO_STORAGE_OBJECT_CREDENTIALS: options.objectStorageCredentials!,
    NODE_NAME: options.node!,
    POD_NAMESPACE: options.namespace!,
    POD_NAME: options.pod!,
  };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts a program with these variables alone, and PATH. */
export function start(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  input?: string | Buffer,
): Started {
  const child = spawn(command[0]!, command.slice(1), {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input ?? "");
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended };
}
