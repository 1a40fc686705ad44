import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ensureSampleVideo } from "../../local/demo/sample-video.js";
import { cacheDirectory } from "../../local/paths.js";
import type { Ended } from "./local-environment.js";
import { startForAll } from "./running-environment.js";

const STARTED = "TEST_STARTED";

/** What the newcomer's command left, and the video that it was given. */
export interface Started {
  readonly first: Ended;
  readonly video: string;
}

export function started(): Started {
  return JSON.parse(process.env[STARTED]!) as Started;
}

/** One environment as a newcomer's `npm start` leaves it, whose slots are the jobs' that it ran. */
export default async function setup(): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), "video-storage-start-"));
  // The sample with one more box at its end: an MP4 like any other, and none that start could have made itself.
  const sample = join(cacheDirectory(), "sample-video.mp4");
  await ensureSampleVideo(sample);
  const video = join(directory, "my own.mp4");
  const box = Buffer.from("0000000c6672656500000000", "hex");
  await writeFile(video, Buffer.concat([await readFile(sample), box]));
  const { started: first, end } = await startForAll("started", "--video", video);
  process.env[STARTED] = JSON.stringify({ first, video } satisfies Started);
  return async () => {
    await rm(directory, { recursive: true });
    await end();
  };
}
