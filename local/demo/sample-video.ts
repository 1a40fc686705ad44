import { existsSync } from "node:fs";
import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { must } from "../command.js";
import { Failure } from "../failure.js";

/** Makes a short video with a moving test pattern, once; later calls find the file. */
export async function ensureSampleVideo(file: string): Promise<void> {
  if (existsSync(file)) return;
  await mkdir(dirname(file), { recursive: true });
  const encoder = fileURLToPath(new URL("./encode-sample-video.ts", import.meta.url));
  await must(process.execPath, [...RUNS_TYPESCRIPT, encoder, file]);
}

/** Bytes of a user's video. Throws {@link Failure} unless it is a readable MP4 that fits. */
export async function checkVideo(file: string, roomBytes: number): Promise<number> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile())
    throw new Failure(`${file} is not a file.`, "Give the path of an MP4 file to --video.");
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(12), 0, 12, 0).finally(() => handle.close());
  if (buffer.toString("latin1", 4, 8) !== "ftyp") {
    throw new Failure(
      `${file} does not begin as an MP4 file does (a box named ftyp).`,
      "Give an MP4 file to --video.",
    );
  }
  if (found.size > roomBytes) {
    throw new Failure(
      `${file} has ${found.size} bytes, and a slot of the local environment has room for ${roomBytes}.`,
      "Take a smaller video, or raise video-storage:slotSize in Pulumi.local.yaml and run npm run destroy once.",
    );
  }
  return found.size;
}
