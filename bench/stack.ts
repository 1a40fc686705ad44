import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { fileURLToPath, pathToFileURL } from "node:url";

import { findPulumi, preview } from "../infra/engine.js";
import { destroyEnvironment } from "../local/environment/environment.js";
import { startBareCluster } from "../local/environment/built.js";
import { buildPrograms } from "../local/build/programs.js";
import { PROJECT_DIRECTORY } from "../infra/stack-files.js";
import { median, pairs, Results } from "./lib/bars.js";
import { withSlots } from "./stack/configuration.js";

const USAGE = `usage: npm run bench:stack -- [--sizes 10,100,1000] [--rounds 3] [--no-cluster]

What the program costs: loading it, planning it and its memory, for stacks of so many slots, beside an empty
Pulumi program and beside \`kubectl apply --server-side\` of the same objects on a cluster that is made for
it. What needs a pulumi CLI on PATH or a cluster is said to be missing where there is none.
`;

const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "10,100,1000" },
    rounds: { type: "string", default: "3" },
    "no-cluster": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const sizes = values.sizes.split(",").map(Number);
const rounds = Number(values.rounds);
const directory = mkdtempSync(join(tmpdir(), "bench-stack-"));
const results = new Results("stack");
const exec = promisify(execFile);

/** The most that loading may take over an empty program, in seconds. */
const LOAD = 1.5;
/** By how much a slot of the largest stack may cost more than one of the next smaller. */
const LINEAR = 1.3;

interface Cost {
  readonly seconds: number;
  /** What the processor worked, which others on the machine disturb less. */
  readonly cpuSeconds: number;
  /** At its peak, with garbage that nobody was in a hurry to collect. */
  readonly memoryMiB: number;
  /** The most that it held after collections made on the way; only of a run with them. */
  readonly heldMiB?: number;
  readonly resources?: number;
  readonly dependencies?: number;
}

/** A cluster that isn't there: a preview needs none. */
const UNREACHABLE = JSON.stringify({
  apiVersion: "v1",
  kind: "Config",
  clusters: [{ name: "none", cluster: { server: "http://127.0.0.1:1" } }],
  users: [{ name: "none", user: {} }],
  contexts: [{ name: "bench", context: { cluster: "none", user: "none" } }],
  "current-context": "bench",
});

await inThisProcess();
await byTheEngine();
await byKubectl();
process.exit(results.finish());

/** The program under an engine in its own process: what is ours of any run. */
async function inThisProcess(): Promise<void> {
  const costs = new Map<number, Cost[]>(sizes.map((size) => [size, []]));
  const empty: Cost[] = [];
  for (let round = 0; round < rounds; round++) {
    empty.push(await declared("empty"));
    for (const size of sizes) costs.get(size)!.push(await declared(size));
  }
  const middle = (of: readonly Cost[], what: "seconds" | "cpuSeconds" | "memoryMiB") =>
    median(of.map((cost) => cost[what]));
  results.figure("empty-program-seconds", middle(empty, "seconds"));
  results.figure("empty-program-memory-MiB", middle(empty, "memoryMiB"));
  for (const size of sizes) {
    const of = costs.get(size)!;
    results.figure(`program-${size}-slots-resources`, of[0]!.resources);
    results.figure(`program-${size}-slots-dependencies`, of[0]!.dependencies);
    results.figure(`program-${size}-slots-seconds`, middle(of, "seconds"));
    results.figure(`program-${size}-slots-cpu-seconds`, middle(of, "cpuSeconds"));
    results.figure(`program-${size}-slots-memory-MiB`, middle(of, "memoryMiB"));
  }
  const smallest = costs.get(sizes[0]!)!;
  const over = middle(smallest, "seconds") - middle(empty, "seconds");
  results.bar(`load-${sizes[0]}-slots-over-empty-against-${LOAD}s`, over, LOAD, { atMost: 1 });
  linear("program-cpu-seconds", (size) => middle(costs.get(size)!, "cpuSeconds"));
  // Not of the peak: how much garbage V8 lets stand comes in leaps as large as what a hundred slots need.
  const held = new Map<number, number>();
  for (const size of sizes) {
    held.set(size, (await declared(size, { collecting: true })).heldMiB!);
    results.figure(`program-${size}-slots-held-memory-MiB`, held.get(size));
  }
  linear("program-held-memory", (size) => held.get(size)!);
  linear("program-dependencies", (size) => costs.get(size)![0]!.dependencies!);
}

/** What one slot more costs in the largest stack, against one more in the one before. */
function linear(what: string, of: (size: number) => number): void {
  const [small, large, largest] = sizes.slice(-3);
  if (small === undefined || large === undefined || largest === undefined) return;
  const late = (of(largest) - of(large)) / (largest - large);
  const early = (of(large) - of(small)) / (large - small);
  results.bar(`${what}-of-a-slot-at-${largest}-against-${large}`, late, early, { atMost: LINEAR });
}

interface DeclaredOptions {
  /** Collects garbage on the way, which takes its time, and tells what was held. */
  readonly collecting?: boolean;
  /** For the manifests. */
  readonly file?: string;
}

async function declared(what: number | "empty", options: DeclaredOptions = {}): Promise<Cost> {
  const program = fileURLToPath(new URL("./stack/program.ts", import.meta.url));
  const args = ["--import", import.meta.resolve("tsx"), program, String(what)];
  if (options.collecting) args.unshift("--expose-gc");
  if (options.file !== undefined) args.push(options.file);
  // A pulumi program is started without what `npm run` keeps of the last one.
  const env = { ...process.env };
  delete env["NODE_COMPILE_CACHE"];
  const { stdout } = await exec(process.execPath, args, { env });
  return JSON.parse(stdout) as Cost;
}

/** `pulumi preview` of the stack and of an empty program, each from nothing. */
async function byTheEngine(): Promise<void> {
  if (!findPulumi()) return results.skipped("pulumi preview", "no pulumi CLI on PATH");
  const emptyProject = join(directory, "empty");
  await exec("mkdir", ["-p", emptyProject]);
  writeFileSync(join(emptyProject, "Pulumi.yaml"), "name: empty\nruntime: nodejs\nmain: index.mjs\n");
  writeFileSync(join(emptyProject, "package.json"), '{ "type": "module" }\n');
  await exec("ln", ["-s", join(PROJECT_DIRECTORY, "node_modules"), join(emptyProject, "node_modules")]);
  writeFileSync(join(emptyProject, "index.mjs"), 'import "@pulumi/pulumi";\n');
  const env = {
    ...process.env,
    PULUMI_BACKEND_URL: pathToFileURL(directory).href,
    PULUMI_CONFIG_PASSPHRASE: "bench",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const inEmpty = (...args: string[]) => exec("pulumi", [...args, "--cwd", emptyProject], { env });
  await inEmpty("stack", "init", "bench");
  const empty = () => timed(() => inEmpty("preview", "--non-interactive"));

  const medians = new Map<number, number>();
  for (const size of sizes) {
    const options = {
      ...{ stack: "local", config: withSlots(size), stateDirectory: join(directory, `state-${size}`) },
      secretConfig: { kubeconfig: UNREACHABLE, catalogueAdminUrl: "postgresql://nobody@example.test/x" },
    };
    const { ours, theirs } = await pairs(rounds, () => timed(() => preview(options)), empty);
    medians.set(size, median(ours));
    results.figure(`preview-${size}-slots-seconds`, median(ours));
    results.figure(`preview-of-an-empty-program-beside-${size}-slots-seconds`, median(theirs));
  }
  linear("preview-seconds", (size) => medians.get(size)!);
}

/** The same objects, by the tool that everybody has. */
async function byKubectl(): Promise<void> {
  if (values["no-cluster"]) return results.skipped("kubectl apply", "--no-cluster was given");
  const name = "bench-stack";
  try {
    const kubeconfig = await startBareCluster(name);
    const kubectl = join((await buildPrograms())["kubernetes"]!, "kubernetes");
    for (const size of sizes) {
      const file = join(directory, `manifests-${size}.json`);
      await declared(size, { file });
      const args = ["kubectl", "--kubeconfig", kubeconfig, "apply", "--server-side", "-f", file];
      const large = { maxBuffer: 64 * 2 ** 20 };
      results.figure(`kubectl-apply-${size}-slots-seconds`, await timed(() => exec(kubectl, args, large)));
      results.figure(
        `kubectl-apply-again-${size}-slots-seconds`,
        await timed(() => exec(kubectl, args, large)),
      );
    }
  } catch (error) {
    results.skipped("kubectl apply", error instanceof Error ? error.message : String(error));
  } finally {
    await destroyEnvironment(name);
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}
