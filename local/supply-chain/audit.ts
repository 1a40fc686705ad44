import { run } from "../command.js";
import { PROJECT } from "../paths.js";

/** What the registry knows of weaknesses in the packages of the lockfile. */
export type AuditResult =
  | { readonly kind: "asked"; readonly bySeverity: Readonly<Record<string, number>> }
  /** The registry didn't answer: nothing is known, neither good nor bad. */
  | { readonly kind: "unanswered"; readonly reason: string };

const TIMEOUT_SECONDS = 60;

/** Asks by `npm audit`, for what is deployed and not for what only tests use. Never throws. */
export async function askForAudit(): Promise<AuditResult> {
  try {
    const options = { cwd: PROJECT, timeoutSeconds: TIMEOUT_SECONDS };
    return readAudit((await run("npm", ["audit", "--omit=dev", "--json"], options)).stdout);
  } catch (error) {
    return { kind: "unanswered", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Reads what `npm audit --json` printed. */
export function readAudit(output: string): AuditResult {
  let value: { metadata?: { vulnerabilities?: Record<string, number> }; message?: string };
  try {
    value = JSON.parse(output) as typeof value;
  } catch {
    return { kind: "unanswered", reason: `no answer within ${TIMEOUT_SECONDS} seconds` };
  }
  const found = value.metadata?.vulnerabilities;
  if (!found) {
    // The address in it is a registry's, and the report is for everybody.
    const reason = value.message?.replace(/ - \w+ \S+$/, "") ?? "an answer without a result";
    return { kind: "unanswered", reason };
  }
  const bySeverity = Object.entries(found).filter(([severity]) => severity !== "total");
  return { kind: "asked", bySeverity: Object.fromEntries(bySeverity) };
}
