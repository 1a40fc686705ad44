import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { suspendCronJobs } from "../support/cron-jobs.js";
import { check } from "./checker/checker.js";
import { latestOf } from "./checker/times-to-live.js";
import type { Anchor, Evidence, Violation } from "./checker/evidence.js";
import { readBucket, readCatalogue, readDisk, tryReach } from "./checker/gathering.js";
import type { SoakEnvironment } from "./environment.js";
import { watchAvailability } from "./availability.js";
import { inflict } from "./faults.js";
import { History } from "./history.js";
import type { DoneFault } from "./history.js";
import { Ledger } from "./ledger.js";
import { PodTable, hasEnded } from "./pod-table.js";
import { scheduleOf } from "./schedule.js";
import type { Schedule } from "./schedule.js";
import { Listener, endWork, hearHolders, keepAtWork, keepUploading } from "./work.js";
import type { WorkContext } from "./work.js";

export interface SoakOptions {
  readonly seed: number;
  /** Of faults and work, in seconds; what is due then gets its time besides. */
  readonly seconds: number;
  /** From the time at which a sweep is due to its end, on this machine, in seconds. */
  readonly sweepSeconds: number;
  /** Ends the run early; then nothing is checked. */
  readonly stop: AbortSignal;
  readonly say: (line: string) => void;
}

/** What a run came to. Times are milliseconds since 1970. */
export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  readonly nodes: number;
  readonly slots: number;
  readonly startedAt: number;
  readonly checkedAt: number;
  readonly faults: readonly DoneFault[];
  readonly outages: Evidence["run"]["outages"];
  /** What workers and upload workers said, how often. */
  readonly said: Readonly<Record<string, number>>;
  readonly complaints: Readonly<Record<string, number>>;
  readonly found: {
    readonly jobs: Readonly<Record<string, number>>;
    readonly audit: Readonly<Record<string, number>>;
    readonly evicted: number;
    readonly resumed: number;
    readonly sweeps: Readonly<Record<string, number>>;
    readonly objects: number;
    readonly entriesOnDisks: number;
    readonly attempts: number;
    /** Jobs whose worker was at it when all was checked. */
    readonly held: number;
    /** How long after its time a job went at the latest, in seconds, of those that nothing disturbed. */
    readonly latestSeconds: number;
  };
  readonly violations: readonly Violation[];
}

/** How often the run looks at all pods. */
const LOOK_EVERY_SECONDS = 1;
const ANCHORS_EVERY_SECONDS = 30;

/** What has to have happened, and how often, for a run to say anything. */
export const ENOUGH = { events: ["created", "completed", "failed", "uploaded"], times: 6 } as const;
/** How many times its own length a run goes on at most until that has happened, as it does later on a slow machine. */
const LONGEST_TIMES = 5;

async function untilEnough(
  ledger: Ledger,
  latest: number,
  stop: AbortSignal,
  say: (what: string) => void,
): Promise<void> {
  const rare = (): string[] =>
    ENOUGH.events
      .filter((event) => (ledger.counts[event] ?? 0) < ENOUGH.times)
      .map((event) => `${event} ${ledger.counts[event] ?? 0}`);
  while (rare().length > 0 && Date.now() < latest && !stop.aborted) {
    say(`going on until there are ${ENOUGH.times} of each: ${rare().join(", ")}`);
    await pause(10_000, stop);
  }
}

/** Lets a run happen on an environment that is up, and checks what it left. Throws when it can't be carried out. */
export async function soak(environment: SoakEnvironment, options: SoakOptions): Promise<SoakReport> {
  const { seed, seconds, stop, say } = options;
  const { nodes, slots, contract } = environment;
  const schedule = scheduleOf(seed, seconds, { nodes, slotsPerNode: slots.length / nodes });
  const startedAt = Date.now();
  const pods = new PodTable(environment.core, contract.namespace);
  const ledger = new Ledger();
  const history = new History();
  const anchors: Anchor[] = [];
  const working = new AbortController();
  const watching = new AbortController();
  stop.addEventListener("abort", () => [working, watching].forEach((one) => one.abort()));
  const context: WorkContext = { environment, schedule, pods, ledger, history, stop: working.signal };
  const listener = new Listener(context);

  // All are told to end when one of them fails.
  const failures: unknown[] = [];
  const guarded = (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => {
      if (stop.aborted) return;
      failures.push(error);
      [working, watching].forEach((one) => one.abort());
    });
  const watch = Promise.all([
    guarded(every(LOOK_EVERY_SECONDS, watching.signal, () => pods.look().catch(() => undefined))),
    guarded(every(ANCHORS_EVERY_SECONDS, watching.signal, () => noteAnchors(environment, anchors))),
    guarded(watchAvailability(environment, history, watching.signal)),
  ]);
  const work = Promise.all(
    slots.flatMap((slot) => [
      guarded(keepAtWork(context, slot, listener)),
      guarded(keepUploading(context, slot, listener)),
    ]),
  );
  await guarded(inflictAll(context, schedule, startedAt, say));
  await pause(startedAt + seconds * 1000 - Date.now(), working.signal);
  await guarded(untilEnough(ledger, startedAt + LONGEST_TIMES * seconds * 1000, working.signal, say));
  working.abort();
  await work;
  if (failures.length > 0) throw failures[0];
  stop.throwIfAborted();

  say("ending the work; the workers that hold a job go on");
  await endWork(context, listener);
  await settle(environment, pods, options);
  watching.abort();
  await watch;
  if (failures.length > 0) throw failures[0];
  await hearHolders(context, listener);

  say("reading disks, bucket and database");
  const evidence = await gather(environment, {
    startedAt,
    claims: ledger.claims,
    endedPods: history.endedPods,
    outages: history.outages,
    anchors,
    times: { ...environment.times, sweep: options.sweepSeconds },
  });
  const violations = check(evidence);
  return {
    ...{ seed, seconds, nodes, slots: slots.length, startedAt, checkedAt: Date.now() },
    faults: history.faults,
    outages: history.outages,
    said: ledger.counts,
    complaints: Object.fromEntries(ledger.complaints),
    found: summaryOf(evidence),
    violations,
  };
}

async function inflictAll(
  context: WorkContext,
  { faults }: Schedule,
  startedAt: number,
  say: SoakOptions["say"],
): Promise<void> {
  const { history, stop } = context;
  const going: Promise<void>[] = [];
  for (const fault of faults) {
    await pause(startedAt + fault.at * 1000 - Date.now(), stop);
    if (stop.aborted) break;
    const beganAt = Date.now();
    say(`fault: ${fault.kind} ${fault.target}`);
    const done = inflict(context, fault).then((met) => {
      history.faults.push({ ...fault, met, beganAt, endedAt: Date.now() });
      say(`fault over after ${Math.round((Date.now() - beganAt) / 1000)} s: ${fault.kind}, met ${met}`);
    });
    going.push(done);
    // A sweep is waited for, and Kubernetes brings back what it may; what is brought back here comes one after another.
    if (fault.downSeconds > 0) await done;
    else done.catch(() => undefined);
  }
  await Promise.all(going);
}

/** Waits until all that was due could be done, and lets no sweep begin after that. */
async function settle(
  { batch, contract, times }: SoakEnvironment,
  pods: PodTable,
  { sweepSeconds, stop, say }: SoakOptions,
): Promise<void> {
  const until = Date.now() + (times.period + sweepSeconds + 2) * 1000;
  while (Date.now() < until) {
    say(`what is due gets its time: ${Math.round((until - Date.now()) / 1000)} s`);
    await pause(Math.min(10_000, until - Date.now()), stop);
    stop.throwIfAborted();
  }
  await suspendCronJobs(batch, contract);
  // One that is never begun ends with its Job's deadline.
  const deadline = Date.now() + 300_000;
  // A Job that was made a moment ago has no pod yet.
  await pause(2_000, stop);
  for (;;) {
    await pods.look();
    const sweeping = pods.all.filter((pod) => pod.job !== undefined && !hasEnded(pod));
    if (sweeping.length === 0) return;
    if (Date.now() > deadline)
      throw new Error(`these sweeps have not ended: ${sweeping.map(({ name }) => name).join(", ")}`);
    await pause(500, stop);
  }
}

async function gather(environment: SoakEnvironment, run: Evidence["run"]): Promise<Evidence> {
  const { catalogueUrl, s3, bucket, tenants } = environment;
  const disks = [];
  for (const volume of await environment.volumes()) disks.push(await readDisk(volume));
  const objects = await readBucket(s3, bucket);
  const catalogue = await readCatalogue(catalogueUrl);
  const attempts = await tryReach(tenants, bucket, s3, objects);
  return { run, disks, bucket, objects, catalogue, attempts };
}

/** The last row of each chain, as it is now. While the database is away there is none to be noted. */
async function noteAnchors({ catalogueUrl }: SoakEnvironment, anchors: Anchor[]): Promise<void> {
  const client = new pg.Client({ connectionString: catalogueUrl, connectionTimeoutMillis: 2_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Anchor>(
      `select distinct on (volume) volume, sequence::float8, encode(hash, 'hex') as hash
       from storage.audit order by volume, sequence desc`,
    );
    anchors.push(...rows);
  } catch {
    // The next look is soon.
  } finally {
    await client.end().catch(() => undefined);
  }
}

function summaryOf(evidence: Evidence): SoakReport["found"] {
  const { catalogue, objects, disks, attempts, run } = evidence;
  const outcomes = catalogue.audit.filter(({ phase }) => phase === "outcome");
  return {
    jobs: countedBy(catalogue.jobs, ({ state, location }) => `${state}, ${location}`),
    audit: countedBy(outcomes, ({ action, details }) => `${action}: ${String(details["code"])}`),
    evicted: outcomes.filter(({ details }) => /-evicted$/.test(String(details["code"]))).length,
    resumed: outcomes.filter(({ details }) => details["resumed"] === true).length,
    sweeps: countedBy(catalogue.sweeps, ({ result }) => result),
    objects: objects.length,
    entriesOnDisks: disks.reduce((sum, { entries }) => sum + entries.length, 0),
    attempts: attempts.length,
    held: run.claims.filter(({ endingAt, pod }) => endingAt === undefined && !run.endedPods.has(pod)).length,
    latestSeconds: latestOf(evidence),
  };
}

function countedBy<T>(items: readonly T[], keyOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}

async function every(seconds: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work();
    await pause(seconds * 1000, signal);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds > 0) await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
