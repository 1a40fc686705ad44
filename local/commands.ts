import { rm } from "node:fs/promises";
import { join } from "node:path";

import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";

import { ALERTS_CONFIG_MAP, ALERTS_FILE } from "../components/lib/alerts/config-map.js";
import { chooseClusterHere, describeCluster } from "./cluster-choice.js";
import { deploy } from "./deploy.js";
import type { EngineChoice } from "./deploy.js";
import { lastRun, runJobs, watchSweeps } from "./demo/jobs.js";
import { checkVideo, ensureSampleVideo } from "./demo/sample-video.js";
import type { Environment } from "./environment/environment.js";
import { startBareCluster } from "./environment/built.js";
import { destroyEnvironment, startEnvironment, stopEnvironment } from "./environment/environment.js";
import { chooseNodes } from "./environment/nodes.js";
import { workAlone } from "./exclusive.js";
import { cacheDirectory, stateDirectory } from "./paths.js";
import { step } from "./progress.js";
import { SYSTEM_NAMESPACE, localSlots } from "./stack.js";
import { fatesTable, whereToLook } from "./summary.js";

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
  const { outputs, engine } = await deploy(environment, options.engine);
  await step("Giving Prometheus the stack's alert rules", () => takeRules(environment));
  console.log(`✓ Ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);

  if (options.jobs) {
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

async function takeRules(environment: Environment): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(environment.cluster.kubeconfig);
  const { data } = await config
    .makeApiClient(CoreV1Api)
    .readNamespacedConfigMap({ namespace: SYSTEM_NAMESPACE, name: ALERTS_CONFIG_MAP });
  await environment.takeRules(data![ALERTS_FILE]!);
}

/** Ends what start started. */
export async function stop({ environment }: { environment: string }): Promise<void> {
  await workAlone(stateDirectory(environment));
  const ran = await step("Stopping the environment", () => stopEnvironment(environment));
  console.log(ran ? "  Its data stays; npm start goes on with it." : "  Nothing was running.");
}

/** Stops, and removes every trace. */
export async function destroy(options: { environment: string; cache?: boolean }): Promise<void> {
  await workAlone(stateDirectory(options.environment));
  const was = await step("Removing the environment", () => destroyEnvironment(options.environment));
  if (options.cache) await rm(cacheDirectory(), { recursive: true, force: true });
  console.log(was ? "  Nothing of it is left." : "  There was none.");
  if (!options.cache)
    console.log(`  Built programs stay in ${cacheDirectory()}; npm run destroy -- --cache removes them.`);
}
