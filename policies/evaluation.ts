import { holds, isAbout } from "./configuration";
import type { Exemption, Level, RuleConfiguration } from "./configuration";
import { Stack, kindOf, nameOf, namespaceOf } from "./model";
import type { Finding, ResourceView, Rule, Severity } from "./model";

/** A promise that a resource breaks. */
export interface Violation extends Finding {
  readonly rule: string;
  readonly level: Level;
  readonly severity: Severity;
}

export interface Evaluation {
  readonly violations: readonly Violation[];
  /** Findings that somebody has exempted. */
  readonly exempted: readonly (Finding & { readonly rule: string; readonly reason: string })[];
  /** Exemptions that no finding needed. They are to be removed, or they will hide the next one. */
  readonly unused: readonly { readonly rule: string; readonly exemption: Exemption }[];
  /** Rules that had nothing to look at: they neither passed nor failed. */
  readonly notApplicable: readonly string[];
}

/** What all rules find in a stack, with each rule's configuration. */
export function evaluate(
  rules: readonly Rule[],
  resources: readonly ResourceView[],
  configuration: ReadonlyMap<string, RuleConfiguration>,
  today: Date,
): Evaluation {
  const stack = new Stack(resources);
  const byUrn = new Map(resources.map((resource) => [resource.urn, resource]));
  const [violations, exempted, unused, notApplicable]: [
    Violation[],
    Evaluation["exempted"][number][],
    Evaluation["unused"][number][],
    string[],
  ] = [[], [], [], []];
  for (const rule of rules) {
    const { level, limits, exemptions } = configuration.get(rule.name)!;
    if (level === "disabled") continue;
    const looked = looksAt(rule, stack);
    if (looked.length === 0) notApplicable.push(rule.name);
    const findings =
      "check" in rule
        ? looked.flatMap((resource) =>
            rule.check(resource, limits).map((message) => ({ urn: resource.urn, message })),
          )
        : rule.checkStack(stack, limits);
    const used = new Set<Exemption>();
    for (const finding of findings) {
      const verdict = judge(finding, identitiesOf(byUrn.get(finding.urn)), exemptions, today);
      if (verdict.exemption) used.add(verdict.exemption);
      if (verdict.exempt) exempted.push({ rule: rule.name, ...finding, reason: verdict.exemption!.reason });
      else
        violations.push({
          rule: rule.name,
          level,
          severity: rule.severity,
          ...finding,
          message: verdict.message,
        });
    }
    unused.push(
      ...exemptions
        .filter((exemption) => !used.has(exemption))
        .map((exemption) => ({ rule: rule.name, exemption })),
    );
  }
  return { violations, exempted, unused, notApplicable };
}

/** The resources that a rule has something to say of. */
export function looksAt(rule: Rule, stack: Stack): readonly ResourceView[] {
  return "check" in rule ? stack.resources.filter(rule.appliesTo) : rule.subjectsOf(stack);
}

/** Whether a finding is exempted, and its message, which also tells of an exemption that has ended. */
export function judge(
  { message }: Finding,
  identities: readonly string[],
  exemptions: readonly Exemption[],
  today: Date,
): { exempt: boolean; message: string; exemption?: Exemption } {
  const about = exemptions.filter((exemption) => isAbout(exemption, identities, message));
  const valid = about.find((exemption) => holds(exemption, today));
  if (valid) return { exempt: true, message, exemption: valid };
  const ended = about[0];
  return ended
    ? {
        exempt: false,
        message: `${message} (the exemption "${ended.reason}" ended on ${ended.until})`,
        exemption: ended,
      }
    : { exempt: false, message };
}

/** What an exemption may call a resource. */
export function identitiesOf(resource: ResourceView | undefined): string[] {
  if (!resource) return [];
  const kind = kindOf(resource);
  const inCluster = kind === undefined ? [] : [`${kind}/${namespaceOf(resource)}/${nameOf(resource) ?? ""}`];
  return [resource.urn, resource.name, ...inCluster];
}
