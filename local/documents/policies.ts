import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import { PROJECT } from "../paths.js";
import { table } from "./generated-parts.js";

interface Rule {
  readonly name: string;
  readonly subject: string;
  readonly level: string;
  readonly severity: string;
  readonly description: string;
  readonly limits: readonly string[];
}

/** The table of docs/policies.md. */
export async function policiesParts(): Promise<Record<string, string>> {
  const rows = (await rulesOfThePack()).map((rule) => [
    `\`${rule.name}\``,
    rule.subject,
    rule.level,
    rule.severity,
    rule.description,
    rule.limits.map((limit) => `\`${limit}\``).join(", "),
  ]);
  return { rules: table(["Rule", "Subject", "Level", "Severity", "What and why", "Limits"], rows) };
}

// Asked of the command, because the pack is CommonJS and an ES module can't import it.
async function rulesOfThePack(): Promise<Rule[]> {
  const command = join(PROJECT, "policies/command.ts");
  const args = ["--import", import.meta.resolve("tsx"), command, "--list", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Rule[];
}
