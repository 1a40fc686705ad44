// A worker to be killed at any moment: job after job, of several files each, completed or failed. Every line on stdout
// is said when a call has returned, in one system call. Its arguments are openStorage's options and a seed.
import { writeSync } from "node:fs";
import { openStorage } from "@video-storage/worker";
import { random } from "./random.js";

const [options, seed] = process.argv.slice(2);
const next = random(Number(seed));
const say = (event: object): void => void writeSync(1, `${JSON.stringify(event)}\n`);

const storage = await openStorage(JSON.parse(options!) as object);
say({ ready: true });
for (;;) {
  const job = await storage.createJob({ attributes: { seed: seed! } });
  const { jobId } = job.identity;
  say({ created: jobId });
  await Promise.all(
    Array.from({ length: 1 + Math.floor(next() * 3) }, async (_, index) => {
      const chunk = Buffer.alloc(1 + Math.floor(next() * 65_536), `${jobId} ${index} `);
      await job.writeStream(`file-${index}.mp4`, Array<Buffer>(1 + Math.floor(next() * 8)).fill(chunk));
    }),
  );
  await job.appendLog("run.log", "written");
  if (next() < 0.2) {
    await job.fail("as planned");
    say({ failed: jobId });
  } else {
    await job.complete();
    say({ completed: jobId });
  }
}
