import { setTimeout as sleep } from "node:timers/promises";

import { ListObjectsV2Command } from "@aws-sdk/client-s3";

import { cleanupCronJobName } from "../../components/lib/cleanup-cron-jobs.js";
import { restoreNode } from "../../local/environment/built.js";
import { nodeName } from "../../local/environment/nodes.js";
import { ensurePostgres } from "../../local/environment/postgres.js";
import { isPostmaster, killSandbox } from "../../local/environment/sandbox.js";
import { SYSTEM_NAMESPACE } from "../../local/stack.js";
import type { SoakEnvironment } from "./environment.js";
import type { History } from "./history.js";
import type { PodTable, SeenPod } from "./pod-table.js";
import { killAll, processesOfContainer, processesOfProgram } from "./processes.js";
import { SWEEP_WITHIN_SECONDS } from "./schedule.js";
import type { Fault } from "./schedule.js";
import { workerPod } from "./work.js";

/** How long a fault waits for what it is to meet, in seconds. */
const PATIENCE = { worker: 15, cleaner: SWEEP_WITHIN_SECONDS };
const BACK_WITHIN_SECONDS = 180;
/** A pod of a node that is back has begun by then, if it ever does. */
const UNBEGUN_AFTER_SECONDS = 20;

export interface FaultContext {
  readonly environment: SoakEnvironment;
  readonly pods: PodTable;
  readonly history: History;
  readonly stop: AbortSignal;
}

/** Does one fault, and returns what it met once what it took away is back. */
export async function inflict(context: FaultContext, fault: Fault): Promise<string> {
  switch (fault.kind) {
    case "worker":
      return killWorker(context, fault);
    case "cleaner":
      return killCleaner(context, fault);
    case "postgres":
      return killPostgres(context, fault);
    case "object-storage":
      return killObjectStorage(context);
    case "kubelet":
      return killKubelet(context, fault);
    case "node":
      return killNode(context, fault);
  }
}

async function killWorker({ environment, pods, history, stop }: FaultContext, fault: Fault): Promise<string> {
  const slot = environment.slots[fault.target]!;
  const pod = await found(PATIENCE.worker, stop, () =>
    pods.all.find(
      (candidate) => candidate.name.startsWith(workerPod(slot.number, "")) && isRunning(candidate),
    ),
  );
  if (!pod) return `no worker on ${slot.name} in ${PATIENCE.worker} s`;
  history.podEnded(pod.name, Date.now());
  await killAll(await processesOfContainer(pod.containers[0]!.id!));
  return `${pod.name} on ${slot.name}`;
}

async function killCleaner({ pods, history, stop }: FaultContext, fault: Fault): Promise<string> {
  const node = nodeName(fault.target);
  const cronJob = cleanupCronJobName(node);
  const before = new Set(pods.all.map(({ name }) => name));
  const pod = await found(PATIENCE.cleaner, stop, () =>
    pods.all.find((one) => one.job?.startsWith(`${cronJob}-`) && !before.has(one.name) && isRunning(one)),
  );
  if (!pod) return `no sweep of ${node} in ${PATIENCE.cleaner} s`;
  await sleep(fault.moment * 1_500);
  const running = pod.containers.filter(({ id }) => id !== undefined);
  const container = running[Math.floor(fault.moment * running.length)]!;
  const pids = await processesOfContainer(container.id!);
  if (pids.length === 0) return `${pod.name} ${container.name}, which had ended`;
  const from = Date.now();
  await killAll(pids);
  // The next sweep is the retry.
  history.outages.push({
    what: "a killed sweep",
    node,
    from,
    until: Math.ceil((from + 1) / 60_000) * 60_000,
  });
  return `${pod.name} ${container.name}`;
}

async function killPostgres({ environment, history }: FaultContext, fault: Fault): Promise<string> {
  const sandbox = await environment.sandbox(0);
  return history.during("Postgres", null, async () => {
    const pids = await processesOfProgram(
      sandbox,
      (words) => isPostmaster(words) || /^postgres:/.test(words[0] ?? ""),
    );
    await killAll(pids);
    await sleep(fault.downSeconds * 1000);
    await ensurePostgres(sandbox, environment.network);
    return `${pids.length} processes`;
  });
}

async function killObjectStorage({ environment, history }: FaultContext): Promise<string> {
  const { core, s3, bucket } = environment;
  const { items } = await core.listNamespacedPod({ namespace: SYSTEM_NAMESPACE });
  const server = items.find(({ metadata }) => metadata!.name!.startsWith("object-storage-0"));
  const id = server?.status?.containerStatuses?.[0]?.containerID;
  if (!id) return "no S3 server is running";
  return history.during("the S3 server", null, async () => {
    const pids = await processesOfContainer(id);
    await killAll(pids);
    await until("the S3 server", async () => {
      await s3.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }));
      return true;
    });
    return `${server!.metadata!.name}, ${pids.length} processes`;
  });
}

async function killKubelet({ environment, history }: FaultContext, fault: Fault): Promise<string> {
  const node = nodeName(fault.target);
  const sandbox = await environment.sandbox(fault.target);
  return history.during("the kubelet", node, async () => {
    const pids = await processesOfProgram(sandbox, (words) => words[1] === "kubelet");
    await killAll(pids);
    await sleep(fault.downSeconds * 1000);
    const since = Date.now();
    await restoreNode(environment.name, fault.target, environment.slotsOfNodes[fault.target]!);
    await untilReady(environment, node, since);
    return `${node}, ${pids.length} processes`;
  });
}

async function killNode(context: FaultContext, fault: Fault): Promise<string> {
  const { environment, pods, history } = context;
  const node = nodeName(fault.target);
  const sandbox = await environment.sandbox(fault.target);
  const from = Date.now();
  await pods.look();
  const beginning = pods.all.filter((pod) => pod.node === node && pod.job && pod.phase === "Pending");
  const met = await history.during("a node", node, async () => {
    // A pod that has not begun is begun when its node is back, as if nothing had been.
    const lost = pods.all.filter((pod) => pod.node === node && isRunning(pod));
    for (const { name } of lost) history.podEnded(name, Date.now());
    await killSandbox(sandbox);
    await sleep(fault.downSeconds * 1000);
    const since = Date.now();
    await restoreNode(environment.name, fault.target, environment.slotsOfNodes[fault.target]!);
    await untilReady(environment, node, since);
    // Until the kubelet says that they ended, Kubernetes takes them for alive, and no new sweep begins beside one.
    const containers = new Set(lost.flatMap((pod) => pod.containers.map(({ id }) => id)));
    await until(`what Kubernetes knows of the pods of ${node}`, async () => {
      await pods.look();
      return pods.all.every((pod) =>
        pod.containers.every(({ id, running }) => !running || !containers.has(id)),
      );
    });
    return `${node} with ${lost.length} pods`;
  });
  await excuseUnbegun(context, node, from, beginning);
  return met;
}

/**
 * A pod that is never to be restarted, whose sandbox was made when its node failed and whose containers were not, is not
 * begun again (the kubelet takes the sandbox that died for its only try). No other sweep begins until its Job's deadline.
 */
async function excuseUnbegun(
  { environment, pods, history, stop }: FaultContext,
  node: string,
  from: number,
  beginning: readonly SeenPod[],
): Promise<void> {
  const unbegun = () => beginning.filter(({ name }) => pods.get(name)?.phase === "Pending");
  await found(UNBEGUN_AFTER_SECONDS, stop, () => (unbegun().length === 0 ? true : undefined));
  if (unbegun().length === 0) return;
  const { batch, contract } = environment;
  const name = cleanupCronJobName(node);
  const cronJob = await batch.readNamespacedCronJob({ namespace: contract.namespace, name });
  const { activeDeadlineSeconds } = cronJob.spec!.jobTemplate.spec!;
  const until = Math.ceil((from + activeDeadlineSeconds! * 1_000) / 60_000) * 60_000;
  history.outages.push({ what: "a sweep that is never begun", node, from, until });
}

/** Waits until the kubelet of now says that it is ready: what it said before it was killed counts for nothing. */
async function untilReady({ core }: SoakEnvironment, node: string, since: number): Promise<void> {
  await until(node, async () => {
    const { status } = await core.readNode({ name: node });
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "True" && new Date(ready.lastHeartbeatTime!).getTime() > since - 1_000;
  });
}

function isRunning({ containers, phase }: SeenPod): boolean {
  return phase === "Running" && containers.some(({ running }) => running);
}

async function found<T>(
  seconds: number,
  stop: AbortSignal,
  look: () => T | undefined,
): Promise<T | undefined> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline && !stop.aborted) {
    const value = look();
    if (value !== undefined) return value;
    await sleep(200);
  }
  return undefined;
}

/** Waits for something to be back. Throws when it takes much too long. */
async function until(what: string, isBack: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + BACK_WITHIN_SECONDS * 1000;
  for (;;) {
    let problem = "it is not as it should be";
    const back = await isBack().catch((error: unknown) => {
      problem = String(error);
      return false;
    });
    if (back) return;
    if (Date.now() > deadline)
      throw new Error(`${what} did not come back in ${BACK_WITHIN_SECONDS} s: ${problem}`);
    await sleep(500);
  }
}
