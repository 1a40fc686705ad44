/** A resource as a rule sees it; the engine's own type is wider, and a rendered one fits as well. */
export interface ResourceView {
  readonly urn: string;
  /** Pulumi's type token, such as `kubernetes:batch/v1:CronJob`. */
  readonly type: string;
  readonly props: Record<string, unknown>;
}

interface RuleBase {
  /** Equal to the name of its file. */
  readonly name: string;
  /** What it guards and why. */
  readonly description: string;
  /** Mandatory where breaking it loses data, leaks a secret or ends the isolation. */
  readonly level: "mandatory" | "advisory";
  readonly severity: "low" | "medium" | "high" | "critical";
}

/** Looks at one resource's inputs. Returns what is wrong, each with what to change; nothing when it is fine. */
export interface ResourceRule extends RuleBase {
  readonly check: (resource: ResourceView) => string[];
}

/** Looks at all resources of a stack together. */
export interface StackRule extends RuleBase {
  readonly checkStack: (resources: readonly ResourceView[]) => Finding[];
}

export interface Finding {
  readonly urn: string;
  readonly message: string;
}

export type Rule = ResourceRule | StackRule;

/** The kind of a Kubernetes resource; undefined for any other. `CronJobPatch` counts as `CronJob`, or it would be a way around. */
export function kindOf({ type }: ResourceView): string | undefined {
  return /^kubernetes:(?!helm\.sh\/)(?:[a-z0-9.-]+\/)?v\d[a-z0-9]*:([A-Za-z]+?)(?:Patch)?$/.exec(type)?.[1];
}

/** The value at a path of keys, undefined where the path ends early. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>)[key] : undefined,
    value,
  );
}

/** The value as a list of objects; empty where it is none. */
export function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "object" && entry !== null) : [];
}
