import { run } from "../command.js";
import type { Finished } from "../command.js";
import { PROJECT } from "../paths.js";

/** What the registry knows of weaknesses in the packages of the lockfile. */
export type AuditResult =
  | { readonly kind: "asked"; readonly bySeverity: Readonly<Record<string, number>> }
  /** The registry didn't answer: nothing is known, neither good nor bad. */
  | { readonly kind: "unanswered"; readonly reason: string };

const TIMEOUT_SECONDS = 60;
const LONGEST_REASON = 160;

/** Asks by `npm audit`, for what is deployed and not for what only tests use. Never throws. */
export async function askForAudit(): Promise<AuditResult> {
  const began = performance.now();
  try {
    const options = { cwd: PROJECT, timeoutSeconds: TIMEOUT_SECONDS };
    const finished = await run("npm", ["audit", "--omit=dev", "--json"], options);
    if (performance.now() - began >= TIMEOUT_SECONDS * 1000 && finished.stdout === "")
      return unanswered(`no answer within ${TIMEOUT_SECONDS} seconds`);
    return readAudit(finished);
  } catch (error) {
    return unanswered(error instanceof Error ? error.message : String(error));
  }
}

/** Reads what `npm audit --json` left. */
export function readAudit({ code, stdout, stderr }: Finished): AuditResult {
  let value: { metadata?: { vulnerabilities?: Record<string, number> }; message?: string } | null;
  try {
    value = JSON.parse(stdout) as typeof value;
  } catch {
    const [first] = `${stdout.trim()}\n${stderr.trim()}`.trim().split("\n");
    return unanswered(first ? `npm said: ${first}` : `npm ended with ${code} and said nothing`);
  }
  const found = value?.metadata?.vulnerabilities;
  if (!found) return unanswered(value?.message ?? "an answer without a result");
  const bySeverity = Object.entries(found).filter(([severity]) => severity !== "total");
  return { kind: "asked", bySeverity: Object.fromEntries(bySeverity) };
}

function unanswered(said: string): AuditResult {
  return { kind: "unanswered", reason: withoutAddresses(said).slice(0, LONGEST_REASON) };
}

/** Where the registry is, is for nobody but whom it belongs to; the report is for everybody. */
function withoutAddresses(text: string): string {
  const hosts = [...text.matchAll(ADDRESS)].map(([, host]) => host!);
  const named = hosts.reduce((rest, host) => rest.replaceAll(host, "…"), text.replace(ADDRESS, "…"));
  return named
    .replace(AFTER_A_CODE, "$1…")
    .replace(NAME_OR_NUMBERS, "…")
    .replace(/ - [A-Z]+ …$/, "");
}

const ADDRESS = /\b[a-z][a-z0-9+.-]*:\/\/(?:[^\s/@]*@)?(\[[^\]\s]*\]|[^\s/:?#'"),]+)[^\s'"),]*/gi;
/** Node.js names what it asked for right after what came of it. */
const AFTER_A_CODE = /\b((?:ENOTFOUND|EAI_AGAIN|E(?:CONN|TIMED|HOST|NET)[A-Z]+) )[^\s,]+/g;
const NAME_OR_NUMBERS = /\b(?:(?:[a-z0-9_-]+\.)+[a-z]{2,}|\d{1,3}(?:\.\d{1,3}){3})\b(?::\d+)?/gi;
