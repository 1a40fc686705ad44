// Declares a program to an engine in this process and says what that took. For processes of their own:
//
//   node --import tsx bench/stack/program.ts empty
//   node --import tsx bench/stack/program.ts SLOTS [FILE for the manifests]
//   node --expose-gc --import tsx bench/stack/program.ts SLOTS     the memory that it holds, and slowly
import { writeFileSync } from "node:fs";

import { peakMemoryBytes } from "../lib/memory.js";
import { withSlots } from "./configuration.js";

const [what, file] = process.argv.slice(2);
const result: Record<string, number> = {};
/** What is collected after so many resources, each time. */
const COLLECTED_EVERY = 40;
const { gc } = globalThis;
let mostHeld = 0;

if (what === "empty") {
  const pulumi = await import("@pulumi/pulumi");
  await pulumi.runtime.setMocks({
    call: ({ inputs }) => inputs,
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
  });
  new pulumi.ComponentResource("bench:bench:Empty", "empty");
  await pulumi.runtime.disconnect();
} else {
  const { renderProgram } = await import("../../infra/render-program.js");
  const rendered = await renderProgram({
    ...{ stack: "local", config: withSlots(Number(what)) },
    onDeclared: (count) => {
      if (gc === undefined || count % COLLECTED_EVERY !== 0) return;
      gc();
      mostHeld = Math.max(mostHeld, process.memoryUsage().heapUsed);
    },
  });
  result["resources"] = rendered.resources.length;
  result["dependencies"] = rendered.resources.reduce((sum, { dependencies }) => sum + dependencies.length, 0);
  if (file !== undefined) {
    const list = { apiVersion: "v1", kind: "List", items: rendered.manifests.map(({ object }) => object) };
    writeFileSync(file, JSON.stringify(list));
  }
}
const { user, system } = process.cpuUsage();
result["seconds"] = process.uptime();
result["cpuSeconds"] = (user + system) / 1e6;
result["memoryMiB"] = peakMemoryBytes() / 2 ** 20;
if (gc !== undefined) result["heldMiB"] = mostHeld / 2 ** 20;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
