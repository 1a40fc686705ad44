import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";

import { run } from "./command.js";
import { Failure } from "./failure.js";
import { writeWholeFile } from "./whole-file.js";

/** On which cluster an environment runs: somebody's own, one that kind makes for it, or one built here. */
export type ClusterKind = "context" | "kind" | "built";

/** What is kept of the choice, for every later command to follow. */
export interface RecordedChoice {
  readonly kind: ClusterKind;
  /** Of a kubeconfig; only with kind `context`. */
  readonly context?: string;
  /** Value of KUBECONFIG that the context was found by; the default file without it. */
  readonly kubeconfig?: string;
  /** Command that brings an OCI archive to the cluster's nodes, `{}` standing for its path. */
  readonly imageLoader?: string;
}

export interface ClusterChoice extends RecordedChoice {
  /** For people; follows "because". */
  readonly why: string;
}

/** What the user asked for. */
export interface ClusterWishes {
  readonly context?: string | undefined;
  readonly imageLoader?: string | undefined;
  /** Value of KUBECONFIG. */
  readonly kubeconfig?: string | undefined;
  /** Build one, whatever else there is. */
  readonly build?: boolean | undefined;
}

/** What was found on this machine. */
export interface Surroundings {
  /** The choice of this environment's first start. */
  readonly recorded?: RecordedChoice | undefined;
  readonly kindOnPath: boolean;
  readonly dockerAnswers: boolean;
}

/**
 * Decides on which cluster an environment runs. One that was started stays where it is, because its data is
 * there; otherwise the context that was asked for, then kind where it has its Docker, then a cluster of our own.
 * Throws {@link Failure} for wishes that contradict each other or what was started.
 */
export function chooseCluster(wishes: ClusterWishes, found: Surroundings): ClusterChoice {
  const { context, imageLoader, kubeconfig, build = false } = wishes;
  if (context !== undefined && build) {
    throw new Failure(
      `--context ${context} and building a cluster exclude each other.`,
      "Leave one of them out.",
    );
  }
  const { recorded } = found;
  if (recorded) {
    const other =
      (context !== undefined && context !== recorded.context) || (build && recorded.kind !== "built");
    if (other) {
      throw new Failure(
        `This environment was started on ${describeCluster(recorded)}, and its data is there.`,
        "Run npm run destroy first, or give another name to --environment.",
      );
    }
    return {
      ...recorded,
      ...(recorded.kind === "context" && kubeconfig !== undefined && { kubeconfig }),
      ...(recorded.kind === "context" && imageLoader !== undefined && { imageLoader }),
      why: "this environment was started on it",
    };
  }
  if (context !== undefined) {
    return {
      kind: "context",
      context,
      ...(kubeconfig !== undefined && { kubeconfig }),
      ...(imageLoader !== undefined && { imageLoader }),
      why: `--context ${context} was given`,
    };
  }
  if (build) return { kind: "built", why: "that was asked for" };
  if (found.kindOnPath && found.dockerAnswers)
    return { kind: "kind", why: "kind is on PATH and Docker answers" };
  return {
    kind: "built",
    why: found.kindOnPath
      ? "kind is on PATH, but Docker does not answer, and no --context was given"
      : "kind is not on PATH, and no --context was given",
  };
}

/** In words, for people. */
export function describeCluster({ kind, context }: RecordedChoice): string {
  if (kind === "context") return `your cluster, context ${context}`;
  return kind === "kind" ? "a cluster of its own that kind makes" : "a cluster of its own, built here";
}

/** The choice for an environment on this machine as it is. */
export async function chooseClusterHere(
  stateDirectory: string,
  wishes: ClusterWishes,
): Promise<ClusterChoice> {
  const recorded = await recordedChoice(stateDirectory);
  const [kindOnPath, dockerAnswers] =
    recorded || wishes.context !== undefined || wishes.build
      ? [false, false]
      : await Promise.all([succeeds("kind", ["version"]), succeeds("docker", ["info"])]);
  const kubeconfig = wishes.kubeconfig
    ?.split(delimiter)
    .map((file) => resolve(file))
    .join(delimiter);
  return chooseCluster({ ...wishes, kubeconfig }, { recorded, kindOnPath, dockerAnswers });
}

/** What an earlier start has recorded, if there was one. */
export async function recordedChoice(stateDirectory: string): Promise<RecordedChoice | undefined> {
  const text = await readFile(choiceFile(stateDirectory), "utf8").catch(() => undefined);
  if (text !== undefined) return JSON.parse(text) as RecordedChoice;
  // Its network is the first thing that a built cluster keeps.
  return existsSync(join(stateDirectory, "network.json")) ? { kind: "built" } : undefined;
}

/** Keeps the choice; to be done before anything is made that only a later command can remove. */
export async function recordChoice(stateDirectory: string, choice: RecordedChoice): Promise<void> {
  const { kind, context, kubeconfig, imageLoader } = choice;
  await mkdir(stateDirectory, { recursive: true });
  const content = JSON.stringify({ kind, context, kubeconfig, imageLoader }, undefined, 2);
  await writeWholeFile(choiceFile(stateDirectory), `${content}\n`);
}

function choiceFile(stateDirectory: string): string {
  return join(stateDirectory, "cluster-choice.json");
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  // A Docker client whose daemon is stuck waits for it without end.
  const finished = await run(program, args, { timeoutSeconds: 10 }).catch(() => undefined);
  return finished?.code === 0;
}
