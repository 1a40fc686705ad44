// `npm test`: everything that must hold before a change is in, the fast things first. Ends with one line,
// `N passed, N failed`, and exits with 0 only if none failed. With `--thorough` the randomised tests play all of their
// rounds (test/support/rounds.ts); otherwise words are the parts to run (`checks` are types, lint and
// format), and without any all run.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { PROJECT } from "./paths.js";

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const CHECKS: readonly (readonly string[])[] = [
  ["tsc", "--project", "tsconfig.json"],
  ["tsc", "--project", "policies/tsconfig.json", "--noEmit"],
  ["tsc", "--project", "monitor/src/status/page/tsconfig.json"],
  ["eslint", "."],
  ["prettier", "--check", "--log-level", "warn", "."],
];
const PROJECTS = ["fast", "alerts", "object-storage", "local", "local-shared"] as const;

const words = process.argv.slice(2);
const wanted = words.filter((word) => word !== "--thorough");
if (words.includes("--thorough")) process.env["TEST_THOROUGH"] = "1";
const parts: readonly string[] = ["checks", ...PROJECTS];
const unknown = wanted.filter((word) => !parts.includes(word));
const runs = (part: string): boolean => wanted.length === 0 || wanted.includes(part);
if (unknown.length > 0) {
  console.error(
    `usage: npm test [-- [--thorough] [${parts.join("] [")}]]; there is no ${unknown.join(", ")}`,
  );
  process.exit(2);
}
const reports = await mkdtemp(join(tmpdir(), "video-storage-test-"));
const results: Counts[] = [];
try {
  for (const [program, ...args] of runs("checks") ? CHECKS : []) {
    console.log(`\n── ${program} ${args.join(" ")}`);
    const failed = (await run(program!, args)) === 0 ? 0 : 1;
    results.push({ passed: 1 - failed, failed, skipped: 0 });
  }
  for (const project of PROJECTS) {
    if (!runs(project)) continue;
    console.log(`\n── tests: ${project}`);
    const report = join(reports, `${project}.json`);
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const code = await run("vitest", ["run", "--project", project, ...reporters]);
    results.push(await counted(report, code));
  }
  if (wanted.length === 0) {
    // After the tests, which build the images whose sizes it tells.
    console.log("\n── licences, npm audit, sizes of images");
    const failed = (await run("node", ["--import", "tsx", "local/supply-chain/main.ts"])) === 0 ? 0 : 1;
    results.push({ passed: 1 - failed, failed, skipped: 0 });
  }
} finally {
  await rm(reports, { recursive: true, force: true });
}

const sum = (of: (counts: Counts) => number): number =>
  results.reduce((total, counts) => total + of(counts), 0);
const failed = sum((counts) => counts.failed);
const skipped = sum((counts) => counts.skipped);
console.log(
  `\n${sum((counts) => counts.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
);
process.exit(failed === 0 ? 0 : 1);

async function counted(report: string, code: number): Promise<Counts> {
  const text = await readFile(report, "utf8").catch(() => "{}");
  const {
    numPassedTests = 0,
    numFailedTests = 0,
    numPendingTests = 0,
  } = JSON.parse(text) as Record<string, number>;
  // A file that could not even be loaded has no tests to count, and must not pass for that.
  const broken = code !== 0 && numFailedTests === 0 ? 1 : 0;
  return { passed: numPassedTests, failed: numFailedTests + broken, skipped: numPendingTests };
}

function run(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: PROJECT, stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", reject).once("exit", (code) => resolve(code ?? 1));
  });
}
