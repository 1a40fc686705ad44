// One process of bench/worker.ts: so many workers at once, so many jobs each, told to go by a line. Prints what each
// job took from create to complete, in milliseconds.
import { once } from "node:events";

import { openStorage } from "@video-storage/worker";

const [options, workers, jobsEach] = process.argv.slice(2);
const storage = await openStorage(JSON.parse(options!) as object);
const content = Buffer.alloc(16 * 1024, "x");
console.log("ready");
await once(process.stdin, "data");
const milliseconds: number[] = [];
await Promise.all(
  Array.from({ length: Number(workers) }, async () => {
    for (let index = 0; index < Number(jobsEach); index += 1) {
      const begun = performance.now();
      const job = await storage.createJob({ expectedBytes: content.byteLength, attributes: { index } });
      await job.writeFile("source.mp4", content);
      await job.appendLog("run.log", "written");
      await job.complete();
      milliseconds.push(performance.now() - begun);
    }
  }),
);
await storage.close();
console.log(JSON.stringify(milliseconds));
