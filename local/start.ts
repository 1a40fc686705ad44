import { join } from "node:path";

import { chooseClusterHere, describeCluster } from "./cluster-choice.js";
import type { EngineChoice } from "./deploy.js";
import { checkVideo, ensureSampleVideo } from "./demo/sample-video.js";
import { startBareCluster } from "./environment/built.js";
import { startEnvironment } from "./environment/environment.js";
import { chooseNodes } from "./environment/nodes.js";
import { workAlone } from "./exclusive.js";
import { cacheDirectory, stateDirectory } from "./paths.js";
import { step } from "./progress.js";
import { localSlots } from "./stack.js";

/** Options of `start`. */
export interface StartOptions {
  readonly environment: string;
  readonly video?: string;
  readonly again?: boolean;
  readonly jobs: boolean;
  readonly engine: EngineChoice;
  readonly context?: string;
  readonly imageLoader?: string;
  readonly build?: boolean;
  readonly nodes?: string;
  readonly bare?: boolean;
}

/** Brings everything up, runs jobs and shows what became of them. */
export async function start(options: StartOptions): Promise<void> {
  const started = Date.now();
  await workAlone(stateDirectory(options.environment));
  const state = stateDirectory(options.environment);
  const cluster = await chooseClusterHere(state, {
    context: options.context,
    imageLoader: options.imageLoader,
    kubeconfig: process.env["KUBECONFIG"] || undefined,
    build: options.build || options.bare,
  });
  console.log(`  Runs on ${describeCluster(cluster)}, because ${cluster.why}`);
  if (options.bare) return startBare(options.environment);
  const nodes = await chooseNodes(state, options.nodes);
  const slots = localSlots(nodes);
  const room = Math.floor(slots[0]![0]!.bytes * 0.75);
  const given = options.video === undefined ? undefined : await checkVideo(options.video, room);

  const environment = await startEnvironment(options.environment, cluster, slots);
  // Pulumi and the client of Kubernetes, for which nothing that is refused before has to wait.
  const { deploy, takeRules } = await import("./deploy.js");
  const { outputs, engine } = await deploy(environment, options.engine);
  await step("Giving Prometheus the stack's alert rules", () => takeRules(environment));
  console.log(`✓ Ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);

  const { fatesTable, whereToLook } = await import("./summary.js");
  if (options.jobs) {
    const { lastRun, runJobs, watchSweeps } = await import("./demo/jobs.js");
    const sample = join(cacheDirectory(), "sample-video.mp4");
    if (given === undefined) await step("Encoding a sample video", () => ensureSampleVideo(sample));
    const video = { file: options.video ?? sample, bytes: given ?? (await checkVideo(sample, room)) };
    const earlier = options.again || options.video ? undefined : await lastRun(environment, outputs);
    const run =
      earlier ??
      (await step("Running jobs of two tenants in worker pods", (report) =>
        runJobs(environment, outputs, video, report),
      ));
    if (earlier) console.log("✓ Jobs ran at an earlier start; npm start -- --again runs new ones");
    const fates = await step("Waiting for the cleanup CronJob to sweep on its schedule", (report) =>
      watchSweeps(environment, outputs, run, report),
    );
    console.log(`\n${fatesTable(run, fates)}`);
  }
  console.log(`\n${whereToLook(environment, outputs, engine)}`);
}

async function startBare(name: string): Promise<void> {
  const kubeconfig = await startBareCluster(name);
  console.log(`✓ Ready, with nothing in it; its kubeconfig is ${kubeconfig}`);
}
