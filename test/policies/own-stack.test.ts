import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { beforeAll, describe, expect, it } from "vitest";

import { policyViews } from "../../infra/policy-views.js";
import { render } from "../../infra/render.js";
import { readConfiguration } from "../../policies/configuration";
import { evaluate } from "../../policies/evaluation";
import type { Evaluation } from "../../policies/evaluation";
import type { ResourceView } from "../../policies/model";
import { RULES } from "../../policies/pack";
import { LOCAL_CONFIGURATION } from "../support/local-configuration.js";
import { mutationsOf } from "./mutations.js";

const TODAY = new Date("2026-11-22T00:00:00Z");

function environment(name: string): Record<string, unknown> {
  const file = fileURLToPath(new URL(`../../policies/environments/${name}.json`, import.meta.url));
  return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
}

describe("our own local stack", () => {
  const configuration = readConfiguration(RULES, environment("local"), TODAY);
  let views: ResourceView[];
  let evaluation: Evaluation;
  const judged = (resources: readonly ResourceView[]) => evaluate(RULES, resources, configuration, TODAY);

  beforeAll(async () => {
    const { resources } = await render({ stack: "local", config: LOCAL_CONFIGURATION });
    views = policyViews(resources);
    evaluation = judged(views);
  });

  it("breaks no rule and needs every exemption that it has", () => {
    expect(views.length).toBeGreaterThan(60);
    expect(evaluation).toMatchObject({ violations: [], unused: [] });
  });

  it("gives every rule something to look at, but those of a cloud it doesn't use", () => {
    const cloud = RULES.filter(({ subject, name }) => subject === "buckets" || /cloud|role-taken/.test(name));
    expect(evaluation.notApplicable.sort()).toEqual(cloud.map(({ name }) => name).sort());
  });

  it("is found out by the right rule, and by no rule that has nothing to do with it, whenever one promise is broken", () => {
    const mutations = mutationsOf(views);
    expect(mutations.length).toBeGreaterThan(100);
    const wrong = mutations.flatMap(({ name, rule, also, resources }) => {
      const found = new Set(judged(resources).violations.map((violation) => violation.rule));
      const missed = found.has(rule) ? [] : [`${name}: not found by ${rule}`];
      const strange = [...found].filter((other) => other !== rule && !also.includes(other));
      return [...missed, ...strange.map((other) => `${name}: also found by ${other}`)];
    });
    expect(wrong).toEqual([]);
  });

  it("has a mutation for every rule that looks at it", () => {
    const broken = new Set(mutationsOf(views).map(({ rule }) => rule));
    const looked = RULES.map(({ name }) => name).filter((name) => !evaluation.notApplicable.includes(name));
    expect(looked.filter((name) => !broken.has(name))).toEqual([]);
  });
});
