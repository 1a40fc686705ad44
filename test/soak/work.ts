import { setTimeout as sleep } from "node:timers/promises";

import type { V1Pod } from "@kubernetes/client-node";

import { buildUploaderPod } from "../../components/lib/uploader-pod.js";
import { buildWorkerPod } from "../../components/lib/worker-pod.js";
import type { SoakEnvironment, SoakSlot } from "./environment.js";
import type { History } from "./history.js";
import type { Ledger, LedgerEntry, Printer } from "./ledger.js";
import { podLogDirectory, readEvents } from "./pod-logs.js";
import { hasEnded } from "./pod-table.js";
import type { PodTable, SeenPod } from "./pod-table.js";
import { killAll, processesOfContainer } from "./processes.js";
import { seedOfWorker } from "./schedule.js";
import type { Role, Schedule } from "./schedule.js";

/** Marks the pods of a run, and them alone. */
const RUN_LABEL = "video-storage/soak-run";

/** How long a worker's pod takes job after job, in seconds. */
const LIFE = { shortest: 25, longest: 70 };
/** Longer than any run. */
const FOR_EVER = 86_400;
/** From one upload of a slot to its next, so that there is something to upload together. */
const UPLOAD_EVERY_SECONDS = 20;
/** How soon what is to be uploaded is seen. */
const LOOK_EVERY_SECONDS = 1;
/** What is uploaded late is in object storage by then: the stack moves it after a minute. */
const LATE_AFTER_SECONDS = 150;
/** How often an upload is tried that fails, as it does in an outage. */
const UPLOAD_ATTEMPTS = 5;
const UPLOAD_WITHIN_SECONDS = 90;

export interface WorkContext {
  readonly environment: SoakEnvironment;
  readonly schedule: Schedule;
  readonly pods: PodTable;
  readonly ledger: Ledger;
  readonly history: History;
  /** Ends the work; what runs then is left to whoever ends it. */
  readonly stop: AbortSignal;
}

/** Name of a worker's pod; with no run, how those of the slot begin. */
export function workerPod(slot: number, run: number | ""): string {
  return `soak-worker-${slot}-${run}`;
}

/** Reads what pods print, each line once, for as long as they are there. */
export class Listener {
  readonly #read = new Map<string, number>();
  private readonly context: Pick<WorkContext, "environment" | "ledger">;

  constructor(context: Pick<WorkContext, "environment" | "ledger">) {
    this.context = context;
  }

  async listen(pod: SeenPod, printer: Printer, node: number): Promise<void> {
    const { environment, ledger } = this.context;
    const { namespace } = environment.contract;
    const container = pod.containers[0]?.name;
    if (container === undefined) return;
    const where = { namespace, name: pod.name, uid: pod.uid, container };
    const events = await readEvents(podLogDirectory(environment.directoryOf(node), where));
    ledger.add(printer, events.slice(this.#read.get(pod.uid) ?? 0));
    this.#read.set(pod.uid, events.length);
  }
}

/** Keeps one slot at work until it is told to stop: worker after worker, whatever becomes of each. */
export async function keepAtWork(context: WorkContext, slot: SoakSlot, listener: Listener): Promise<void> {
  const { environment, schedule, stop } = context;
  const role = schedule.roles[slot.number]!;
  for (let run = 0; !stop.aborted; run++) {
    const seed = seedOfWorker(schedule.seed, slot.number, run);
    const seconds = secondsOf(role, seed);
    const name = workerPod(slot.number, run);
    const pod = buildWorkerPod({
      ...{ contract: environment.contract, image: environment.image, slot: slot.name, tenant: slot.tenant },
      args: [role, String(seed), String(seconds)],
    });
    if (!(await create(context, name, pod))) continue;
    await follow(context, name, slot, { seed, listener, seconds: FOR_EVER });
  }
}

function secondsOf(role: Role, seed: number): number {
  return role === "hold" ? FOR_EVER : LIFE.shortest + (seed % (LIFE.longest - LIFE.shortest));
}

/** Uploads what the run means to upload, slot by slot, until it is told to stop. */
export async function keepUploading(context: WorkContext, slot: SoakSlot, listener: Listener): Promise<void> {
  const { environment, ledger, stop } = context;
  const attempts = new Map<string, number>();
  for (let round = 0; !stop.aborted; round++) {
    const due = ledger.entries.filter(
      (entry) => isToUpload(entry, slot.name) && (attempts.get(entry.claim.jobId) ?? 0) < UPLOAD_ATTEMPTS,
    );
    if (due.length > 0) {
      const jobs = due.map(({ claim }) => claim.jobId);
      for (const jobId of jobs) attempts.set(jobId, (attempts.get(jobId) ?? 0) + 1);
      const name = `soak-upload-${slot.number}-${round}`;
      const pod = buildUploaderPod({
        ...{ contract: environment.contract, image: environment.image, slot: slot.name, tenant: slot.tenant },
        args: ["upload", ...jobs],
      });
      if (await create(context, name, pod))
        await follow(context, name, slot, { listener, seconds: UPLOAD_WITHIN_SECONDS });
    }
    await pause(due.length > 0 ? UPLOAD_EVERY_SECONDS : LOOK_EVERY_SECONDS, stop);
  }
}

function isToUpload({ claim, upload }: LedgerEntry, volume: string): boolean {
  if (claim.volume !== volume || claim.completedAt === undefined || claim.uploadedAt !== undefined)
    return false;
  if (upload === "never") return false;
  return upload === "at once" || Date.now() - claim.completedAt > LATE_AFTER_SECONDS * 1000;
}

/** False when the API server didn't take it, which is tried again. */
async function create(
  { environment }: WorkContext,
  name: string,
  pod: { metadata: { labels: Record<string, string> }; spec: object },
): Promise<boolean> {
  const labels = { ...pod.metadata.labels, [RUN_LABEL]: "soak" };
  const body = { metadata: { name, labels }, spec: pod.spec } as V1Pod;
  return environment.core.createNamespacedPod({ namespace: environment.contract.namespace, body }).then(
    () => true,
    async (error: unknown) => {
      console.error(`pod ${name} could not be created: ${String(error).split("\n")[0]}`);
      await sleep(2_000);
      return false;
    },
  );
}

/** Listens to a pod until it has ended, is stopped, or takes too long, and removes it then. */
async function follow(
  context: WorkContext,
  name: string,
  slot: SoakSlot,
  { seed, listener, seconds }: { seed?: number; listener: Listener; seconds: number },
): Promise<void> {
  const { pods, stop, history } = context;
  const printer = { pod: name, volume: slot.name, tenant: slot.tenant, ...(seed !== undefined && { seed }) };
  const deadline = Date.now() + seconds * 1000;
  let seen = false;
  for (;;) {
    await sleep(1_000);
    const pod = pods.get(name);
    seen ||= pod !== undefined;
    if (pod === undefined && seen) return;
    if (pod) await listener.listen(pod, printer, slot.node);
    if (pod && hasEnded(pod)) {
      const finished = Math.max(...pod.containers.map(({ finishedAt }) => finishedAt ?? 0));
      history.podEnded(name, finished || Date.now());
      await listener.listen(pod, printer, slot.node);
      return remove(context, name);
    }
    if (stop.aborted) return;
    if (Date.now() > deadline) {
      console.error(`pod ${name} has not ended in ${seconds} s and is removed`);
      return remove(context, name);
    }
  }
}

async function remove({ environment }: WorkContext, name: string): Promise<void> {
  const { core, contract } = environment;
  const one = { namespace: contract.namespace, name, gracePeriodSeconds: 1 };
  await core.deleteNamespacedPod(one).catch(() => undefined);
}

/** Kills all workers but those that hold a job, and waits until every pod that is to end has. */
export async function endWork(context: WorkContext, listener: Listener): Promise<void> {
  const { schedule, pods, history } = context;
  await pods.look();
  for (const pod of pods.all) {
    const slot = slotOf(context, pod);
    if (!slot) continue;
    const holds = pod.name.startsWith(workerPod(slot.number, "")) && schedule.roles[slot.number] === "hold";
    const printer = { pod: pod.name, volume: slot.name, tenant: slot.tenant };
    if (!holds && !hasEnded(pod)) {
      history.podEnded(pod.name, Date.now());
      for (const { id } of pod.containers) if (id) await killAll(await processesOfContainer(id));
    }
    // Workers are listened to with their seed as long as they work; what they begin in the last second isn't uploaded.
    await listener.listen(pod, printer, slot.node);
    if (!holds) await remove(context, pod.name);
  }
}

/** Listens once more to the workers that hold a job. Those that don't run any more are noted. */
export async function hearHolders(context: WorkContext, listener: Listener): Promise<void> {
  const { pods, history } = context;
  await pods.look();
  for (const pod of pods.all) {
    const slot = slotOf(context, pod);
    if (!slot) continue;
    if (hasEnded(pod)) history.podEnded(pod.name, Date.now());
    await listener.listen(pod, { pod: pod.name, volume: slot.name, tenant: slot.tenant }, slot.node);
  }
}

function slotOf({ environment }: WorkContext, { name }: SeenPod): SoakSlot | undefined {
  const [, number] = /^soak-(?:worker|upload)-(\d+)-/.exec(name) ?? [];
  return number === undefined ? undefined : environment.slots[Number(number)];
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined);
}
