// `npm test`: everything that must hold before a change is in, the fast things first. Ends with one line,
// `N passed, N failed`, and exits with 0 only if none failed. With `--thorough` the randomised tests play all of their
// rounds (test/support/rounds.ts), and what takes ten minutes runs too; otherwise words are the parts to run (`checks` are types,
// lint and format), and without any all run.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

import { RUNS_TYPESCRIPT } from "../infra/typescript.js";
import { unpackDebianPackages } from "./build/debian-packages.js";
import { buildPrograms } from "./build/programs.js";
import { Failure } from "./failure.js";
import { PROJECT } from "./paths.js";
import { closedDirectories, withOpened } from "./reachable.js";
import { ending, partResult, wholeResult } from "./test-results.js";
import type { PartResult } from "./test-results.js";

/** Where a program's output goes: as it comes, or into a file that is printed once its part has ended. */
type Output = "inherit" | number;

const CHECKS: readonly (readonly string[])[] = [
  // Types and lint at once, by the tsconfig.json nearest to each file. It knows no more the kind of modules that a policy
  // pack has to be.
  ["oxlint", "--type-aware", "--type-check", "--ignore-pattern", "policies/**"],
  ["oxlint", "policies"],
  ["tsc", "--project", "policies/tsconfig.json", "--noEmit"],
  ["oxfmt", "--check"],
];
// Side by side, because the tests of an environment mostly wait for its clock, and the others for the processor; and
// such that none is long at work when the others have ended.
const LANES = [
  ["checks", "fast"],
  ["local", "object-storage", "local-variants"],
  ["local-started", "alerts", "local-alerts"],
] as const;
/** What vitest's configuration has in two, because it can only run them differently. */
const IN_TWO: Readonly<Partial<Record<string, readonly string[]>>> = {
  fast: ["fast", "fast-declaring"],
  "local-started": ["local-started", "local-ended"],
};
/** Ten minutes each: `npm run test:thorough`, and by their names. */
const ONLY_THOROUGH: readonly string[] = ["local-variants", "local-alerts"];

const words = process.argv.slice(2);
const wanted = words.filter((word) => word !== "--thorough");
const thorough = words.includes("--thorough");
if (thorough) process.env["TEST_THOROUGH"] = "1";
const parts: readonly string[] = LANES.flat();
const unknown = wanted.filter((word) => !parts.includes(word));
const runs = (part: string): boolean =>
  wanted.length === 0 ? thorough || !ONLY_THOROUGH.includes(part) : wanted.includes(part);
if (unknown.length > 0) {
  console.error(
    `usage: npm test [-- [--thorough] [${parts.join("] [")}]]; there is no ${unknown.join(", ")}`,
  );
  process.exit(2);
}
const running = new Set<ChildProcess>();
let interruptedBy: NodeJS.Signals | undefined;
const closed = process.getuid?.() === 0 ? closedDirectories(PROJECT) : [];
if (closed.length > 0) {
  // Databases and sweeps are other users in the tests, as they are in pods, and would not find their programs.
  const [program, ...args] = withOpened(closed, [
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ]);
  passSignalsOn();
  process.exit(await run(program!, args));
}
const lanes = LANES.map((lane) => lane.filter(runs)).filter((lane) => lane.length > 0);
// What they need is built before: lanes would wait for it in the time that is a test's.
if (lanes.length > 1) await build();
passSignalsOn();
const reports = await mkdtemp(join(tmpdir(), "video-storage-test-"));
const results: PartResult[] = [];
try {
  await Promise.all(
    lanes.map(async (lane, index) => {
      for (const part of lane) if (interruptedBy === undefined) await runPart(part, index === 0);
    }),
  );
  if (wanted.length === 0 && interruptedBy === undefined) {
    // After the tests, which build the images whose sizes it tells.
    console.log("\n── licences, npm audit, sizes of images");
    const code = await run("node", [...RUNS_TYPESCRIPT, "local/supply-chain/main.ts"]);
    results.push(wholeResult("licences, npm audit, sizes of images", code));
  }
} finally {
  await rm(reports, { recursive: true, force: true });
}
if (interruptedBy !== undefined) {
  console.error("\nInterrupted before everything was tested.");
  process.exit(128 + constants.signals[interruptedBy]);
}

console.log(ending(results));
process.exit(results.every(({ failed }) => failed === 0) ? 0 : 1);

/** A signal to this process alone ends what it runs, and this process when that has ended. */
function passSignalsOn(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interruptedBy = signal;
      // A terminal's Ctrl-C has reached them, and vitest takes a second one for "at once, without tidying up".
      if (signal !== "SIGINT") for (const child of running) child.kill(signal);
    });
  }
}

/** Without it those tests fail that need it, and say why. */
async function build(): Promise<void> {
  try {
    await unpackDebianPackages();
    await buildPrograms("all");
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`${error.message} ${error.remedy}`);
  }
}

async function runPart(part: string, live: boolean): Promise<void> {
  const started = Date.now();
  if (live) {
    await (part === "checks" ? check("inherit") : test(part, "inherit"));
  } else {
    console.log(`\n── tests: ${part}, beside the others: their output follows when they have ended`);
    const log = join(reports, `${part}.log`);
    const output = openSync(log, "w");
    await test(part, output).finally(() => closeSync(output));
    process.stdout.write(await readFile(log));
  }
  console.log(`── ${part} took ${Math.round((Date.now() - started) / 1000)} s`);
}

async function check(output: Output): Promise<void> {
  for (const [program, ...args] of CHECKS) {
    if (interruptedBy !== undefined) return;
    console.log(`\n── ${program} ${args.join(" ")}`);
    results.push(wholeResult([program, ...args].join(" "), await run(program!, args, output)));
  }
}

async function test(project: string, output: Output): Promise<void> {
  if (output === "inherit") console.log(`\n── tests: ${project}`);
  const report = join(reports, `${project}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const projects = (IN_TWO[project] ?? [project]).flatMap((name) => ["--project", name]);
  const code = await run("vitest", ["run", ...projects, ...reporters], output);
  // Not there when vitest ended before its tests did.
  results.push(partResult(project, await readFile(report, "utf8").catch(() => ""), code, PROJECT));
}

function run(program: string, args: readonly string[], output: Output = "inherit"): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: PROJECT, stdio: ["ignore", output, output] });
    running.add(child);
    child.once("error", reject).once("exit", (code, signal) => {
      running.delete(child);
      resolve(code ?? 128 + constants.signals[signal!]);
    });
  });
}
