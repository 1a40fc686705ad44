import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { beforeAll, describe, expect, it, vi } from "vitest";

import { policyViews } from "../../infra/policy-views.js";
import { readConfiguration } from "../../policies/configuration";
import { evaluate } from "../../policies/evaluation";
import type { Evaluation } from "../../policies/evaluation";
import type { ResourceView } from "../../policies/model";
import { RULES } from "../../policies/pack";
import { isPlayed, seed } from "../support/rounds.js";
import { renderedStack, STACK_NAMES } from "../support/rendered-stacks.js";
import type { StackName } from "../support/rendered-stacks.js";
import { cloudMutationsOf } from "./cloud-mutations.js";
import { mutationsOf } from "./mutations.js";
import type { Mutation } from "./mutations.js";

// A rendering is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const TODAY = new Date("2026-11-22T00:00:00Z");

function environment(name: string): Record<string, unknown> {
  const file = fileURLToPath(new URL(`../../policies/environments/${name}.json`, import.meta.url));
  return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
}

/** Each resource of these has its like in dev, and there are some hundreds of them to break. */
const LARGE: readonly StackName[] = ["staging", "production"];

const SEED = seed("MUTATIONS_SEED");
console.log(JSON.stringify({ MUTATIONS_SEED: SEED }));

describe.each(STACK_NAMES)("our own stack %s", (stack) => {
  // What is advice in an environment must hold too.
  const configuration = readConfiguration(RULES, environment(stack), TODAY);
  let views: ResourceView[];
  let evaluation: Evaluation;
  const judged = (resources: readonly ResourceView[]) => evaluate(RULES, resources, configuration, TODAY);

  beforeAll(async () => {
    const { resources } = await renderedStack(stack);
    views = policyViews(resources);
    evaluation = judged(views);
  });

  /** Where buckets are disposable, nothing about keeping one can be broken. */
  const isDisposable = JSON.stringify(environment(stack)["bucket-kept"] ?? {}).includes("true");
  const breaking = (mutations: readonly Mutation[]): Mutation[] =>
    mutations.filter(({ rule }) => !(isDisposable && rule === "bucket-kept"));
  // Each judges the whole stack: an eighth of them, another one each time, and all in a thorough run.
  const strangely = (mutations: readonly Mutation[]): string[] =>
    mutations
      .filter((_, number) => isPlayed(number, 8, SEED))
      .flatMap(({ name, rule, also, resources }) => {
        const found = new Set(judged(resources).violations.map((violation) => violation.rule));
        const missed = found.has(rule) ? [] : [`${name}: not found by ${rule}`];
        const strange = [...found].filter((other) => other !== rule && !also.includes(other));
        return [...missed, ...strange.map((other) => `${name}: also found by ${other}`)];
      });

  const exempted = (): Set<string> => new Set(evaluation.exempted.map(({ rule, urn }) => `${rule} ${urn}`));

  it("breaks no rule and needs every exemption that it has", () => {
    expect(views.length).toBeGreaterThan(30);
    expect(evaluation.violations.map(({ rule, urn, message }) => `${rule}: ${urn}: ${message}`)).toEqual([]);
    expect(evaluation.unused).toEqual([]);
  });

  it.skipIf(LARGE.includes(stack))(
    "is found out by the right rule alone, whenever one promise is broken",
    () => {
      const mutations = breaking(mutationsOf(views, exempted()));
      expect(mutations.length).toBeGreaterThan(100);
      expect(strangely(mutations)).toEqual([]);
    },
  );

  it.runIf(LARGE.includes(stack))("is found out whenever a promise about the cloud is broken", () => {
    const mutations = cloudMutationsOf(views, exempted());
    expect(mutations.length).toBeGreaterThan(20);
    expect(strangely(mutations)).toEqual([]);
  });

  it.skipIf(LARGE.includes(stack))("has a mutation for every rule that looks at it", () => {
    const broken = new Set(mutationsOf(views, exempted()).map(({ rule }) => rule));
    const looked = RULES.map(({ name }) => name).filter((name) => !evaluation.notApplicable.includes(name));
    const unbroken = looked.filter((name) => !broken.has(name));
    expect(unbroken).toEqual([]);
  });
});
