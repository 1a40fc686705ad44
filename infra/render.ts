import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { RUNS_TYPESCRIPT } from "./typescript.js";
import type { Rendered, RenderOptions } from "./render-program.js";

export type { Rendered, RenderOptions, StackOutputs } from "./render-program.js";
export type { KubernetesObject, Manifest } from "./manifests.js";

/** The program could not be rendered; the message is what it said, such as all problems of the configuration. */
export class RenderError extends Error {
  override readonly name = "RenderError";
}

/**
 * What the Pulumi program declares, without an engine and without touching anything. Runs in a process of
 * its own, because Pulumi's runtime can be set up only once in each. The result holds secrets in clear.
 * Throws {@link RenderError}.
 */
export async function render(options: RenderOptions): Promise<Rendered> {
  const main = fileURLToPath(new URL("./render-main.ts", import.meta.url));
  const child = spawn(process.execPath, [...RUNS_TYPESCRIPT, main, "--as-child"], {
    stdio: ["pipe", "ignore", "pipe", "pipe"],
  });
  // Options and result go through pipes: arguments and files could be read by others.
  child.stdin!.on("error", () => undefined).end(JSON.stringify(options));
  const exit = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  const [code, result, messages] = await Promise.all([
    exit,
    text(child.stdio[3] as Readable),
    text(child.stderr!),
  ]);
  if (code !== 0) throw new RenderError(messages.trim() || `rendering ended with code ${code}`);
  return JSON.parse(result) as Rendered;
}
