import type { Limits } from "./limits";

/** A resource as a rule sees it, whether the engine, the renderer or a manifest told of it. */
export interface ResourceView {
  readonly urn: string;
  /** Pulumi's type token, such as `kubernetes:batch/v1:CronJob`. */
  readonly type: string;
  readonly name: string;
  /** Inputs; what can't be known before the update is {@link UNKNOWN}. */
  readonly props: Record<string, unknown>;
  /** Whether the engine refuses to delete it; undefined where there is no engine, as for a manifest. */
  readonly protect?: boolean;
  /** Name of the provider resource; undefined where there is none or nobody tells. */
  readonly provider?: string;
  /** Of each property, the URNs of the resources that its value came from. */
  readonly uses?: Readonly<Record<string, readonly string[]>>;
  /**
   * Paths (`data.password`) whose values are kept as secrets; undefined where nobody tells. The engine hands
   * a policy the values of secrets without saying which they are (pulumi-policy, policy/server.ts).
   */
  readonly secretPaths?: ReadonlySet<string>;
}

/** A value that is not known before the update. It breaks no rule: the update looks again. */
export const UNKNOWN: unique symbol = Symbol("not known before the update");

export type Subject =
  | "volumes"
  | "buckets"
  | "cleanup-jobs"
  | "pods"
  | "network"
  | "access"
  | "secrets"
  | "ownership";

export type Severity = "low" | "medium" | "high" | "critical";

interface RuleBase {
  /** Equal to the name of its file. */
  readonly name: string;
  /** Equal to the folder of its file. */
  readonly subject: Subject;
  /** What it guards and why, as a sentence. */
  readonly description: string;
  /** Unless configured otherwise. Mandatory where breaking it loses data, leaks a secret or ends the isolation. */
  readonly level: "mandatory" | "advisory";
  readonly severity: Severity;
  /** The limits that it reads, which is what can be configured for it. */
  readonly limits?: readonly (keyof Limits)[];
}

/** Looks at one resource. */
export interface ResourceRule extends RuleBase {
  /** Whether the rule has anything to say of this resource; one that it doesn't apply to neither passes nor fails. */
  readonly appliesTo: (resource: ResourceView) => boolean;
  /** What is wrong, each with what to write instead; nothing when it is fine. */
  readonly check: (resource: ResourceView, limits: Limits) => string[];
  /** Makes the inputs right where they are, when that is safe; says whether there was anything to do. */
  readonly remedy?: (resource: ResourceView) => boolean;
}

/** Looks at all resources of a stack together. */
export interface StackRule extends RuleBase {
  readonly subjectsOf: (stack: Stack) => readonly ResourceView[];
  readonly checkStack: (stack: Stack, limits: Limits) => Finding[];
}

export interface Finding {
  readonly urn: string;
  readonly message: string;
}

export type Rule = ResourceRule | StackRule;

/** The resources of a stack, found by kind or type without looking through all of them each time. */
export class Stack {
  readonly #byKind = new Map<string, ResourceView[]>();
  readonly #byType = new Map<string, ResourceView[]>();

  constructor(readonly resources: readonly ResourceView[]) {
    for (const resource of resources) {
      append(this.#byType, resource.type, resource);
      const kind = kindOf(resource);
      if (kind !== undefined) append(this.#byKind, kind, resource);
    }
  }

  /** The Kubernetes resources of these kinds. */
  ofKind(...kinds: readonly string[]): ResourceView[] {
    return kinds.flatMap((kind) => this.#byKind.get(kind) ?? []);
  }

  /** The resources of these type tokens. */
  ofType(...types: readonly string[]): ResourceView[] {
    return types.flatMap((type) => this.#byType.get(type) ?? []);
  }
}

function append(map: Map<string, ResourceView[]>, key: string, resource: ResourceView): void {
  const entries = map.get(key);
  if (entries) entries.push(resource);
  else map.set(key, [resource]);
}

/** The kind of a Kubernetes resource; undefined for any other. `CronJobPatch` counts as `CronJob`, or it would be a way around. */
export function kindOf({ type }: ResourceView): string | undefined {
  return /^kubernetes:(?!helm\.sh\/)(?:[a-z0-9.-]+\/)?v\d[a-z0-9]*:([A-Za-z]+?)(?:Patch)?$/.exec(type)?.[1];
}

/** The value at a path of keys, undefined where the path ends early, {@link UNKNOWN} where it leads into the unknown. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      inner === UNKNOWN
        ? UNKNOWN
        : typeof inner === "object" && inner !== null
          ? (inner as Record<string, unknown>)[key]
          : undefined,
    value,
  );
}

/** The value as a list of objects; empty where it is none. */
export function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "object" && entry !== null) : [];
}

/** The value as a list of texts; empty where it is none. A single text counts as a list of one, as IAM has it. */
export function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

/** A text as the part of a pattern that matches it alone. */
export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** The value as an object's entries; empty where it is none. */
export function entries(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

/** Whether the value is one of those allowed, or can't be known yet. */
export function is(value: unknown, ...allowed: readonly unknown[]): boolean {
  return value === UNKNOWN || allowed.includes(value);
}

/** Whether everything in a value is known. */
export function isKnown(value: unknown): boolean {
  if (value === UNKNOWN) return false;
  return typeof value !== "object" || value === null || Object.values(value).every(isKnown);
}

/** Whether there is a value, known or not. An empty text is none. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

/** A value as a message shows it. Never for a secret. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "not set";
  if (value === UNKNOWN) return "not known yet";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The namespace of a resource; `default` where it says none, as Kubernetes has it. */
export function namespaceOf(resource: ResourceView): string {
  const namespace = at(resource.props, "metadata", "namespace");
  return typeof namespace === "string" && namespace !== "" ? namespace : "default";
}

/** The name that the resource has in the cluster, where it is known. */
export function nameOf(resource: ResourceView): string | undefined {
  const name = at(resource.props, "metadata", "name");
  return typeof name === "string" ? name : undefined;
}
