// What vitest's JSON report says of a part of the tests, and how `npm test` ends: a log of which only the end was kept
// must still tell what failed.

export interface PartResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What failed, one entry each, with where it is and what it said. */
  readonly failures: readonly string[];
}

interface Report {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly numPendingTests?: number;
  readonly testResults?: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

const LINES_OF_A_FAILURE = 12;

/** The result of a program that passed or failed as a whole. */
export function wholeResult(name: string, code: number): PartResult {
  return code === 0
    ? { passed: 1, failed: 0, skipped: 0, failures: [] }
    : { passed: 0, failed: 1, skipped: 0, failures: [`${name}: exit code ${code}`] };
}

/**
 * @param report What vitest wrote, empty if it wrote nothing.
 * @param code vitest's exit code.
 * @param project The folder that the report's paths are told from.
 */
export function partResult(part: string, report: string, code: number, project: string): PartResult {
  const {
    numPassedTests = 0,
    numFailedTests = 0,
    numPendingTests = 0,
    testResults = [],
  } = JSON.parse(report === "" ? "{}" : report) as Report;
  const failures = testResults.flatMap((file) => {
    const name = file.name.startsWith(`${project}/`) ? file.name.slice(project.length + 1) : file.name;
    const tests = file.assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName, failureMessages }) => failure(`${name} > ${fullName}`, failureMessages?.[0]));
    // A file that could not be loaded, or whose hook failed, has no test that did.
    return tests.length === 0 && file.status === "failed" ? [failure(name, file.message)] : tests;
  });
  // What failed outside any test has none to count, and must not pass for that.
  const outside =
    code === 0 ? 0 : Math.max(0, failures.length - numFailedTests) || (numFailedTests === 0 ? 1 : 0);
  return {
    passed: numPassedTests,
    failed: numFailedTests + outside,
    skipped: numPendingTests,
    failures:
      code !== 0 && failures.length === 0
        ? [`${part}: exit code ${code} without a test that failed: its output says why`]
        : failures,
  };
}

/** The end of the output: what failed, if anything did, and `N passed, N failed` as the last line. */
export function ending(results: readonly PartResult[]): string {
  const sum = (of: (result: PartResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const failures = results.flatMap((result) => result.failures);
  const skipped = sum((result) => result.skipped);
  return [
    ...(failures.length === 0 ? [] : ["", "── what failed", ...failures]),
    "",
    `${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed)} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
  ].join("\n");
}

function failure(where: string, message = ""): string {
  const lines = message.split("\n").filter((line) => line.trim() !== "");
  const told = lines.slice(0, LINES_OF_A_FAILURE).map((line) => `    ${line}`);
  return [where, ...told, ...(lines.length > told.length ? ["    …"] : [])].join("\n");
}
