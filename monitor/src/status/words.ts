import type { JobState } from "@video-storage/contract/states";
import type { Level, Sweep, Verification, VolumeCondition } from "./model.js";

/** What states are called, in the terminal and on the page. */

export const LEVEL_WORDS: Readonly<Record<Level, string>> = {
  ok: "all is well",
  attention: "needs a look",
  failing: "failing",
};

export const CONDITION_WORDS: Readonly<
  Record<VolumeCondition, { readonly short: string; readonly level: Level }>
> = {
  ok: { short: "ok", level: "ok" },
  "still-full": { short: "still full", level: "attention" },
  "over-high-mark": { short: "over its mark", level: "attention" },
  "sweep-failed": { short: "sweep failed", level: "failing" },
  "sweep-late": { short: "sweep overdue", level: "failing" },
  "never-swept": { short: "never swept", level: "attention" },
  undeclared: { short: "no longer used", level: "ok" },
};

export const RESULT_WORDS: Readonly<
  Record<Sweep["result"], { readonly word: string; readonly level: Level }>
> = {
  ok: { word: "ok", level: "ok" },
  partial: { word: "partial", level: "failing" },
  failed: { word: "failed", level: "failing" },
  unfinished: { word: "at work", level: "attention" },
};

export const VERIFICATION_LEVELS: Readonly<Record<Verification["state"], Level>> = {
  ...{ "not-asked": "attention", running: "attention", intact: "ok", broken: "failing", failed: "failing" },
};

export function stateWord(state: JobState): string {
  return state === "handed-over" ? "handed over" : state;
}
