import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { formatDuration } from "@video-storage/contract/durations";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { buildUploaderPod } from "../../components/lib/uploader-pod.js";
import { buildWorkerPod } from "../../components/lib/worker-pod.js";
import type { Environment } from "../environment/environment.js";
import { Failure } from "../failure.js";
import type { Report } from "../progress.js";
import { writeWholeFile } from "../whole-file.js";
import { Pods } from "./pods.js";

/** What a worker does with its job, and what the sweep is expected to do then. */
const STORIES = {
  uploaded: { ending: "complete", worker: "completed it, and it was uploaded", settled: "deleted" },
  cold: { ending: "complete", worker: "completed it; nobody uploaded it", settled: "tiered" },
  failed: { ending: "fail", worker: "failed", settled: "deleted" },
  active: { ending: "stay", worker: "is at work, with a heartbeat", settled: "kept" },
  abandoned: { ending: "die", worker: "died without a word (SIGKILL)", settled: "deleted" },
} as const;

export type Story = keyof typeof STORIES;

/** One job of a run. */
export interface DemoJob {
  readonly story: Story;
  readonly tenant: string;
  readonly slot: string;
  readonly pod: string;
  readonly jobId: string;
}

/** One run of jobs, as it is kept between starts. */
export interface Run {
  readonly id: string;
  readonly startedAt: string;
  readonly video: string;
  readonly videoBytes: number;
  readonly jobs: readonly DemoJob[];
}

/** What became of a job: from the catalogue and the audit. */
export interface Fate {
  readonly job: DemoJob;
  readonly state: string;
  readonly location: string;
  /** The sweep's own words, or why it leaves the job. */
  readonly why: string;
  readonly freedBytes: number | null;
  readonly objects: number;
  readonly heartbeatAgeSeconds: number;
  /** Whether all that is expected of the sweep has happened. */
  readonly settled: boolean;
}

/** Runs every story once, on all slots at once, and returns when the workers have done their part. */
export async function runJobs(
  environment: Environment,
  contract: StackContract,
  video: { file: string; bytes: number },
  report: Report,
): Promise<Run> {
  const [first, second] = contract.tenants.map(({ id }): string => id) as [string, string];
  const [slotA, slotB, slotC] = contract.slots.map(({ name }) => name) as [string, string, string];
  const id = Date.now().toString(36);
  const pods = new Pods(environment.cluster.kubeconfig, contract.namespace, id);
  await pods.deleteOthers();
  const source = await environment.serveVideo(video.file);
  const jobs: DemoJob[] = [];
  const told = (job: DemoJob): void => {
    jobs.push(job);
    report(`${jobs.length} of ${Object.keys(STORIES).length} jobs have a source.mp4`);
  };
  const args = { contract, image: environment.images.demoWorker.reference, metrics: true };
  const extract = async (story: Story, tenant: string, slot: string): Promise<DemoJob> => {
    const { ending } = STORIES[story];
    const env = [{ name: "VIDEO_URL", value: source.url }];
    const worker = buildWorkerPod({ ...args, slot, tenant, env, args: ["extract", ending] });
    // The first process of a process namespace cannot be killed from within it, so the one that dies is not that.
    const spec = { ...worker.spec, ...(ending === "die" && { shareProcessNamespace: true }) };
    const pod = await pods.create(story, { ...worker, spec });
    const { jobId } = await pods.said(pod, "created");
    await pods.said(pod, "written");
    const job: DemoJob = { story, tenant, slot, pod, jobId: String(jobId) };
    told(job);
    // The one that dies says nothing, and the one that stays has not ended.
    if (ending === "complete" || ending === "fail") await pods.said(pod, "ended");
    if (ending === "die" && (await pods.ended(pod))) throw new Error(`pod ${pod} was to die and ended well`);
    return job;
  };
  try {
    await Promise.all([
      (async () => {
        const { jobId, tenant, slot } = await extract("uploaded", first, slotA);
        const upload = await pods.create(
          "upload",
          buildUploaderPod({ ...args, slot, tenant, args: ["upload", jobId] }),
        );
        await pods.said(upload, "uploaded");
        await extract("cold", first, slotA);
      })(),
      (async () => {
        await extract("failed", second, slotB);
        await extract("active", second, slotB);
      })(),
      extract("abandoned", second, slotC),
    ]);
  } finally {
    source.close();
  }
  const order = Object.keys(STORIES);
  jobs.sort((a, b) => order.indexOf(a.story) - order.indexOf(b.story));
  const run: Run = {
    id,
    startedAt: new Date().toISOString(),
    video: video.file,
    videoBytes: video.bytes,
    jobs,
  };
  await writeWholeFile(runFile(environment), `${JSON.stringify(run, null, 2)}\n`);
  return run;
}

/** The last run, if its workers had all done their part and the one that stays is still at work. */
export async function lastRun(environment: Environment, contract: StackContract): Promise<Run | undefined> {
  const text = await readFile(runFile(environment), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const run = JSON.parse(text) as Run;
  const active = run.jobs.find(({ story }) => story === "active");
  const pods = new Pods(environment.cluster.kubeconfig, contract.namespace, run.id);
  return active && (await pods.isRunning(active.pod)) ? run : undefined;
}

/**
 * Watches until the CronJob, on its schedule, has done what each job's time to live asks for. Throws
 * {@link Failure} when that takes much longer than the longest of them.
 */
export async function watchSweeps(
  environment: Environment,
  contract: StackContract,
  run: Run,
  report: Report,
): Promise<Fate[]> {
  const { uploadedSeconds, completedSeconds, failedSeconds, abandonedSeconds } = contract.retention;
  const longest = Math.max(uploadedSeconds, completedSeconds, failedSeconds, abandonedSeconds);
  const limitSeconds = longest + 180;
  const deadline = Date.now() + limitSeconds * 1000;
  for (;;) {
    const fates = await fatesOf(environment, run).catch((error: unknown) => {
      // A connection lost once is no reason to give up what the sweep goes on with by itself.
      if (!(error instanceof CatalogueUnavailableError) || Date.now() > deadline) throw error;
      report(error.message);
      return undefined;
    });
    if (!fates) {
      await sleep(1_000);
      continue;
    }
    const waiting = fates.filter(({ settled }) => !settled);
    if (waiting.length === 0) return fates;
    if (Date.now() > deadline) {
      const which = waiting.map(
        ({ job, state, location }) => `${job.jobId} (${job.story}: ${state}, ${location})`,
      );
      throw new Failure(
        `After ${formatDuration(limitSeconds)} the sweep has not yet dealt with ${which.join(", ")}.`,
        `kubectl -n ${contract.namespace} get cronjobs,jobs,pods; kubectl -n ${contract.namespace} logs job/NAME --all-containers`,
      );
    }
    const next = 60 - (Math.floor(Date.now() / 1000) % 60);
    report(
      `${fates.length - waiting.length} of ${fates.length} as they should be; the CronJob runs again in ${next} s`,
    );
    await sleep(1_000);
  }
}

/** What became of each job of a run so far. */
async function fatesOf(environment: Environment, run: Run): Promise<Fate[]> {
  const catalogue = await environment.openCatalogue();
  try {
    const rows = await catalogue.query<{
      job_id: string;
      state: string;
      location: string;
      deleted: boolean;
      heartbeat_age: number;
      reason: string | null;
      freed: number | null;
      objects: number;
    }>(
      `select j.job_id, j.state, j.location, j.deleted_at is not null as deleted,
              extract(epoch from now() - j.heartbeat_at)::float8 as heartbeat_age,
              a.reason, a.bytes::float8 as freed,
              (select count(*)::int from storage.objects o where o.job_id = j.job_id and o.removed_at is null and o.pack_key is null) as objects
         from storage.jobs j
         left join storage.audit a on a.job_id = j.job_id and a.phase = 'outcome'
        where j.job_id = any($1::uuid[])`,
      [run.jobs.map(({ jobId }) => jobId)],
    );
    return run.jobs.map((job) => {
      const row = rows.find(({ job_id }) => job_id === job.jobId);
      const expected = STORIES[job.story].settled;
      const state = row?.state ?? "unknown";
      const location = row?.location ?? "unknown";
      const gone = row?.reason != null;
      const settled =
        expected === "kept"
          ? state === "active" && !gone
          : expected === "tiered"
            ? location === "object" && gone
            : location === "none" && gone;
      return {
        job,
        state,
        location,
        settled,
        why: row?.reason ?? (state === "active" ? "its worker holds the lease" : "not due yet"),
        freedBytes: row?.freed ?? null,
        objects: row?.objects ?? 0,
        heartbeatAgeSeconds: Math.round(row?.heartbeat_age ?? -1),
      };
    });
  } finally {
    await catalogue.close();
  }
}

/** What the worker did, for people. */
export function workerDid(job: DemoJob): string {
  return STORIES[job.story].worker;
}

function runFile(environment: Environment): string {
  return join(environment.stateDirectory, "jobs.json");
}
