import { record } from "./checks.js";
import type { Problem } from "./checks.js";
import { crossChecks } from "./config/cross-checks.js";
import { STACK } from "./config/stack.js";
import type { StackValues } from "./config/stack.js";

export type { AwsConfig, MinioConfig, ObjectStorageConfig, S3Config } from "./config/object-storage.js";
export type { NodeConfig, PoolConfig, PreparationConfig, StorageConfig } from "./config/storage.js";

/** What an environment is made from, checked as a whole: sizes in bytes, durations in seconds. */
export type StackConfig = StackValues & {
  /** The stack's name: `local`, `dev`, `staging`, `production`, `onprem`. */
  readonly environment: string;
};

/** The configuration's keys, and which of them hold JSON. */
export const CONFIG_KEYS: Readonly<Record<keyof typeof STACK, "text" | "json">> = {
  context: "text",
  namespace: "text",
  systemNamespace: "text",
  storage: "json",
  nodes: "json",
  pools: "json",
  slotSize: "text",
  reserve: "text",
  fillRate: "text",
  jobsPerSlot: "text",
  tenants: "json",
  heartbeat: "text",
  heartbeatTimeout: "text",
  retention: "json",
  cleanup: "json",
  staging: "json",
  scan: "json",
  alerts: "json",
  monitoring: "json",
  catalogue: "json",
  objectStorage: "json",
  workerEgress: "json",
  isolation: "json",
  credentialRotation: "text",
  protectData: "text",
  admissionPolicies: "text",
};

/** Keys whose values never appear in clear; they reach the program as secret outputs. */
export const SECRET_KEYS = ["kubeconfig", "catalogueAdminUrl", "objectStorageKey"] as const;

/** Of {@link SECRET_KEYS} those that may be left out. */
export const OPTIONAL_SECRET_KEYS: readonly (typeof SECRET_KEYS)[number][] = ["objectStorageKey"];

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(environment: string, problems: readonly Problem[]) {
    const lines = problems.map(({ key, value, allowed }) => {
      const found = value === undefined ? "is missing" : `is ${shown(value)}`;
      return `  video-storage:${key} ${found}; allowed: ${allowed}`;
    });
    super(
      `the configuration of stack ${environment} has ${problems.length} problem${problems.length === 1 ? "" : "s"}; ` +
        `correct Pulumi.${environment}.yaml, or use \`pulumi config set --path KEY VALUE\`:\n${lines.join("\n")}`,
    );
    this.problems = problems;
  }
}

/** The typed configuration of stack `environment`; a key that is "" is not given. Throws {@link ConfigError} with every problem found. */
export function parseConfig(environment: string, raw: Readonly<Record<string, unknown>>): StackConfig {
  const problems: Problem[] = [];
  const given = Object.entries(raw).filter(([, value]) => value !== "");
  const config = record(STACK)(Object.fromEntries(given), "", problems)!;
  problems.push(...crossChecks({ environment, ...config }));
  if (problems.length > 0) throw new ConfigError(environment, problems);
  return { environment, ...config };
}

function shown(value: unknown): string {
  const json =
    JSON.stringify(value, (_key, entry: unknown) => (typeof entry === "bigint" ? `${entry}` : entry)) ??
    String(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
