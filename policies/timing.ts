// Used by `npm run bench:policy`: reads resources as JSON lines and prints how long every rule took over all of
// them, as JSON. A program of its own, because an ES module can't import the pack.
import { readFileSync } from "node:fs";

import { readConfiguration } from "./configuration";
import { evaluate } from "./evaluation";
import type { ResourceView } from "./model";
import { RULES } from "./pack";

const rounds = Number(process.argv[2]);
const today = new Date();
const text = readFileSync(0, "utf8");
const views = text
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line) as ResourceView & { secretPaths: string[] })
  .map((view): ResourceView => ({ ...view, secretPaths: new Set(view.secretPaths) }));
const configuration = readConfiguration(RULES, {}, today);
const seconds = Array.from({ length: rounds }, () => {
  const start = process.hrtime.bigint();
  evaluate(RULES, views, configuration, today);
  return Number(process.hrtime.bigint() - start) / 1e9;
});
const memoryMiB = process.resourceUsage().maxRSS / 1024;
process.stdout.write(
  `${JSON.stringify({ resources: views.length, rules: RULES.length, seconds, memoryMiB })}\n`,
);
