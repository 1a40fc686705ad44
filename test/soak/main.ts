// `npm run test:soak`: the whole stack on several nodes of this machine, at work and under faults, and then checked by
// a program that shares nothing with it. docs/system-test.md says what it shows and how to read its report.
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { Command, CommanderError, InvalidArgumentError } from "commander";

import { CommandError } from "../../local/command.js";
import { destroyEnvironment } from "../../local/environment/environment.js";
import { workAlone } from "../../local/exclusive.js";
import { Failure } from "../../local/failure.js";
import { PROJECT, stateDirectory } from "../../local/paths.js";
import { table } from "../../local/table.js";
import { seed as newSeed } from "../support/rounds.js";
import { startSoakEnvironment } from "./environment.js";
import type { SoakEnvironment } from "./environment.js";
import { soak } from "./soak.js";
import type { SoakReport } from "./soak.js";

interface Options {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly environment: string;
  readonly sweepSeconds: number;
  readonly report?: string;
  readonly keep?: true;
  readonly json?: true;
}

const wholeNumber = (text: string): number => {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`"${text}" is no whole number.`);
};
const number = (text: string): number => {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`"${text}" is no number.`);
};

const program = new Command("test:soak")
  .description(
    "the whole stack on several nodes, at work and under faults, checked by an independent program",
  )
  .option("--seed <number>", "what happens follows from it; a new one without it", wholeNumber)
  .option("--minutes <number>", "of work and faults; what is due then gets two minutes more", number, 18)
  .option("--nodes <number>", "nodes of the cluster, at least 2", wholeNumber, 3)
  .option("--environment <name>", "name of the environment, which is made anew and removed", "soak")
  .option("--sweep-seconds <number>", "what a sweep may take from its minute to its end", wholeNumber, 30)
  .option("--report <file>", "where the report goes; default: .local/soak-SEED.json")
  .option("--keep", "leave the environment running afterwards")
  .option("--json", "the report on stdout, and what else is said on stderr")
  .addHelpText(
    "after",
    "\nExit codes: 0 nothing was found, 1 something was, or it could not be carried out, 2 wrong usage, 130 interrupted.",
  )
  .exitOverride();

const GIVE_UP_AFTER_SECONDS = 30;

const stop = new AbortController();
let interruptedBy: number | undefined;
/** Begun at the interruption. */
let removal: Promise<boolean> | undefined;
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => {
    interruptedBy = code;
    console.error("\nInterrupted: the environment is being removed.");
    stop.abort();
    // A start can't be told to end, and ends when what it has started is gone.
    const { environment } = program.opts<Options>();
    const end = (): Promise<boolean> => destroyEnvironment(environment).catch(() => false);
    removal = end();
    setTimeout(() => void end().then(() => process.exit(code)), GIVE_UP_AFTER_SECONDS * 1000).unref();
  });
}

try {
  program.parse();
  process.exit(await run(program.opts<Omit<Options, "seed"> & { seed?: number }>()));
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  if (error instanceof Failure) console.error(`\n✗ ${error.message}\n  ${error.remedy}`);
  else if (error instanceof CommandError) console.error(`\n✗ ${error.message}`);
  else if (interruptedBy === undefined) console.error("\n✗", error);
  process.exit(interruptedBy ?? 1);
}

async function run(given: Omit<Options, "seed"> & { seed?: number }): Promise<number> {
  const options: Options = { ...given, seed: given.seed ?? newSeed("SOAK_SEED") };
  const { seed, environment: name, nodes, json } = options;
  if (nodes < 2)
    throw new Failure(
      `${nodes} node is too few: one that is killed must leave another.`,
      "Give --nodes 2 or more.",
    );
  // What is told step by step goes to stdout, which is then the report's alone.
  const print = process.stdout.write.bind(process.stdout);
  if (json) process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  const started = Date.now();
  const say = (line: string): void =>
    console.error(`${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s  ${line}`);
  const file = options.report ?? join(PROJECT, ".local", `soak-${seed}.json`);
  say(
    `seed ${seed}; again with: npm run test:soak -- --seed ${seed} --minutes ${options.minutes} --nodes ${nodes}`,
  );
  await workAlone(stateDirectory(name));
  await destroyEnvironment(name);
  let environment: SoakEnvironment | undefined;
  let failed = true;
  try {
    environment = await startSoakEnvironment(name, nodes);
    stop.signal.throwIfAborted();
    say(
      `${environment.slots.length} slots on ${nodes} nodes are ready; work and faults for ${options.minutes} min`,
    );
    const report = await soak(environment, {
      ...{ seed, seconds: options.minutes * 60, sweepSeconds: options.sweepSeconds },
      ...{ stop: stop.signal, say },
    });
    failed = report.violations.length > 0;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
    if (json) print(`${JSON.stringify(report)}\n`);
    else console.log(shown(report, file));
    return failed ? 1 : 0;
  } finally {
    environment?.close();
    if (failed && interruptedBy === undefined) await keepLogs(name, file.replace(/\.json$/, ""), nodes, say);
    // One after the other: of two at once one fails at what the other has just removed, and this process ends with it.
    // Again, since the start went on for a while.
    await removal;
    if (!options.keep) await removed(name);
    if (interruptedBy !== undefined) process.exit(interruptedBy);
  }
}

async function removed(name: string): Promise<void> {
  try {
    await destroyEnvironment(name);
  } catch (error) {
    // Else, after an interruption, it would be taken for what is expected of a start whose programs have gone.
    console.error(`\n✗ The environment is not removed: npm run destroy -- --environment ${name} does it.`);
    throw error;
  }
}

async function keepLogs(
  name: string,
  target: string,
  nodes: number,
  say: (line: string) => void,
): Promise<void> {
  const state = stateDirectory(name);
  const of = (node: number): string => (node === 0 ? state : join(state, "nodes", `node-${node}`));
  for (let node = 0; node < nodes; node++)
    await cp(join(of(node), "logs"), join(target, `node-${node}`), { recursive: true, force: true }).catch(
      () => undefined,
    );
  say(`the logs of all programs and pods are in ${target}`);
}

function shown(report: SoakReport, file: string): string {
  const { said, found, faults, violations } = report;
  const count = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([name, number]) => `${number} ${name}`)
      .join("; ");
  const lines: [string, string][] = [
    ["seed", String(report.seed)],
    ["faults", faults.map(({ kind }) => kind).join(", ")],
    ["workers said", count(said)],
    ["jobs", count(found.jobs)],
    ["deletions", count(found.audit)],
    ["sweeps", count(found.sweeps)],
    [
      "read",
      `${found.entriesOnDisks} entries on disks, ${found.objects} objects; ${found.attempts} attempts`,
    ],
    ["report", file],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  const summary = lines.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
  if (violations.length === 0) return `\n${summary}\n\n✓ nothing is otherwise than it must be`;
  const rows = violations.map(({ code, subject, detail }) => [code, subject, detail]);
  return `\n${summary}\n\n✗ ${violations.length} things are otherwise than they must be\n\n${table([["WHAT", "OF", "BECAUSE"], ...rows])}`;
}
