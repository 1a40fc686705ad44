// `npm run policy -- PATH…`: the pack's rules over plain Kubernetes manifests, without an engine or a cluster.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ConfigurationError, readConfiguration } from "./configuration";
import type { PackConfiguration } from "./configuration";
import { evaluate } from "./evaluation";
import type { Evaluation } from "./evaluation";
import { ManifestError, readManifests } from "./manifests";
import { RULES } from "./pack";

const USAGE = `usage: npm run policy -- PATH… [options]

Checks Kubernetes manifests (files, or folders at any depth: .yaml, .yml, .json) against the rules that
guard the storage layer. Nothing is contacted and nothing is changed.

  --environment NAME   takes levels, limits and exemptions from policies/environments/NAME.json
  --config FILE        takes them from a file, in the form of pulumi's --policy-pack-config
  --json               prints everything that was found, or with --list the rules, as JSON
  --list               prints the rules and ends
  --help               prints this

Ends with 0 when no mandatory rule is broken, 1 when one is, 2 when the options, the configuration or a
manifest can't be read, or a folder has none.

  npm run render -- --stack production --out manifests
  npm run policy -- manifests --environment production
`;

main(process.argv.slice(2));

function main(args: string[]): void {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        environment: { type: "string" },
        config: { type: "string" },
        json: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) return end(0, USAGE);
    if (values.list) return end(0, values.json ? listedAsJson() : listed());
    if (positionals.length === 0) return end(2, "", `Name a file or a folder with manifests.\n\n${USAGE}`);
    if (values.environment !== undefined && values.config !== undefined) {
      return end(2, "", "Give --environment or --config, not both.\n");
    }
    const today = new Date();
    const configuration = readConfiguration(RULES, configurationFile(values), today);
    const views = readManifests(positionals);
    const result = evaluate(RULES, views, configuration, today);
    const broken = result.violations.some(({ level }) => level === "mandatory");
    end(
      broken ? 1 : 0,
      values.json
        ? `${JSON.stringify({ objects: views.length, ...result }, null, 2)}\n`
        : report(views.length, result),
    );
  } catch (error) {
    if (error instanceof ConfigurationError)
      return end(2, "", `The configuration is wrong:\n${error.message}\n`);
    if (error instanceof ManifestError) return end(2, "", `${error.message}\n`);
    if ((error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS")) {
      return end(2, "", `${(error as Error).message}\n\n${USAGE}`);
    }
    throw error;
  }
}

function configurationFile(values: {
  environment?: string | undefined;
  config?: string | undefined;
}): PackConfiguration {
  const file =
    values.config ??
    (values.environment === undefined
      ? undefined
      : join(__dirname, "environments", `${values.environment}.json`));
  if (file === undefined) return {};
  if (values.config === undefined && (!/^[\w-]+$/.test(values.environment!) || !existsSync(file))) {
    throw new ConfigurationError([`there is no environment ${values.environment!} in policies/environments`]);
  }
  try {
    return JSON.parse(readFileSync(file, "utf8")) as PackConfiguration;
  } catch (error) {
    throw new ConfigurationError([`${file}: ${(error as Error).message}`]);
  }
}

function listed(): string {
  const width = Math.max(...RULES.map(({ name }) => name.length));
  return RULES.map(
    (rule) => `${rule.name.padEnd(width)}  ${rule.level.padEnd(9)}  ${rule.description}\n`,
  ).join("");
}

/** What a reader, or a document, wants to know of each rule. */
function listedAsJson(): string {
  const rules = RULES.map(({ name, subject, level, severity, description, limits = [] }) => {
    return { name, subject, level, severity, description, limits };
  });
  return `${JSON.stringify(rules, null, 2)}\n`;
}

function report(count: number, { violations, exempted, unused }: Evaluation): string {
  const order = { critical: 0, high: 1, medium: 2, low: 3 };
  const lines = [...violations]
    .sort((a, b) => order[a.severity] - order[b.severity] || (a.urn < b.urn ? -1 : 1))
    .map(({ level, severity, rule, urn, message }) => `${level} ${severity} ${rule}\n  ${urn}\n  ${message}`);
  const mandatory = violations.filter(({ level }) => level === "mandatory").length;
  return [
    ...lines,
    ...unused.map(
      ({ rule, exemption }) =>
        `note: the exemption of ${exemption.resource} from ${rule} is not needed; remove it`,
    ),
    `${count} objects, ${RULES.length} rules: ${mandatory} mandatory findings, ${violations.length - mandatory} advisory, ${exempted.length} exempted`,
    "",
  ].join("\n");
}

function end(code: number, output: string, complaint = ""): void {
  process.stdout.write(output);
  process.stderr.write(complaint);
  process.exitCode = code;
}
