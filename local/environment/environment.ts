import type { Catalogue } from "@video-storage/catalogue/connection";

import { recordedChoice } from "../cluster-choice.js";
import type { ClusterChoice } from "../cluster-choice.js";
import { Failure } from "../failure.js";
import type { StackImages } from "../images/images.js";
import { stateDirectory } from "../paths.js";
import { destroyBuilt, openBuiltCatalogue, startBuilt, stopBuilt } from "./built.js";
import type { Slot } from "./disks.js";
import type { Database } from "./postgres.js";

// With the client of Kubernetes, which a cluster of our own is started and ended without.
const hosted = () => import("./hosted/hosted.js");

/** A node that has slots. */
export interface EnvironmentNode {
  readonly name: string;
  /** Parent of the slots' mount points. */
  readonly slotsDirectory: string;
}

/** A running environment, wherever its cluster is. */
export interface Environment {
  readonly name: string;
  readonly stateDirectory: string;
  readonly cluster: {
    /** File whose current context is the cluster's. */
    readonly kubeconfig: string;
    readonly context: string;
  };
  /** The nodes that have the slots; the S3 server's volume is on the first. */
  readonly nodes: readonly EnvironmentNode[];
  /** Postgres, as pods reach it. */
  readonly database: Database;
  readonly images: StackImages;
  /** CIDRs that workers fetch the video from. */
  readonly videoSources: readonly string[];
  /** Where Prometheus and the programs' logs are, for people. */
  readonly prometheus: string;
  readonly logs: string;
  /** Postgres, as this machine reaches it, with the administrator's login. To be closed. */
  openCatalogue(): Promise<Catalogue>;
  /** Serves a file to the workers as the site that they extract from would, until it is closed. */
  serveVideo(file: string): Promise<{ url: string; close(): void }>;
  /** Gives Prometheus the rule file that the stack declared, and waits until it has taken it. */
  takeRules(rules: string): Promise<void>;
}

/**
 * Brings an environment up on the chosen cluster, with the slots of each of its nodes: builds what is missing,
 * starts what does not run, changes nothing that is already right. Safe to interrupt anywhere and to run again.
 * Throws {@link Failure} for several nodes on a cluster that is not built here.
 */
export async function startEnvironment(
  name: string,
  choice: ClusterChoice,
  slots: readonly (readonly Slot[])[],
): Promise<Environment> {
  if (choice.kind === "built") return startBuilt(name, slots);
  if (slots.length === 1) return (await hosted()).startHosted(name, choice, slots[0]!);
  throw new Failure(
    `${slots.length} nodes are only made for a cluster that is built here; on yours, the slots are on one.`,
    "Leave --nodes out, or build a cluster: npm start -- --build.",
  );
}

/** Ends everything that the environment started. What it stored stays. Returns whether anything ran. */
export async function stopEnvironment(name: string): Promise<boolean> {
  const choice = await recordedChoice(stateDirectory(name));
  return choice && choice.kind !== "built" ? (await hosted()).stopHosted(name, choice) : stopBuilt(name);
}

/** Stops the environment and removes its state. Returns whether there was any. */
export async function destroyEnvironment(name: string): Promise<boolean> {
  const choice = await recordedChoice(stateDirectory(name));
  return choice && choice.kind !== "built"
    ? (await hosted()).destroyHosted(name, choice)
    : destroyBuilt(name);
}

/** The catalogue of an environment that is running, with the administrator's login. To be closed. */
export async function openCatalogue(name: string): Promise<Catalogue> {
  const state = stateDirectory(name);
  const choice = await recordedChoice(state);
  return choice && choice.kind !== "built"
    ? (await hosted()).openHostedCatalogue(state)
    : openBuiltCatalogue(state);
}
