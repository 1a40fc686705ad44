import { bytesOf, DEFAULT_LIMITS, LIMIT_SCHEMAS } from "./limits";
import type { Limits } from "./limits";
import { escaped } from "./model";
import type { Rule } from "./model";

/** How much a finding of a rule means. */
export type Level = "mandatory" | "advisory" | "disabled";

/** A resource that a rule lets go, because somebody has said why and until when. */
export interface Exemption {
  /** The resource's URN, its name, or `Kind/namespace/name`; `*` stands for any text. */
  readonly resource: string;
  /** Part of the finding's message; without it, all findings of the rule on the resource are meant. */
  readonly finding?: string;
  /** Why; at least ten characters. */
  readonly reason: string;
  /** The last day on which it holds, as YYYY-MM-DD; at most a year ahead. */
  readonly until: string;
}

/** What is configured for one rule. */
export interface RuleConfiguration {
  readonly level: Level;
  readonly limits: Limits;
  readonly exemptions: readonly Exemption[];
}

/** The content of a configuration file, as `pulumi preview --policy-pack-config` takes it. */
export type PackConfiguration = Readonly<Record<string, unknown>>;

const LEVELS: readonly string[] = ["mandatory", "advisory", "disabled", "remediate"];
const DAY = 86_400_000;
const LONGEST_DAYS = 366;
const SHORTEST_REASON = 10;

/** The configuration is wrong; the message names every problem. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  constructor(readonly problems: readonly string[]) {
    super(problems.map((problem) => `- ${problem}`).join("\n"));
  }
}

/**
 * What the file says of each rule, with the defaults where it says nothing. Throws
 * {@link ConfigurationError} with all problems: unknown rules, settings a rule doesn't have, wrong types,
 * exemptions without a reason or an end.
 */
export function readConfiguration(
  rules: readonly Rule[],
  file: PackConfiguration,
  today: Date,
): ReadonlyMap<string, RuleConfiguration> {
  const problems: string[] = [];
  const names = new Set(rules.map(({ name }) => name));
  for (const key of Object.keys(file)) {
    if (key !== "all" && !names.has(key))
      problems.push(`${key}: there is no such rule; there are ${[...names].sort().join(", ")}`);
  }
  const common = levelOf("all", file["all"], problems);
  const result = new Map<string, RuleConfiguration>();
  for (const rule of rules) {
    const given = file[rule.name];
    const settings = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : {};
    const level = levelOf(rule.name, given, problems) ?? common ?? rule.level;
    result.set(rule.name, { level, ...ruleSettings(rule, settings, today, problems) });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return result;
}

/**
 * The limits and exemptions that are given for one rule. Problems are added to `problems`, and what they are
 * about is taken as not given.
 */
export function ruleSettings(
  rule: Rule,
  given: Readonly<Record<string, unknown>>,
  today: Date,
  problems: string[],
): { limits: Limits; exemptions: readonly Exemption[] } {
  const limits: Record<string, unknown> = { ...DEFAULT_LIMITS };
  for (const [key, value] of Object.entries(given)) {
    if (key === "exemptions" || key === "enforcementLevel") continue;
    if (!(rule.limits ?? []).includes(key as keyof Limits)) {
      const known = ["enforcementLevel", "exemptions", ...(rule.limits ?? [])].join(", ");
      problems.push(`${rule.name}.${key}: there is no such setting; there are ${known}`);
      continue;
    }
    const allowed = allowedUnless(value, key as keyof Limits);
    if (allowed === undefined) limits[key] = value;
    else problems.push(`${rule.name}.${key}: is ${JSON.stringify(value)}; write ${allowed}`);
  }
  return {
    limits: limits as unknown as Limits,
    exemptions: exemptionsOf(rule.name, given["exemptions"], today, problems),
  };
}

/** What a limit may be, where the value is something else. */
function allowedUnless(value: unknown, limit: keyof Limits): string | undefined {
  const { type, isSize } = LIMIT_SCHEMAS[limit];
  if (typeName(value) !== type) return `a value of type ${type}`;
  // No size would compare as any, and nothing can be divided by a speed of 0.
  return isSize && !((bytesOf(value) ?? 0n) > 0n) ? "a size above 0, such as 64Mi" : undefined;
}

function levelOf(name: string, given: unknown, problems: string[]): Level | undefined {
  const level =
    typeof given === "object" && given !== null
      ? (given as Record<string, unknown>)["enforcementLevel"]
      : given;
  if (level === undefined) return undefined;
  if (typeof level !== "string" || !LEVELS.includes(level)) {
    problems.push(`${name}: level is ${JSON.stringify(level)}; allowed are ${LEVELS.join(", ")}`);
    return undefined;
  }
  // What a remedy leaves is as bad as it was.
  return level === "remediate" ? "mandatory" : (level as Level);
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

function exemptionsOf(name: string, given: unknown, today: Date, problems: string[]): Exemption[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) {
    problems.push(`${name}.exemptions: write a list of {resource, reason, until}`);
    return [];
  }
  return given.flatMap((entry: unknown, index) => {
    const { resource, finding, reason, until, ...unknown } = (entry ?? {}) as Record<string, unknown>;
    const where = `${name}.exemptions[${index}]`;
    const wrong: string[] = Object.keys(unknown).map((key) => `${where}.${key}: there is no such field`);
    if (typeof resource !== "string" || resource.replaceAll("*", "") === "") {
      wrong.push(`${where}.resource: name the resource, by URN, name or Kind/namespace/name`);
    }
    if (finding !== undefined && typeof finding !== "string")
      wrong.push(`${where}.finding: write a part of the message`);
    if (typeof reason !== "string" || reason.trim().length < SHORTEST_REASON) {
      wrong.push(`${where}.reason: say why, in ${SHORTEST_REASON} characters or more`);
    }
    const end = typeof until === "string" && /^\d{4}-\d{2}-\d{2}$/.test(until) ? Date.parse(until) : NaN;
    if (Number.isNaN(end)) wrong.push(`${where}.until: write the last day, as YYYY-MM-DD`);
    else if (end - today.getTime() > LONGEST_DAYS * DAY)
      wrong.push(`${where}.until: is more than a year ahead; look again sooner`);
    problems.push(...wrong);
    return wrong.length > 0 ? [] : [entry as Exemption];
  });
}

/** Whether an exemption still holds; its last day counts. */
export function holds({ until }: Exemption, today: Date): boolean {
  return today.getTime() < Date.parse(until) + DAY;
}

/** Whether an exemption is about a finding. */
export function isAbout(exemption: Exemption, identities: readonly string[], message: string): boolean {
  const pattern = new RegExp(`^${exemption.resource.split("*").map(escaped).join(".*")}$`);
  return (
    identities.some((identity) => pattern.test(identity)) &&
    (exemption.finding === undefined || message.includes(exemption.finding))
  );
}
