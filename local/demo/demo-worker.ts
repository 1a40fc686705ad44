// What runs in the pods of `npm start`: an extraction worker and an upload worker, such as other teams
// write them, on the worker client alone.
//
//   demo-worker extract ENDING   fetch VIDEO_URL as a job's source, then end as told
//   demo-worker upload JOB       read a completed job and say that it was uploaded
import { setTimeout as sleep } from "node:timers/promises";

import { SOURCE_FILE } from "@video-storage/contract/layout";
import { openStorage } from "@video-storage/worker";
import type { Job, Storage } from "@video-storage/worker";
import { serveMetrics } from "@video-storage/worker/metrics";

const [role, argument] = process.argv.slice(2);

const storage = await openStorage({ onCatalogueError: (error) => console.error(String(error)) });
const metrics = await serveMetrics(storage);
if (role === "extract") await extract(storage, argument!);
else if (role === "upload") await upload(storage, argument!);
else throw new Error(`demo-worker extract|upload, not ${role}`);
await storage.close();
await metrics.close();

async function extract(storage: Storage, ending: string): Promise<void> {
  const url = process.env["VIDEO_URL"]!;
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
  const expectedBytes = Number(response.headers.get("content-length"));
  const job = await storage.createJob({ expectedBytes, attributes: { source: url, ending } });
  console.log(JSON.stringify({ event: "created", ...job.identity }));
  await job.appendLog("extract.log", `fetching ${url}`);
  const { bytes, sha256 } = await job.writeStream(SOURCE_FILE, response.body);
  await job.appendLog("extract.log", `wrote ${SOURCE_FILE}: ${bytes} bytes, sha256 ${sha256}`);
  console.log(JSON.stringify({ event: "written", bytes, sha256 }));
  await end(job, ending);
}

async function end(job: Job, ending: string): Promise<void> {
  switch (ending) {
    case "complete":
      await job.complete();
      break;
    case "fail":
      await job.fail("the video has no audio track");
      break;
    case "stay":
      await terminated();
      await job.fail("stopped before it was done");
      break;
    case "die":
      // As the kernel does it to a process that took too much memory: no handler runs.
      process.kill(process.pid, "SIGKILL");
      await sleep(60_000);
  }
  console.log(JSON.stringify({ event: "ended", state: job.state }));
}

/** An extraction that goes on until it is told to stop; a handler for a signal alone keeps no process alive. */
async function terminated(): Promise<void> {
  let told = false;
  process.once("SIGTERM", () => (told = true));
  while (!told) await sleep(200);
}

async function upload(storage: Storage, jobId: string): Promise<void> {
  const view = await storage.openForUpload(jobId);
  let bytes = 0;
  for await (const chunk of await view.open(SOURCE_FILE)) bytes += (chunk as Buffer).byteLength;
  view.close();
  await storage.markUploaded(jobId);
  console.log(JSON.stringify({ event: "uploaded", jobId, bytes, from: view.location }));
}
