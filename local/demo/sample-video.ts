import { existsSync } from "node:fs";
import { mkdir, open, rename, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

// A CommonJS bundle whose names Node.js cannot see.
import h264 from "h264-mp4-encoder";

import { Failure } from "../failure.js";

const WIDTH = 640;
const HEIGHT = 360;
const FRAMES_PER_SECOND = 25;
const SECONDS = 6;

/** Encodes a moving test pattern as H.264 in MP4, once; later calls find the file. */
export async function ensureSampleVideo(file: string): Promise<void> {
  if (existsSync(file)) return;
  const encoder = await h264.createH264MP4Encoder();
  encoder.width = WIDTH;
  encoder.height = HEIGHT;
  encoder.frameRate = FRAMES_PER_SECOND;
  encoder.kbps = 2_000;
  encoder.initialize();
  const pixels = new Uint8Array(WIDTH * HEIGHT * 4);
  for (let frame = 0; frame < FRAMES_PER_SECOND * SECONDS; frame++) {
    paint(pixels, frame);
    encoder.addFrameRgba(pixels);
    // The encoder is synchronous; progress and Ctrl-C need their turn.
    if (frame % 10 === 0) await new Promise(setImmediate);
  }
  encoder.finalize();
  const video = encoder.FS.readFile(encoder.outputFilename);
  encoder.delete();
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.partial`, video);
  await rename(`${file}.partial`, file);
}

function paint(pixels: Uint8Array, frame: number): void {
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const at = (y * WIDTH + x) * 4;
      const inBox = Math.abs(x - ((frame * 9) % WIDTH)) < 40 && Math.abs(y - HEIGHT / 2) < 40;
      pixels[at] = inBox ? 255 : (x + frame * 3) & 255;
      pixels[at + 1] = inBox ? 255 : (y + frame * 5) & 255;
      pixels[at + 2] = inBox ? 255 : ((x ^ y) + frame) & 255;
      pixels[at + 3] = 255;
    }
  }
}

/** Bytes of a user's video. Throws {@link Failure} unless it is a readable MP4 that fits. */
export async function checkVideo(file: string, roomBytes: number): Promise<number> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) throw new Failure(`${file} is not a file.`, "Give the path of an MP4 file to --video.");
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(12), 0, 12, 0).finally(() => handle.close());
  if (buffer.toString("latin1", 4, 8) !== "ftyp") {
    throw new Failure(`${file} does not begin as an MP4 file does (a box named ftyp).`, "Give an MP4 file to --video.");
  }
  if (found.size > roomBytes) {
    throw new Failure(
      `${file} has ${found.size} bytes, and a slot of the local environment has room for ${roomBytes}.`,
      "Take a smaller video, or raise video-storage:slotSize in Pulumi.local.yaml and run npm run destroy once.",
    );
  }
  return found.size;
}
