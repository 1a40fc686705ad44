// A worker to be killed by a test: creates a job, begins a file that never ends, starts a program of its own,
// says so in one line of JSON and waits. Its argument is openStorage's options as JSON.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { openStorage } from "@video-storage/worker";

const storage = await openStorage(JSON.parse(process.argv[2]!) as object);
const job = await storage.createJob();
await job.writeFile("whole.mp4", "all of it");
await job.appendLog("run.log", "about to die");
const child = spawn("sleep", ["60"], { stdio: "ignore" });
async function* endless(): AsyncGenerator<string> {
  yield "half of ";
  console.log(JSON.stringify({ jobId: job.identity.jobId, directory: job.directory, child: child.pid }));
  await sleep(60_000);
}
await job.writeStream("half.mp4", endless());
