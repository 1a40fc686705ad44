import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { ensureSampleVideo } from "../../local/demo/sample-video.js";
import { cacheDirectory } from "../../local/paths.js";
import { startLocal } from "./local-environment.js";
import type { Ended } from "./local-environment.js";
import { random } from "./random.js";
import { rounds, seed } from "./rounds.js";
import { startForAll } from "./running-environment.js";

const STARTED = "TEST_STARTED";

/** What the newcomer's command left, the video that it was given, and what became of it before. */
export interface Started {
  readonly first: Ended;
  readonly video: string;
  /** Starts that were killed, and one that was interrupted as by Ctrl-C; none where the environment was kept. */
  readonly killed: readonly Ended[];
  readonly interrupted?: Ended;
}

/** The environment's name. */
export const NAME = "started";
const ROUNDS = rounds("INTERRUPTION_ROUNDS", 30);
const SEED = seed("INTERRUPTION_SEED");

export function started(): Started {
  return JSON.parse(process.env[STARTED]!) as Started;
}

/**
 * One environment as a newcomer's `npm start` leaves it, whose slots are the jobs' that it ran, after starts that were cut
 * short: what those leave is paid for once, and all that is tested here is tested on it.
 */
export default async function setup(): Promise<() => Promise<void>> {
  // Of another project's setup, whose files come before this one's.
  if (process.env[STARTED] !== undefined) return async () => undefined;
  const directory = await mkdtemp(join(tmpdir(), "video-storage-start-"));
  // The sample with one more box at its end: an MP4 like any other, and none that start could have made itself.
  const sample = join(cacheDirectory(), "sample-video.mp4");
  await ensureSampleVideo(sample);
  const video = join(directory, "my own.mp4");
  const box = Buffer.from("0000000c6672656500000000", "hex");
  await writeFile(video, Buffer.concat([await readFile(sample), box]));
  const options = ["--video", video];
  let cutShort: Pick<Started, "killed" | "interrupted"> = { killed: [] };
  const { started: first, end } = await startForAll(NAME, options, async () => {
    cutShort = await startAndCutShort(options);
  });
  process.env[STARTED] = JSON.stringify({ first, video, ...cutShort } satisfies Started);
  return async () => {
    await rm(directory, { recursive: true });
    await end();
  };
}

async function startAndCutShort(
  options: readonly string[],
): Promise<Pick<Started, "killed" | "interrupted">> {
  console.log(`INTERRUPTION_SEED=${SEED} INTERRUPTION_ROUNDS=${ROUNDS}`);
  const next = random(SEED);
  const killed: Ended[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const start = startLocal("start", NAME, ...options);
    // Most of what a start does lies in its first half minute, and most of that in its beginning.
    const wait = 1_000 + 25_000 * next() ** 2;
    const first = await Promise.race([sleep(wait).then(() => "the kill"), start.ended]);
    if (first === "the kill") start.kill("SIGKILL");
    const ended = await start.ended;
    console.log(`killed ${round}: ${ended.output.trim().split("\n").at(-1)}`);
    killed.push(ended);
  }
  const start = startLocal("start", NAME, ...options);
  await sleep(1_000);
  start.kill("SIGINT");
  return { killed, interrupted: await start.ended };
}
