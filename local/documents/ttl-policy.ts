import { globSync } from "node:fs";

import { formatDuration } from "@video-storage/contract/durations";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import { decide } from "@video-storage/contract/plan";
import type { Decision } from "@video-storage/contract/plan";
import type { Retention } from "@video-storage/contract/schemas";
import { canBecome, JOB_STATES } from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";

import { retention } from "../../infra/config/lifecycle.js";
import type { RetentionConfig } from "../../infra/config/lifecycle.js";
import { PROJECT_DIRECTORY, stackConfiguration } from "../../infra/stack-files.js";
import { table } from "./generated-parts.js";

type Time = Exclude<keyof RetentionConfig, "completedAction" | "limits" | "tenants">;
type CompletedAction = RetentionConfig["completedAction"];

/** Who makes a change of state. */
const MADE_BY: Readonly<Record<string, string>> = {
  "active>completed": "worker, complete()",
  "active>failed": "worker, fail(reason)",
  "active>quarantined": "worker, a scan found something",
  "active>handed-over": "worker, handOver() or drain(), and another goes on as a new job",
  "active>abandoned": "sweep, no heartbeat, no lock, no pod",
  "completed>uploaded": "uploader, markUploaded()",
  "completed>quarantined": "uploader, a scan found something",
};

/** No two are alike, so that a decision shows by which of them it was made. */
const TIMES: Readonly<Record<Time, number>> = {
  ...{ uploaded: 1009, completed: 2003, failed: 3001, abandoned: 4001 },
  ...{ trash: 5003, staged: 6007, orphaned: 7001 },
};

/** Between what happens to objects and to what nobody knows the reason of. */
const ELSEWHERE: readonly { what: string; key: Time; since: string; then: string }[] = [
  {
    what: "something in the trash that no intent explains",
    key: "trash",
    since: "it came there",
    then: "an intent, then deleted",
  },
  {
    what: "an object with a row in the catalogue",
    key: "staged",
    since: "the last change, object or access",
    then: "removed by the janitor; the only copy of what nobody uploaded stays",
  },
  {
    what: "an object without a row",
    key: "orphaned",
    since: "it was written, by the server's clock",
    then: "removed by the janitor",
  },
];

const ACTIONS: Readonly<Record<Decision["action"], string>> = {
  delete: "deleted",
  tier: "moved to object storage, verified, then removed from the volume",
  keep: "kept",
  abandon: "abandoned",
  report: "reported",
};

/** Every step of the state machine. */
export function transitions(): { readonly from: JobState; readonly to: JobState; readonly by: string }[] {
  return JOB_STATES.flatMap((from) =>
    JOB_STATES.filter((to) => canBecome(from, to)).map((to) => {
      const by = MADE_BY[`${from}>${to}`];
      if (by === undefined) throw new Error(`nobody is said to make a job that is ${from} ${to}`);
      return { from, to, by };
    }),
  );
}

/** The machine for people who read Markdown as text. */
export function stateText(): string {
  const steps = transitions();
  const width = Math.max(...steps.map(({ to }) => to.length));
  const lines = JOB_STATES.flatMap((from) => {
    const own = steps.filter((step) => step.from === from);
    if (own.length === 0) return [];
    return [from, ...own.map(({ to, by }) => `  ──► ${to.padEnd(width)}  ${by}`)];
  });
  const final = JOB_STATES.filter((state) => !steps.some(({ from }) => from === state));
  return ["```text", ...lines, `final: ${final.join(", ")}`, "```"].join("\n");
}

/** The machine for people who see it drawn, with what ends each state. */
export function stateDiagram(): string {
  const id = (state: JobState): string => state.replaceAll("-", "_");
  const aliases = JOB_STATES.filter((state) => id(state) !== state).map(
    (state) => `  state "${state}" as ${id(state)}`,
  );
  const steps = transitions().map(({ from, to, by }) => `  ${id(from)} --> ${id(to)}: ${by}`);
  const ends = JOB_STATES.flatMap((state) => {
    const rule = ruleOf(state, "tier");
    return rule === undefined ? [] : [`  ${id(state)} --> [*]: retention.${rule.key}`];
  });
  return [
    "```mermaid",
    "stateDiagram-v2",
    "  direction LR",
    ...aliases,
    "  [*] --> active",
    ...steps,
    ...ends,
    "```",
  ].join("\n");
}

interface TimeRule {
  readonly key: Time;
  readonly since: "change of state" | "last heartbeat";
  readonly action: Decision["action"];
}

/**
 * By which time a state ends, since when and how, found out by asking the sweep's own decision about jobs of all
 * ages; undefined for a state that no time ends.
 */
export function ruleOf(state: JobState, completedAction: CompletedAction): TimeRule | undefined {
  const young = decided(state, completedAction, 0, 0);
  const key = (Object.keys(TIMES) as Time[]).find((time) => TIMES[time] === young.dueInSeconds);
  if (key === undefined) return undefined;
  const byHeartbeat = decided(state, completedAction, 0, TIMES[key]).action !== "keep";
  const due = byHeartbeat
    ? decided(state, completedAction, 0, TIMES[key])
    : decided(state, completedAction, TIMES[key], 0);
  return { key, since: byHeartbeat ? "last heartbeat" : "change of state", action: due.action };
}

function decided(
  state: JobState,
  completedAction: CompletedAction,
  stateAgeSeconds: number,
  heartbeatAgeSeconds: number,
): Decision {
  const tenantId = parseTenantId("tenant");
  const times = Object.fromEntries(Object.entries(TIMES).map(([key, value]) => [`${key}Seconds`, value]));
  return decide(
    {
      jobId: newJobId(),
      record: { readable: true, tenantId, state },
      catalogue: { tenantId, state, stateAgeSeconds, heartbeatAgeSeconds, location: "local" },
      leaseHeld: false,
      pod: "dead",
    },
    {
      retention: { ...times, completedAction } as unknown as Retention,
      heartbeatTimeoutSeconds: 11,
      checkPods: true,
      hasObjectStorage: true,
    },
  );
}

/** The stacks that have a file, by name. */
export function stacks(): string[] {
  return globSync("Pulumi.*.yaml", { cwd: PROJECT_DIRECTORY })
    .map((file) => file.slice("Pulumi.".length, -".yaml".length))
    .sort();
}

function retentionOfStack(stack: string): RetentionConfig {
  const problems: Parameters<typeof retention>[2] = [];
  const value = retention(stackConfiguration(stack).retention, "retention", problems);
  if (value === undefined || problems.length > 0)
    throw new Error(`the retention of stack ${stack} is not valid`);
  return value;
}

/** Every state with what ends it, and how long that is in each stack. */
export function retentionTable(): string {
  const names = stacks();
  const values = new Map(names.map((name) => [name, retentionOfStack(name)]));
  const standard = retention({}, "retention", [])!;
  const timesOf = (key: Time): string[] => [
    formatDuration(standard[key]),
    ...names.map((name) => formatDuration(values.get(name)![key])),
  ];
  const ofStates = JOB_STATES.map((state) => {
    const rule = ruleOf(state, "tier");
    if (rule === undefined) {
      return [`\`${state}\``, "", "", "never, by time", ...timesOf("trash").map(() => "")];
    }
    const then = state === "completed" ? "`completedAction`" : ACTIONS[rule.action];
    return [`\`${state}\``, `\`retention.${rule.key}\``, rule.since, then, ...timesOf(rule.key)];
  });
  const elsewhere = ELSEWHERE.map(({ what, key, since, then }) => [
    what,
    `\`retention.${key}\``,
    since,
    then,
    ...timesOf(key),
  ]);
  const actions = [
    "(what becomes of `completed`)",
    "`retention.completedAction`",
    "",
    "",
    standard.completedAction,
    ...names.map((name) => values.get(name)!.completedAction),
  ];
  return table(["State", "Key", "Since", "Then", "Default", ...names], [...ofStates, ...elsewhere, actions]);
}

/** What each `completedAction` does to a completed job whose time has come. */
export function completedActionTable(): string {
  const rows = (["keep", "tier", "delete"] as const).map((action) => {
    const rule = ruleOf("completed", action);
    return [`\`${action}\``, rule === undefined ? "kept, whatever its age" : ACTIONS[rule.action]];
  });
  return table(["`completedAction`", "A completed job that nobody uploaded is"], rows);
}

/** The generated parts of docs/ttl-policy.md. */
export function ttlPolicyParts(): Record<string, string> {
  return {
    states: stateDiagram(),
    "states-as-text": stateText(),
    times: retentionTable(),
    "completed-action": completedActionTable(),
  };
}
