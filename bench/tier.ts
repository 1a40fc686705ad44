import { execFile, execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { performance } from "node:perf_hooks";
import { parseArgs, promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import { serializeJobRecord } from "@video-storage/contract/job-record";
import { buildPrograms } from "../local/build/programs.js";
import { bundle } from "../local/images/bundle.mjs";
import startServer from "../test/support/minio.js";
import { Results, median } from "./lib/bars.js";

const USAGE = `usage: npm run bench:tier -- [--small] [--rounds 5] [--disk DIR]

How fast jobs go to a local S3 server, beside mc and the SDK's own upload of the same files. Each is a program of its
own, timed from its start to its end, by turns, each time into a new bucket.
  large   8 jobs with a video of 256 MiB each: bytes in a second, and the memory that it takes
  small   40 jobs with 250 files of 32 KiB each: files in a second
With --small everything is an eighth, which says whether it runs and nothing about how fast.
`;

const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    disk: { type: "string", default: tmpdir() },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const rounds = Number(values.rounds);
const part = values.small ? 8 : 1;
const results = new Results(values.small ? "tier-small" : "tier");
const MIB = 1024 * 1024;
/** What the cleanup job's container may use. */
const MEMORY_LIMIT = 256 * MIB;
const run = promisify(execFile);

const work = fs.mkdtempSync(`${values.disk}/bench-tier-`);
const stop = await startServer();
const endpoint = process.env["TEST_S3_ENDPOINT"]!;
try {
  const mc = `${(await buildPrograms(["mc"]))["mc"]!}/mc`;
  const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  for (const name of ["ours", "sdk"]) {
    const entry = here(`./tier/copy-with-${name}.ts`);
    await bundle({ entry, directory: `${work}/${name}`, name, locks: true });
  }
  const environment = {
    ...process.env,
    S3_ENDPOINT: endpoint,
    MC_CONFIG_DIR: `${work}/mc`,
    MC_HOST_bench: endpoint.replace("://", "://minioadmin:minioadmin@"),
  };
  let buckets = 0;
  const newBucket = async (): Promise<string> => {
    const bucket = `bench-${process.pid}-${++buckets}`;
    await run(mc, ["mb", "--quiet", `bench/${bucket}`], { env: environment });
    return bucket;
  };
  type Tool = "ours" | "mc" | "sdk";
  const copy = async (tool: Tool, directory: string): Promise<{ seconds: number; peak: number }> => {
    const bucket = await newBucket();
    const [program, ...line] =
      tool === "mc"
        ? [mc, "cp", "--recursive", "--quiet", `${directory}/`, `bench/${bucket}/`]
        : [process.execPath, `${work}/${tool}/${tool}.mjs`, directory, bucket];
    const start = performance.now();
    const { stdout } = await run(program!, line, { env: environment, maxBuffer: 64 * MIB });
    const seconds = (performance.now() - start) / 1000;
    const peak = tool === "mc" ? 0 : (JSON.parse(stdout) as { peakMemoryBytes: number }).peakMemoryBytes;
    await run(mc, ["rb", "--force", "--quiet", `bench/${bucket}`], { env: environment });
    return { seconds, peak };
  };
  const tools: Tool[] = ["ours", "mc", "sdk"];

  /** Medians of what each does in a second, and our peak of memory. */
  const compare = async (name: string, directory: string, amount: number): Promise<number> => {
    const figures: Record<Tool, number[]> = { ours: [], mc: [], sdk: [] };
    let peak = 0;
    for (let round = 0; round <= rounds; round++) {
      for (const tool of round % 2 === 0 ? tools : tools.toReversed()) {
        const { seconds, peak: used } = await copy(tool, directory);
        // The first round isn't counted: it warms what is cached.
        if (round > 0) figures[tool].push(amount / seconds);
        if (tool === "ours") peak = Math.max(peak, used);
      }
    }
    results.figure(name, figures);
    const best = Math.max(median(figures.mc), median(figures.sdk));
    results.bar(`${name}-beside-the-best`, median(figures.ours), best, { atLeast: 0.9 });
    return peak;
  };

  const videos = `${work}/large`;
  const videoBytes = (256 * MIB) / part;
  for (let i = 0; i < 8; i++) makeJob(videos, { "source.mp4": randomContent(videoBytes) });
  const peak = await compare("large-mebibytes-a-second", videos, (8 * videoBytes) / MIB);
  results.bar("large-memory", peak, MEMORY_LIMIT, { atMost: 1 });
  execFileSync("rm", ["-rf", videos]);

  const frames = `${work}/small`;
  const count = Math.ceil(250 / part);
  for (let i = 0; i < 40; i++) {
    const files = Array.from({ length: count }, (_, n) => [`frame-${n}.jpg`, randomContent(32 * 1024)]);
    makeJob(frames, Object.fromEntries(files) as Record<string, Buffer>);
  }
  const smallPeak = await compare("small-files-a-second", frames, 40 * count);
  results.bar("small-memory", smallPeak, MEMORY_LIMIT, { atMost: 1 });
} finally {
  await stop();
  execFileSync("rm", ["-rf", work]);
}
process.exit(results.finish());

/** Cheap, and nothing that a server could compress or find twice. */
function randomContent(bytes: number): Buffer {
  const block = randomBytes(Math.min(bytes, 4 * MIB));
  const content = Buffer.alloc(bytes, block);
  for (let at = 0; at < bytes; at += block.length) content.writeUInt32LE(at >>> 0, Math.min(at, bytes - 4));
  return content;
}

function makeJob(parent: string, files: Readonly<Record<string, Buffer>>): void {
  const jobId = newJobId();
  const directory = `${parent}/${jobId}`;
  fs.mkdirSync(`${directory}/logs`, { recursive: true });
  fs.writeFileSync(`${directory}/logs/run.log`, "done\n");
  for (const [name, content] of Object.entries(files)) fs.writeFileSync(`${directory}/${name}`, content);
  const described = Object.entries(files).map(([name, content]) => {
    const sha256 = createHash("sha256").update(content).digest("hex");
    return [name, { bytes: content.byteLength, sha256 }];
  });
  const at = "2026-01-01T00:00:00.000Z";
  fs.writeFileSync(
    `${directory}/metadata.json`,
    serializeJobRecord({
      ...{ version: 1, tenantId: parseTenantId("bench"), jobId, state: "completed", revision: 2 },
      ...{ createdAt: at, stateChangedAt: at, attributes: {}, files: Object.fromEntries(described) },
      owner: { volume: "bench", node: "bench", namespace: "bench", pod: "bench" },
    }),
  );
}
