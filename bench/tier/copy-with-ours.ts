import { readFileSync, readdirSync } from "node:fs";
import { parseJobRecord } from "@video-storage/contract/job-record";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import { forEachConcurrently, JOBS_IN_HAND } from "../../cleanup-job/src/concurrency.js";
import { openRoot } from "../../cleanup-job/src/deletion/handles.js";
import { copyJob } from "../../cleanup-job/src/tiering.js";
import { peakMemoryBytes } from "../lib/memory.js";

/** Copies every job below a directory as a sweep does, which has a few in hand: `DIRECTORY BUCKET`. */

const [directory, bucket] = process.argv.slice(2) as [string, string];
const settings = { endpoint: process.env["S3_ENDPOINT"]!, region: "us-east-1", bucket, forcePathStyle: true };
const store = connectObjectStorage(settings, { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" });
const never = new AbortController().signal;
const jobs = async function* () {
  yield* readdirSync(directory);
};
await forEachConcurrently(jobs(), JOBS_IN_HAND, never, async (job) => {
  const opened = await openRoot(`${directory}/${job}`);
  const record = parseJobRecord(readFileSync(`${directory}/${job}/metadata.json`, "utf8"));
  await copyJob(opened, record, store, never, 128 * 1024, {
    known: () => undefined,
    stored: async () => undefined,
    packed: async () => undefined,
  });
  await opened.close();
});
store.close();
console.log(JSON.stringify({ peakMemoryBytes: peakMemoryBytes() }));
