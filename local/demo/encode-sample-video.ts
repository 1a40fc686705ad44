// Encodes a moving test pattern as H.264 in MP4 into the file named by the first argument. A program of
// its own, because the encoder's module takes over the process's handlers of uncaught errors.
import { rename, writeFile } from "node:fs/promises";

// A CommonJS bundle whose names Node.js cannot see.
import h264 from "h264-mp4-encoder";

const WIDTH = 640;
const HEIGHT = 360;
const FRAMES_PER_SECOND = 25;
const SECONDS = 6;

const file = process.argv[2]!;
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
}
encoder.finalize();
const unfinished = `${file}.${process.pid}.partial`;
await writeFile(unfinished, encoder.FS.readFile(encoder.outputFilename));
await rename(unfinished, file);

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
