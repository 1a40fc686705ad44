// What runs in the pods of the system test: workers and upload workers on the worker client alone. Everything that
// they do follows from their seed. Each line on stdout is said when a call has returned, in one system call; the
// checksums are of what was given to the client, and not the client's.
//
//   soak-worker extract|hold|fill SEED SECONDS
//   soak-worker upload JOB...
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { SOURCE_FILE } from "@video-storage/contract/layout";
import { openStorage } from "@video-storage/worker";
import type { Job, Storage } from "@video-storage/worker";

import { random } from "../../support/random.js";

const [role, ...words] = process.argv.slice(2);
const say = (event: string, fields: object = {}): void =>
  void writeSync(1, `${JSON.stringify({ event, at: Date.now(), ...fields })}\n`);
const messageOf = (error: unknown): string => `${(error as Error).name}: ${(error as Error).message}`;

const storage = await openStorage({
  onCatalogueError: (error) => say("catalogue-error", { message: messageOf(error) }),
  onStagingError: (error) => say("staging-error", { message: messageOf(error) }),
});
if (role === "upload") await upload(storage, words);
else await work(storage, role!, Number(words[0]), Number(words[1]));
await storage.close();
say("done");

async function work(storage: Storage, role: string, seed: number, seconds: number): Promise<void> {
  const next = random(seed);
  const until = Date.now() + seconds * 1000;
  for (let index = 0; Date.now() < until; index++) {
    // All that is random is drawn before anything can fail, so that what comes after depends on nothing but the seed.
    const plan = {
      mebibytes: role === "fill" ? 6 + next() * 8 : 0.1 + next() * 1.4,
      // What isn't promised room, and finds none, goes to object storage.
      promised: next() < (role === "fill" ? 0.9 : 0.5),
      slow: next() < 0.15,
      ending: next() < 0.2 ? "fail" : "complete",
      pause: 500 + next() * 3_000,
      facts: Math.floor(next() * 2_000),
    };
    const job = await storage
      .createJob({
        attributes: { seed, index },
        ...(plan.promised && { expectedBytes: Math.round(plan.mebibytes * 2 ** 20) }),
      })
      .catch((error: unknown) => say("refused", { message: messageOf(error) }));
    if (job) {
      await run(job, { ...plan, hold: role === "hold", until }).catch(async (error: unknown) => {
        const { jobId } = job.identity;
        say("error", { jobId, message: messageOf(error) });
        say("ending", { jobId });
        await job.fail(messageOf(error)).then(
          () => say("failed", { jobId }),
          () => undefined,
        );
      });
      await job.close();
    }
    await sleep(plan.pause);
  }
}

interface Plan {
  readonly mebibytes: number;
  readonly slow: boolean;
  readonly ending: string;
  readonly facts: number;
  readonly hold: boolean;
  readonly until: number;
}

async function run(job: Job, plan: Plan): Promise<void> {
  const { jobId, tenantId } = job.identity;
  say("created", { jobId, tenantId });
  const write = async (name: string, content: Buffer): Promise<void> => {
    await job.writeStream(name, inPieces(content, plan.slow ? 200 : 0));
    say("written", { jobId, name, bytes: content.byteLength, sha256: sha256Of(content) });
  };
  await job.appendLog("run.log", `begun with ${JSON.stringify(plan)}`);
  await write(SOURCE_FILE, contentOf(jobId, Math.round(plan.mebibytes * 2 ** 20)));
  await write("facts.json", Buffer.from(JSON.stringify({ jobId, facts: "x".repeat(plan.facts) })));
  if (plan.hold) while (Date.now() < plan.until) await sleep(500);
  else if (plan.slow) await sleep(8_000);
  await job.appendLog("run.log", "all is written");
  say("ending", { jobId });
  if (plan.ending === "fail") {
    await job.fail("as planned");
    say("failed", { jobId });
  } else {
    await job.complete();
    say("completed", { jobId });
  }
}

async function* inPieces(content: Buffer, pause: number): AsyncGenerator<Buffer> {
  const piece = 256 * 1024;
  for (let at = 0; at < content.byteLength; at += piece) {
    yield content.subarray(at, at + piece);
    if (pause > 0) await sleep(pause);
  }
}

/** No two jobs have the same bytes, so that a byte that lies with another tenant can be told. */
function contentOf(jobId: string, bytes: number): Buffer {
  const block = Buffer.concat(
    Array.from({ length: 128 }, (_, index) => createHash("sha512").update(`${jobId} ${index}`).digest()),
  );
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += block.byteLength) block.copy(content, at);
  content.write("ftyp", 4, "latin1");
  return content;
}

function sha256Of(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

async function upload(storage: Storage, jobs: readonly string[]): Promise<void> {
  for (const jobId of jobs) {
    try {
      const view = await storage.openForUpload(jobId);
      const hash = createHash("sha256");
      try {
        for await (const chunk of await view.open(SOURCE_FILE)) hash.update(chunk as Buffer);
      } finally {
        view.close();
      }
      say("read", { jobId, from: view.location, sha256: hash.digest("hex") });
      await storage.markUploaded(jobId);
      say("uploaded", { jobId });
    } catch (error) {
      say("error", { jobId, message: messageOf(error) });
    }
  }
}
