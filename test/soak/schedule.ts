import { random } from "../support/random.js";

/** What a worker does with its slot for as long as it is there. */
export type Role =
  /** Job after job: most are completed, some fail, some take long. */
  | "extract"
  /** One job, at work until the end of the run. */
  | "hold"
  /** As much as the volume takes, and more. */
  | "fill";

/** The part that a fault takes away. */
export type FaultKind = "worker" | "cleaner" | "postgres" | "object-storage" | "kubelet" | "node";

/** One fault, begun so many seconds after the start of the run. */
export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  /** Number of the node, or of the slot in the run, by kind. */
  readonly target: number;
  /** From 0 to 1: when, in the life of what it meets. */
  readonly moment: number;
  /** How long the part stays away before it is brought back; 0 where Kubernetes does that, or nobody. */
  readonly downSeconds: number;
}

/** What happens in a run, all of it from the seed. */
export interface Schedule {
  readonly seed: number;
  /** Of faults and work; afterwards the run waits until what is due is done. */
  readonly seconds: number;
  readonly faults: readonly Fault[];
  /** By the slot's number. */
  readonly roles: readonly Role[];
}

export interface Topology {
  readonly nodes: number;
  readonly slotsPerNode: number;
}

const KINDS: readonly FaultKind[] = ["worker", "cleaner", "postgres", "object-storage", "kubelet", "node"];
/** How often each comes, compared with the others. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  ...{ worker: 4, cleaner: 3, postgres: 2, "object-storage": 1, kubelet: 2, node: 2 },
};
/** From the end of one fault to the next, in seconds, at most. */
const LONGEST_PAUSE = 22;
/** What of a run is for the first faults of each kind themselves, in seconds. */
const DOWN_OF_ALL_KINDS = 45;
/** After so many seconds of faults comes a calm, in which what is due must go: a period and more. */
const CALM = { every: 240, seconds: 130 };
const FIRST_FAULT = 5;
/** A sweep comes once in a minute, and its pod takes some seconds to begin. */
export const SWEEP_WITHIN_SECONDS = 75;

/** The schedule of a seed: the same for the same seed, length and topology, on every machine. */
export function scheduleOf(seed: number, seconds: number, topology: Topology): Schedule {
  const next = random(seed);
  return {
    seed,
    seconds,
    faults: faultsOf(next, seconds, topology),
    roles: rolesOf(next, topology),
  };
}

function faultsOf(next: () => number, seconds: number, topology: Topology): Fault[] {
  const faults: Fault[] = [];
  // Each kind once, in an order of the seed's, and then as often as its weight says. The cleaner is the first, because
  // its fault waits for a sweep while others go on.
  const first: FaultKind[] = [
    "cleaner",
    ...shuffled(
      KINDS.filter((kind) => kind !== "cleaner"),
      next,
    ),
  ];
  // In a short run the pauses are so short that each kind comes.
  const longest = Math.min(LONGEST_PAUSE, Math.max(1, (seconds - DOWN_OF_ALL_KINDS) / KINDS.length));
  let calmAt = CALM.every;
  for (let at = FIRST_FAULT; at < seconds;) {
    const drawn = first.shift() ?? weighted(next);
    const kind =
      drawn === "cleaner" && at + SWEEP_WITHIN_SECONDS > seconds && faults.length > 0 ? "worker" : drawn;
    const fault = { at: Math.round(at), kind, ...detailsOf(kind, next, topology) };
    faults.push(fault);
    // One at a time: what two at once do is hard to tell from what one of them does.
    at += fault.downSeconds + longest * (0.4 + 0.6 * next());
    if (at > calmAt) {
      at += CALM.seconds;
      calmAt = at + CALM.every;
    }
  }
  return faults;
}

function detailsOf(
  kind: FaultKind,
  next: () => number,
  { nodes, slotsPerNode }: Topology,
): Pick<Fault, "target" | "moment" | "downSeconds"> {
  const moment = next();
  const whole = (below: number): number => Math.floor(next() * below);
  switch (kind) {
    case "worker":
      return { moment, target: whole(nodes * slotsPerNode), downSeconds: 0 };
    case "cleaner":
      return { moment, target: whole(nodes), downSeconds: 0 };
    case "postgres":
      return { moment, target: 0, downSeconds: 3 + whole(10) };
    case "object-storage":
      return { moment, target: 0, downSeconds: 0 };
    case "kubelet":
      return { moment, target: whole(nodes), downSeconds: 3 + whole(12) };
    case "node":
      // Node 0 has the control plane, the database and the S3 server; the first two are killed by themselves.
      return { moment, target: 1 + whole(nodes - 1), downSeconds: 3 + whole(10) };
  }
}

/** On each node one slot is held, and on one of all the volume is filled. */
function rolesOf(next: () => number, { nodes, slotsPerNode }: Topology): Role[] {
  const filled = Math.floor(next() * nodes);
  return Array.from({ length: nodes * slotsPerNode }, (_, slot) => {
    const onNode = slot % slotsPerNode;
    if (onNode === slotsPerNode - 1) return "hold";
    return onNode === 0 && Math.floor(slot / slotsPerNode) === filled ? "fill" : "extract";
  });
}

function weighted(next: () => number): FaultKind {
  const all = KINDS.flatMap((kind) => Array<FaultKind>(WEIGHTS[kind]).fill(kind));
  return all[Math.floor(next() * all.length)]!;
}

function shuffled<T>(items: readonly T[], next: () => number): T[] {
  return items
    .map((item) => ({ item, place: next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** The seed of one worker's work: the slot's number and how many workers it had before. */
export function seedOfWorker(seed: number, slot: number, run: number): number {
  return Math.floor(random(seed + slot * 1_009 + run * 9_176_821)() * 2 ** 31);
}
