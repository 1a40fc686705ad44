import type { Catalogue } from "@video-storage/catalogue/connection";

import { recordedChoice } from "../cluster-choice.js";
import type { ClusterChoice } from "../cluster-choice.js";
import type { StackImages } from "../images/images.js";
import { stateDirectory } from "../paths.js";
import { destroyBuilt, openBuiltCatalogue, startBuilt, stopBuilt } from "./built.js";
import type { Slot } from "./disks.js";
import { destroyHosted, openHostedCatalogue, startHosted, stopHosted } from "./hosted/hosted.js";
import type { Database } from "./postgres.js";

/** A running environment, wherever its cluster is. */
export interface Environment {
  readonly name: string;
  readonly stateDirectory: string;
  readonly cluster: {
    /** File whose current context is the cluster's. */
    readonly kubeconfig: string;
    readonly context: string;
  };
  /** The node that has the slots. */
  readonly node: {
    readonly name: string;
    /** Parent of the slots' mount points. */
    readonly slotsDirectory: string;
  };
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
 * Brings an environment up on the chosen cluster: builds what is missing, starts what does not run, changes
 * nothing that is already right. Safe to interrupt anywhere and to run again.
 */
export function startEnvironment(
  name: string,
  choice: ClusterChoice,
  slots: readonly Slot[],
): Promise<Environment> {
  return choice.kind === "built" ? startBuilt(name, slots) : startHosted(name, choice, slots);
}

/** Ends everything that the environment started. What it stored stays. Returns whether anything ran. */
export async function stopEnvironment(name: string): Promise<boolean> {
  const choice = await recordedChoice(stateDirectory(name));
  return choice && choice.kind !== "built" ? stopHosted(name, choice) : stopBuilt(name);
}

/** Stops the environment and removes its state. Returns whether there was any. */
export async function destroyEnvironment(name: string): Promise<boolean> {
  const choice = await recordedChoice(stateDirectory(name));
  return choice && choice.kind !== "built" ? destroyHosted(name, choice) : destroyBuilt(name);
}

/** The catalogue of an environment that is running, with the administrator's login. To be closed. */
export async function openCatalogue(name: string): Promise<Catalogue> {
  const state = stateDirectory(name);
  const choice = await recordedChoice(state);
  return choice && choice.kind !== "built" ? openHostedCatalogue(state) : openBuiltCatalogue(state);
}
