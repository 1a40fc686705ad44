// `npm run bench:policy`: what the policy pack costs on the rendered stack.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { policyViews } from "../infra/policy-views.js";
import { render } from "../infra/render.js";
import { Results, median } from "./lib/bars.js";
import { withSlots } from "./stack/configuration.js";

const USAGE = `usage: npm run bench:policy -- [--slots 320]

How long all rules of the policy pack take over the rendered stack \`local\` with so many slots, which makes
about three resources for each. The bar: two seconds for a thousand resources, the first round included.
`;

const SECONDS_PER_THOUSAND = 2;
const ROUNDS = 7;

const { values } = parseArgs({
  options: { slots: { type: "string", default: "320" }, help: { type: "boolean", default: false } },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const { resources } = await render({ stack: "local", config: withSlots(Number(values.slots)) });
const lines = policyViews(resources).map(({ secretPaths, ...view }) =>
  JSON.stringify({ ...view, secretPaths: [...secretPaths] }),
);
const timing = fileURLToPath(new URL("../policies/timing.ts", import.meta.url));
const { stdout, status, stderr } = spawnSync(
  process.execPath,
  ["--import", import.meta.resolve("tsx"), timing, String(ROUNDS)],
  { input: lines.join("\n"), encoding: "utf8", maxBuffer: 2 ** 24 },
);
if (status !== 0) throw new Error(stderr);
const measured = JSON.parse(stdout) as {
  resources: number;
  rules: number;
  seconds: number[];
  memoryMiB: number;
};
const results = new Results("policy");
const allowed = (SECONDS_PER_THOUSAND * measured.resources) / 1_000;
results.figure("resources", measured.resources);
results.figure("rules", measured.rules);
results.figure("seconds", measured.seconds);
results.figure("memoryMiB", measured.memoryMiB);
results.bar("all-rules-first-round", measured.seconds[0]!, allowed, { atMost: 1 });
results.bar("all-rules", median(measured.seconds), allowed, { atMost: 1 });
process.exit(results.finish());
