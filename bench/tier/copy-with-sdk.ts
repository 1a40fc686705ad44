import { createReadStream, readdirSync } from "node:fs";
import { S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { forEachConcurrently, JOBS_IN_HAND } from "../../cleanup-job/src/concurrency.js";
import { peakMemoryBytes } from "../lib/memory.js";

/** The same by the SDK's own upload, file by file, with its defaults but for the size of parts: `DIRECTORY BUCKET`. */

const [directory, Bucket] = process.argv.slice(2) as [string, string];
const client = new S3Client({
  ...{ endpoint: process.env["S3_ENDPOINT"]!, region: "us-east-1", forcePathStyle: true },
  credentials: { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" },
});
const jobs = async function* () {
  yield* readdirSync(directory);
};
await forEachConcurrently(jobs(), JOBS_IN_HAND, new AbortController().signal, async (job) => {
  const files = readdirSync(`${directory}/${job}`, { recursive: true, withFileTypes: true });
  for (const file of files) {
    if (!file.isFile()) continue;
    const path = `${file.parentPath}/${file.name}`;
    const params = { Bucket, Key: path.slice(directory.length + 1), Body: createReadStream(path) };
    await new Upload({ client, params, partSize: 16 * 1024 * 1024 }).done();
  }
});
client.destroy();
console.log(JSON.stringify({ peakMemoryBytes: peakMemoryBytes() }));
