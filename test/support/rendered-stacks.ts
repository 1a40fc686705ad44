import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { render } from "../../infra/render.js";
import type { Rendered } from "../../infra/render.js";
import { inTurn } from "../../local/exclusive.js";
import { INSTALLATIONS } from "./installations.js";
import { LOCAL_CONFIGURATION, LOCAL_SECRETS } from "./local-configuration.js";
import { memoryDirectory } from "./memory-directory.js";

const DIRECTORY = "TEST_RENDERED_STACKS";

/** Each stack of ours, with the configuration of an installation that is nobody's. */
export const STACKS = { local: LOCAL_CONFIGURATION, ...INSTALLATIONS };

export type StackName = keyof typeof STACKS;
export const STACK_NAMES = Object.keys(STACKS) as StackName[];

/** What a stack of ours declares. A rendering takes a process some seconds, so that all files of a run have the same. */
export async function renderedStack(stack: StackName): Promise<Rendered> {
  const file = join(process.env[DIRECTORY]!, `${stack}.json`);
  await inTurn(file, async () => {
    if (existsSync(file)) return;
    const rendered = await render({ stack, config: STACKS[stack], secretConfig: LOCAL_SECRETS });
    writeFileSync(`${file}.partial`, JSON.stringify(rendered));
    renameSync(`${file}.partial`, file);
  });
  return JSON.parse(readFileSync(file, "utf8")) as Rendered;
}

/** The setup of the project `fast`. */
export default function setup(): () => void {
  const directory = mkdtempSync(join(memoryDirectory(), "video-storage-rendered-"));
  process.env[DIRECTORY] = directory;
  return () => rmSync(directory, { recursive: true });
}
