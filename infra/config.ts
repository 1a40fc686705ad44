import { isTenantId } from "@video-storage/contract/identity";
import type { TenantId } from "@video-storage/contract/identity";

import { LAST_ID, USERS_OF_AN_ID } from "../components/lib/security-context.js";
import { slotsOf } from "../components/lib/slots.js";
import {
  boolean,
  duration,
  integer,
  list,
  mapOf,
  oneOf,
  optional,
  record,
  size,
  text,
  withDefault,
} from "./checks.js";
import type { Check, Checked, Problem } from "./checks.js";

const DNS_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const NODE_PATTERN = new RegExp(`^(?=.{1,40}$)${DNS_LABEL}(?:\\.${DNS_LABEL})*$`);
const NAMESPACE_PATTERN = new RegExp(`^(?=.{1,40}$)${DNS_LABEL}$`);
const PATH_PATTERN = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)+$/;
const IMAGE_PATTERN = /^[a-z0-9][a-z0-9._:/-]*@sha256:[a-f0-9]{64}$/;
const BUCKET_PATTERN = /^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
const CRON_FIELD = String.raw`(?:\*|\d{1,2}(?:-\d{1,2})?)(?:\/\d{1,2})?`;
const CRON_PATTERN = new RegExp(`^${CRON_FIELD}(?:,${CRON_FIELD})*(?: ${CRON_FIELD}(?:,${CRON_FIELD})*){4}$`);
const CIDR_PATTERN =
  /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!\/)|(?=\/))){4}\/(?:3[0-2]|[12]?\d)$|^[0-9a-f:]+\/\d{1,3}$/;
const MEBIBYTE = 2n ** 20n;

const namespace = text(
  NAMESPACE_PATTERN,
  "a Kubernetes namespace of at most 40 lower-case letters, digits and hyphens",
);
const path = text(PATH_PATTERN, "an absolute path without . or .. and without a slash at its end");
const image = text(IMAGE_PATTERN, "an image by digest: name@sha256: and 64 hexadecimal digits");
const tenant: Check<TenantId> = (value, key, problems) => {
  if (isTenantId(value)) return value;
  problems.push({ key, value, allowed: "a tenant id of 1 to 40 lower-case letters, digits and hyphens" });
  return undefined;
};

const OBJECT_STORAGE = {
  none: record({ backend: oneOf("none") }),
  minio: record({
    backend: oneOf("minio"),
    image,
    clientImage: image,
    volumeSize: size(64n * MEBIBYTE),
    node: text(NODE_PATTERN, "the name of one of nodes"),
    path,
    bucket: withDefault(
      text(BUCKET_PATTERN, "a bucket name of 3 to 63 lower-case letters, digits and hyphens"),
      "video-storage",
    ),
    region: withDefault(text(/^[a-z0-9-]{1,40}$/, "a region such as us-east-1"), "us-east-1"),
  }),
};
export type ObjectStorageConfig = Checked<{
  none: typeof OBJECT_STORAGE.none;
  minio: typeof OBJECT_STORAGE.minio;
}>["none" | "minio"];
export type MinioConfig = Extract<ObjectStorageConfig, { backend: "minio" }>;

/** By its `backend`, so that a mistake is told in the words of the backing that was meant. */
const objectStorage: Check<ObjectStorageConfig> = (value, key, problems) => {
  const backend = (value as { backend?: unknown } | undefined)?.backend;
  if (backend === "none" || backend === "minio") {
    return OBJECT_STORAGE[backend](value, key, problems) as ObjectStorageConfig | undefined;
  }
  problems.push({ key: `${key}.backend`, value: backend, allowed: "one of none, minio" });
  return undefined;
};

const RANGE = optional(record({ minimum: duration(0), maximum: duration(0) }));
const RETENTION_LIMITS = record({
  uploaded: RANGE,
  completed: RANGE,
  failed: RANGE,
  abandoned: RANGE,
  staged: RANGE,
  orphaned: RANGE,
  completedActions: withDefault(list(oneOf("tier", "delete", "keep")), []),
});

const TENANT_RETENTION = record({
  uploaded: optional(duration(0)),
  completed: optional(duration(0)),
  failed: optional(duration(0)),
  abandoned: optional(duration(0)),
  staged: optional(duration(0)),
  orphaned: optional(duration(0)),
  completedAction: optional(oneOf("tier", "delete", "keep")),
});

const RETENTION = record({
  uploaded: withDefault(duration(0), 3600),
  completed: withDefault(duration(0), 7 * 86_400),
  failed: withDefault(duration(0), 3 * 86_400),
  abandoned: withDefault(duration(0), 86_400),
  trash: withDefault(duration(0), 3600),
  staged: withDefault(duration(0), 30 * 86_400),
  orphaned: withDefault(duration(0), 7 * 86_400),
  completedAction: withDefault(oneOf("tier", "delete", "keep"), "keep"),
  // What has limits may be overridden for a tenant, within them.
  limits: withDefault(RETENTION_LIMITS, RETENTION_LIMITS({}, "", [])!),
  tenants: withDefault(mapOf(isTenantId, "tenant ids", TENANT_RETENTION), {}),
});

const FLOOR = record({ age: withDefault(duration(0), 0), size: withDefault(size(0n), 0n) });
const FLOOR_OF_TENANT = record({ age: optional(duration(0)), size: optional(size(0n)) });

const CLEANUP = record({
  image,
  migrationsImage: image,
  schedule: withDefault(
    text(CRON_PATTERN, "a cron schedule of five numeric fields such as */10 * * * *"),
    "*/10 * * * *",
  ),
  timeZone: withDefault(
    text(/^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+)*$/, "a time zone such as Etc/UTC"),
    "Etc/UTC",
  ),
  checkPods: withDefault(boolean(), true),
  activeDeadline: withDefault(duration(10), 1800),
  startingDeadline: withDefault(duration(10), 300),
  highWaterPercent: withDefault(integer(1, 100), 85),
  lowWaterPercent: withDefault(integer(1, 100), 70),
  inodeHighWaterPercent: withDefault(integer(1, 100), 85),
  inodeLowWaterPercent: withDefault(integer(1, 100), 70),
  // Under pressure: what may happen to jobs that nobody uploaded yet, and what every tenant keeps.
  unuploadedUnderPressure: withDefault(oneOf("keep", "tier", "delete"), "keep"),
  floor: withDefault(FLOOR, FLOOR({}, "", [])!),
  tenantFloors: withDefault(mapOf(isTenantId, "tenant ids", FLOOR_OF_TENANT), {}),
  packBelow: withDefault(size(0n), 128n * 1024n),
  uploadConcurrency: withDefault(integer(1, 16), 4),
  janitorPeriod: withDefault(duration(0), 86_400),
  unfinishedUploads: withDefault(duration(60), 86_400),
  unuploadedObjects: withDefault(oneOf("keep", "delete"), "keep"),
});

const STACK = {
  context: text(/^\S.*$/, "the name of a context in the kubeconfig"),
  namespace,
  systemNamespace: namespace,
  nodes: list(
    record({
      name: text(NODE_PATTERN, "a node's name (its kubernetes.io/hostname label), at most 40 characters"),
      id: integer(0, LAST_ID),
      slots: integer(1, USERS_OF_AN_ID),
      directory: path,
    }),
    1,
  ),
  slotSize: size(16n * MEBIBYTE),
  reserve: size(0n),
  tenants: list(tenant, 1),
  heartbeat: duration(1),
  heartbeatTimeout: duration(2),
  retention: withDefault(RETENTION, RETENTION({}, "retention", [])!),
  cleanup: CLEANUP,
  catalogue: record({
    host: text(/^[A-Za-z0-9](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?$/, "a host name or address"),
    port: withDefault(integer(1, 65_535), 5432),
    database: withDefault(text(/^[a-z_][a-z0-9_]{0,62}$/, "a database name"), "storage"),
    tls: withDefault(boolean(), true),
  }),
  objectStorage,
  workerEgress: list(text(CIDR_PATTERN, "a CIDR such as 203.0.113.0/24")),
  credentialRotation: integer(1, 1_000_000),
  protectData: boolean(),
};

/** What an environment is made from, checked as a whole: sizes in bytes, durations in seconds. */
export type StackConfig = Checked<typeof STACK> & {
  /** The stack's name: `local`, `dev`, `staging`, `production`, `onprem`. */
  readonly environment: string;
};

/** The configuration's keys, and which of them hold JSON. */
export const CONFIG_KEYS: Readonly<Record<keyof typeof STACK, "text" | "json">> = {
  context: "text",
  namespace: "text",
  systemNamespace: "text",
  nodes: "json",
  slotSize: "text",
  reserve: "text",
  tenants: "json",
  heartbeat: "text",
  heartbeatTimeout: "text",
  retention: "json",
  cleanup: "json",
  catalogue: "json",
  objectStorage: "json",
  workerEgress: "json",
  credentialRotation: "text",
  protectData: "text",
};

/** Keys whose values never appear in clear; they reach the program as secret outputs. */
export const SECRET_KEYS = ["kubeconfig", "catalogueAdminUrl"] as const;

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    environment: string,
    readonly problems: readonly Problem[],
  ) {
    const lines = problems.map(({ key, value, allowed }) => {
      const found = value === undefined ? "is missing" : `is ${shown(value)}`;
      return `  video-storage:${key} ${found}; allowed: ${allowed}`;
    });
    super(
      `the configuration of stack ${environment} has ${problems.length} problem${problems.length === 1 ? "" : "s"}; ` +
        `correct Pulumi.${environment}.yaml, or use \`pulumi config set --path KEY VALUE\`:\n${lines.join("\n")}`,
    );
  }
}

/** The typed configuration of stack `environment`. Throws {@link ConfigError} with every problem found. */
export function parseConfig(environment: string, raw: Readonly<Record<string, unknown>>): StackConfig {
  const problems: Problem[] = [];
  const config = record(STACK)(raw, "", problems)!;
  problems.push(...crossChecks(config));
  if (problems.length > 0) throw new ConfigError(environment, problems);
  return { environment, ...config };
}

/** What can only be seen by comparing keys. Fields that were wrong by themselves are undefined here. */
function crossChecks(config: Partial<Checked<typeof STACK>>): Problem[] {
  const problems: Problem[] = [];
  const unless = (fine: boolean, key: string, value: unknown, allowed: string) => {
    if (!fine) problems.push({ key, value, allowed });
  };
  const {
    heartbeat,
    heartbeatTimeout,
    slotSize,
    reserve,
    cleanup,
    retention,
    objectStorage: storage,
  } = config;
  const nodes = config.nodes?.filter((node) => node !== undefined) ?? [];
  const tenants = config.tenants ?? [];

  if (heartbeat !== undefined && heartbeatTimeout !== undefined) {
    const allowed = `at least twice heartbeat (${2 * heartbeat}s), or one late heartbeat abandons a job`;
    unless(heartbeatTimeout >= 2 * heartbeat, "heartbeatTimeout", `${heartbeatTimeout}s`, allowed);
  }
  if (slotSize !== undefined && reserve !== undefined) {
    unless(reserve < slotSize, "reserve", `${reserve} bytes`, `less than slotSize (${slotSize} bytes)`);
  }
  const low = cleanup?.lowWaterPercent;
  const high = cleanup?.highWaterPercent;
  if (low !== undefined && high !== undefined) {
    unless(low < high, "cleanup.lowWaterPercent", low, `less than cleanup.highWaterPercent (${high})`);
  }
  const lowInodes = cleanup?.inodeLowWaterPercent;
  const highInodes = cleanup?.inodeHighWaterPercent;
  if (lowInodes !== undefined && highInodes !== undefined) {
    const allowed = `less than cleanup.inodeHighWaterPercent (${highInodes})`;
    unless(lowInodes < highInodes, "cleanup.inodeLowWaterPercent", lowInodes, allowed);
  }
  for (const [key, ids] of [
    ["retention.tenants", Object.keys(retention?.tenants ?? {})],
    ["cleanup.tenantFloors", Object.keys(cleanup?.tenantFloors ?? {})],
  ] as const) {
    for (const id of ids) {
      unless(tenants.includes(id as TenantId), `${key}.${id}`, id, `one of tenants: ${tenants.join(", ")}`);
    }
  }
  problems.push(...outsideLimits(retention));
  if (storage?.backend === "none" && cleanup?.unuploadedUnderPressure === "tier") {
    const allowed = "delete or keep, as objectStorage.backend is none";
    unless(false, "cleanup.unuploadedUnderPressure", "tier", allowed);
  }
  if (config.namespace !== undefined) {
    const allowed = "another namespace than namespace, because workers may not read its secrets";
    unless(config.systemNamespace !== config.namespace, "systemNamespace", config.systemNamespace, allowed);
  }
  repeated(nodes.map((node) => node.name)).forEach((name) => unless(false, "nodes", name, "each node once"));
  repeated(nodes.map((node) => node.id)).forEach((id) =>
    unless(
      false,
      "nodes",
      id,
      "an id of its own for each node, also of those that are gone: files keep their users",
    ),
  );
  if (repeated(nodes.map((node) => node.name)).length === 0) {
    const names = slotsOf(nodes.filter((node) => node.name !== undefined && node.slots !== undefined)).map(
      (slot) => slot.name,
    );
    repeated(names).forEach((name) => unless(false, "nodes", name, "nodes whose slots have different names"));
  }
  repeated(tenants).forEach((id) => unless(false, "tenants", id, "each tenant once"));
  if (storage?.backend === "none" && retention?.completedAction === "tier") {
    unless(false, "retention.completedAction", "tier", "delete or keep, as objectStorage.backend is none");
  }
  const allNamed = nodes.length > 0 && nodes.every((node) => node.name !== undefined);
  if (storage?.backend === "minio" && storage.node !== undefined && allNamed) {
    const names = nodes.map((node) => node.name);
    unless(
      names.includes(storage.node),
      "objectStorage.node",
      storage.node,
      `one of nodes: ${names.join(", ")}`,
    );
    const taken = nodes.some((n) => new RegExp(`^${n.directory}/slot-\\d+(?:/|$)`).test(`${storage.path}`));
    unless(!taken, "objectStorage.path", storage.path, "a directory that is no slot's");
  }
  return problems;
}

/** Overrides that the limits don't allow, and limits that are the wrong way round. */
function outsideLimits(retention: Partial<Checked<typeof STACK>>["retention"]): Problem[] {
  const problems: Problem[] = [];
  const { limits, tenants } = retention ?? {};
  if (!limits || !tenants) return problems;
  const { completedActions, ...ranges } = limits;
  for (const [key, range] of Object.entries(ranges)) {
    if (range && range.minimum > range.maximum) {
      const allowed = `at most maximum (${range.maximum}s)`;
      problems.push({ key: `retention.limits.${key}.minimum`, value: `${range.minimum}s`, allowed });
    }
  }
  for (const [tenant, own] of Object.entries(tenants)) {
    for (const [name, value] of Object.entries(own ?? {})) {
      if (value === null || value === undefined) continue;
      const key = `retention.tenants.${tenant}.${name}`;
      if (typeof value === "string") {
        if (completedActions?.includes(value)) continue;
        const allowed = `one of retention.limits.completedActions (${completedActions?.join(", ") || "none"})`;
        problems.push({ key, value, allowed });
        continue;
      }
      const range = ranges[name as keyof typeof ranges];
      if (range && value >= range.minimum && value <= range.maximum) continue;
      const allowed = range
        ? `from ${range.minimum}s to ${range.maximum}s, as retention.limits.${name} says`
        : `nothing, as retention.limits has no ${name}`;
      problems.push({ key, value: `${value}s`, allowed });
    }
  }
  return problems;
}

function repeated<T>(values: readonly T[]): T[] {
  return [
    ...new Set(values.filter((value, index) => value !== undefined && values.indexOf(value) !== index)),
  ];
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
