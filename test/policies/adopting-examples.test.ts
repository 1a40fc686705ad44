import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import { beforeAll, describe, expect, it } from "vitest";

import { policyViews } from "../../infra/policy-views.js";
import { readConfiguration } from "../../policies/configuration";
import { evaluate } from "../../policies/evaluation";
import { RULES } from "../../policies/pack";
import { inBackticks, projectFile, tableRows } from "../documents/markdown.js";
import { declaredBy, EXAMPLES } from "../support/adopting-examples.js";

const TODAY = new Date("2026-11-22T00:00:00Z");
const file = fileURLToPath(new URL("../../policies/environments/production.json", import.meta.url));
const limits = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
const configuration = readConfiguration(RULES, limits, TODAY);

const document = projectFile("docs/adopting-one-component.md");
const table = tableRows(document.split("<!-- policies:begin -->")[1]!.split("<!-- policies:end -->")[0]!);

/** The rules that the document says an example breaks by itself. */
function told(example: string): string[] {
  const rules = table
    .filter(([, of]) => inBackticks(of!).includes(example))
    .flatMap(([rule]) => inBackticks(rule!));
  return rules.sort();
}

describe("docs/adopting-one-component.md, of the policy pack", () => {
  const broken = new Map<string, string[]>();
  beforeAll(async () => {
    for (const example of EXAMPLES) {
      const { resources } = await declaredBy(example);
      const { violations } = evaluate(RULES, policyViews(resources), configuration, TODAY);
      broken.set(basename(example, ".ts"), [...new Set(violations.map(({ rule }) => rule))].sort());
    }
  });

  it("says which rules each example breaks without what is around it, and that it breaks no other", () => {
    const examples = EXAMPLES.map((example) => basename(example, ".ts"));
    expect(Object.fromEntries(broken)).toEqual(Object.fromEntries(examples.map((one) => [one, told(one)])));
  });

  it("names examples that there are", () => {
    const named = table.flatMap(([, of]) => inBackticks(of!));
    expect(named.filter((example) => !broken.has(example))).toEqual([]);
  });
});
