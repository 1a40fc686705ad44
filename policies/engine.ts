import type { Policies, PolicyConfigSchema, PolicyResource, ResourceValidationArgs } from "@pulumi/policy";

import { ruleSettings } from "./configuration";
import type { Exemption } from "./configuration";
import { identitiesOf, judge, looksAt } from "./evaluation";
import { LIMIT_SCHEMAS } from "./limits";
import type { Limits } from "./limits";
import { Stack, UNKNOWN } from "./model";
import type { Finding, ResourceView, Rule } from "./model";

/** The rules as the engine runs them. Levels come from the engine's own configuration. */
export function enginePolicies(rules: readonly Rule[], today: () => Date): Policies {
  return rules.map((rule) => {
    const { name, description, level: enforcementLevel, severity, subject } = rule;
    const about = {
      name,
      description,
      enforcementLevel,
      severity,
      tags: [subject],
      configSchema: schemaOf(rule),
    };
    if (!("check" in rule)) {
      return {
        ...about,
        validateStack(args, report) {
          const { limits, exemptions } = settings(rule, args.getConfig(), today());
          const stack = new Stack(args.resources.map(viewOfResource));
          if (looksAt(rule, stack).length === 0) return args.notApplicable();
          const byUrn = new Map(stack.resources.map((resource) => [resource.urn, resource]));
          for (const finding of rule.checkStack(stack, limits)) {
            reportUnlessExempt(finding, byUrn.get(finding.urn), exemptions, today(), report);
          }
        },
      };
    }
    return {
      ...about,
      validateResource(args, report) {
        const { limits, exemptions } = settings(rule, args.getConfig(), today());
        const resource = viewOfArguments(args);
        if (!rule.appliesTo(resource)) return args.notApplicable();
        for (const message of rule.check(resource, limits)) {
          reportUnlessExempt({ urn: resource.urn, message }, resource, exemptions, today(), report);
        }
      },
      ...(rule.remedy && {
        remediateResource(args: ResourceValidationArgs) {
          // As they are: the engine takes what is changed in them, and keeps secrets secret by its own proxy.
          const { type, urn, name: resourceName, props } = args;
          const resource = { type, urn, name: resourceName, props };
          return rule.appliesTo(resource) && rule.remedy!(resource) ? props : undefined;
        },
      }),
    };
  });
}

function reportUnlessExempt(
  finding: Finding,
  resource: ResourceView | undefined,
  exemptions: readonly Exemption[],
  today: Date,
  report: (message: string, urn?: string) => void,
): void {
  const { exempt, message } = judge(finding, identitiesOf(resource), exemptions, today);
  if (!exempt) report(message, finding.urn);
}

/** Throws on what the engine's own check of the schema lets through, such as an exemption without an end. */
function settings(
  rule: Rule,
  given: Readonly<Record<string, unknown>>,
  today: Date,
): { limits: Limits; exemptions: readonly Exemption[] } {
  const problems: string[] = [];
  const read = ruleSettings(rule, given, today, problems);
  if (problems.length > 0) throw new Error(problems.join("; "));
  return read;
}

function schemaOf(rule: Rule): PolicyConfigSchema {
  const limits = (rule.limits ?? []).map((limit) => {
    const { type, description } = LIMIT_SCHEMAS[limit];
    return [
      limit,
      { type, description, ...(type === "array" && { items: { type: "string" as const } }) },
    ] as const;
  });
  const exemption = {
    type: "object" as const,
    required: ["resource", "reason", "until"],
    properties: {
      resource: {
        type: "string" as const,
        description: "URN, name or Kind/namespace/name; * stands for any text",
      },
      finding: { type: "string" as const, description: "part of the message" },
      reason: { type: "string" as const, description: "why" },
      until: { type: "string" as const, description: "the last day, as YYYY-MM-DD" },
    },
  };
  return { properties: { ...Object.fromEntries(limits), exemptions: { type: "array", items: exemption } } };
}

function viewOfArguments(args: ResourceValidationArgs): ResourceView {
  const { type, urn, name, opts, provider } = args;
  return {
    ...{ type, urn, name, protect: opts.protect },
    props: known(args.props) as Record<string, unknown>,
    ...(provider && { provider: provider.name }),
  };
}

function viewOfResource(resource: PolicyResource): ResourceView {
  const { type, urn, name, opts, provider, propertyDependencies } = resource;
  return {
    ...{ type, urn, name, protect: opts.protect },
    props: known(resource.props) as Record<string, unknown>,
    ...(provider && { provider: provider.name }),
    uses: Object.fromEntries(
      Object.entries(propertyDependencies).map(([property, from]) => [
        property,
        from.map((source) => source.urn),
      ]),
    ),
  };
}

/**
 * A copy without the engine's guards, with {@link UNKNOWN} where one of them throws. Left in place, the first
 * value of a resource that isn't known yet would end the whole rule, and a stack rule for all resources
 * (pulumi-policy#258).
 */
export function known(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const read = (key: string): unknown => {
    let inner: unknown;
    try {
      inner = (value as Record<string, unknown>)[key];
    } catch {
      return UNKNOWN;
    }
    return known(inner);
  };
  if (Array.isArray(value)) return Array.from({ length: value.length }, (_, index) => read(String(index)));
  return Object.fromEntries(Object.keys(value).map((key) => [key, read(key)]));
}
