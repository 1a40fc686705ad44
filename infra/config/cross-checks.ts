import { longestCronGap } from "@video-storage/contract/cron-schedule";
import { formatDuration } from "@video-storage/contract/durations";
import { formatSize } from "@video-storage/contract/sizes";

import { USERS_OF_AN_ID } from "../../components/lib/security-context.js";
import { slotsOf, slotsOfPools } from "../../components/lib/slots.js";
import type { Problem } from "../checks.js";
import type { StackValues } from "./stack.js";

/** A configuration whose wrong values are left out. */
export type Readable = { readonly environment: string } & {
  readonly [K in keyof StackValues]?: StackValues[K] | undefined;
};

/**
 * What can only be seen by comparing keys. Each looks at values that are right by themselves; one that is
 * wrong was reported already and is undefined here, at any depth.
 */
type CrossCheck = (config: Readable) => (Problem | false)[];

const unless = (fine: boolean, key: string, value: unknown, allowed: string): Problem | false =>
  !fine && { key, value, allowed };

/** A heartbeat that comes late must not make a job abandoned, nor an abandoned one go at once. */
const heartbeats: CrossCheck = ({ heartbeat, heartbeatTimeout, retention }) => {
  if (heartbeat === undefined || heartbeatTimeout === undefined) return [];
  const abandoned = retention?.abandoned;
  return [
    unless(
      heartbeatTimeout >= 2 * heartbeat,
      "heartbeatTimeout",
      formatDuration(heartbeatTimeout),
      `at least twice heartbeat (${2 * heartbeat}s), or one late heartbeat abandons a job`,
    ),
    abandoned !== undefined && notBeforeSilence("retention.abandoned", abandoned, heartbeatTimeout),
  ];
};

const notBeforeSilence = (key: string, value: number, heartbeatTimeout: number): Problem | false =>
  unless(
    value >= heartbeatTimeout,
    key,
    formatDuration(value),
    `at least heartbeatTimeout (${formatDuration(heartbeatTimeout)}), before which no job counts as abandoned`,
  );

/** Two namespaces, because workers may not read the secrets of the other. */
const namespaces: CrossCheck = ({ namespace, systemNamespace }) => [
  namespace !== undefined &&
    unless(
      systemNamespace !== namespace,
      "systemNamespace",
      systemNamespace,
      "another namespace than namespace, because workers may not read its secrets",
    ),
];

/** Nodes for static storage, pools for every other. */
const placesOfTheMode: CrossCheck = ({ storage, nodes, pools }) => {
  if (!storage) return [];
  const isStatic = storage.mode === "static";
  const [used, unused] = isStatic ? ["nodes", "pools"] : ["pools", "nodes"];
  const [given, surplus] = isStatic ? [nodes, pools] : [pools, nodes];
  return [
    given !== undefined &&
      unless(given.length > 0, used!, [], `a list of at least 1, as storage.mode is ${storage.mode}`),
    surplus !== undefined &&
      unless(
        surplus.length === 0,
        unused!,
        surplus.map((place) => place?.name),
        `none, as storage.mode is ${storage.mode}; it uses ${used}`,
      ),
  ];
};

/** No two places share a name, a slot's name or a user: files keep their users for longer than the configuration. */
const ownNames: CrossCheck = ({ nodes, pools }) => {
  const named = nodes?.filter((node) => node?.name !== undefined) ?? [];
  const poolList = pools?.filter((pool) => pool?.name !== undefined) ?? [];
  const twice = repeated(named.map((node) => node.name));
  const complete = named.filter((node) => node.slots !== undefined && node.id !== undefined);
  const slotNames = twice.length > 0 ? [] : slotsOf(complete).map((slot) => slot.name);
  return [
    ...twice.map((name) => unless(false, "nodes", name, "each node once")),
    ...repeated(poolList.map((pool) => pool.name)).map((name) =>
      unless(false, "pools", name, "each pool once"),
    ),
    ...repeated(slotNames).map((name) =>
      unless(false, "nodes", name, "nodes whose slots have different names"),
    ),
  ];
};

const ownUsers: CrossCheck = ({ nodes, pools }) => {
  const taken = new Map<number, string>();
  const problems: Problem[] = [];
  const take = (key: string, name: string, id: number, count: number, what: string) => {
    for (let one = id; one < id + count; one++) {
      const owner = taken.get(one);
      if (owner !== undefined) {
        problems.push({ key, value: one, allowed: `an id that ${owner} has not: ${what}` });
        return;
      }
      taken.set(one, name);
    }
  };
  for (const node of nodes ?? []) {
    if (node?.id === undefined) continue;
    take("nodes", `node ${node.name}`, node.id, 1, "one for each node, also of those that are gone");
  }
  for (const pool of pools ?? []) {
    if (pool?.id === undefined || pool.slots === undefined) continue;
    const count = Math.ceil(pool.slots / USERS_OF_AN_ID);
    const what = `pool ${pool.name} takes ${count} from ${pool.id} on, one for each ${USERS_OF_AN_ID} slots`;
    take("pools", `pool ${pool.name}`, pool.id, count, what);
  }
  const last = (pools ?? []).filter((p) => p?.id !== undefined && p.slots !== undefined);
  return [
    ...problems,
    ...last.map((pool) =>
      unless(
        pool.id + Math.ceil(pool.slots / USERS_OF_AN_ID) - 1 <= 1390,
        "pools",
        pool.id,
        `an id low enough for the ${pool.slots} slots of pool ${pool.name}: the last id is 1390`,
      ),
    ),
  ];
};

/** A slot is a promise of room, so all promises of a disk must fit on it. */
const slotsWithinDisk: CrossCheck = ({ storage, nodes, pools, slotSize, objectStorage }) => {
  if (!storage || slotSize === undefined || storage.diskReserve === undefined) return [];
  const check = (key: string, slots: number, disk: bigint | null | undefined, more = 0n, also = "") => {
    if (disk === null || disk === undefined || slots === undefined) return false;
    const promised = slotSize * BigInt(slots) + more;
    return unless(
      promised + storage.diskReserve <= disk,
      key,
      formatSize(disk),
      `at least ${formatSize(promised + storage.diskReserve)}: ${slots} slots of slotSize ` +
        `(${formatSize(slotSize)})${also} and storage.diskReserve (${formatSize(storage.diskReserve)})`,
    );
  };
  const onDisk = (node: string) =>
    objectStorage?.backend === "minio" && objectStorage.node === node ? objectStorage.volumeSize : 0n;
  return [
    ...(nodes ?? []).map((node, index) => {
      const objects = onDisk(node?.name);
      const also = objects > 0n ? `, objectStorage.volumeSize (${formatSize(objects)})` : "";
      return node && check(`nodes[${index}].disk`, node.slots, node.disk, objects, also);
    }),
    ...(pools ?? []).map(
      (pool, index) => pool && check(`pools[${index}].disk`, pool.slotsPerNode, pool.disk),
    ),
  ].map((problem) => problem ?? false);
};

/** Slots of raw devices are cut by the stack itself, so it must know how large these are. */
const diskOfPreparedNodes: CrossCheck = ({ storage, nodes }) =>
  storage?.mode === "static" && storage.preparation
    ? (nodes ?? []).map((node, index) =>
        unless(
          node?.disk !== null,
          `nodes[${index}].disk`,
          node?.disk,
          "the size of the node's devices together, as storage.preparation divides them",
        ),
      )
    : [];

const reserveWithinSlot: CrossCheck = ({ slotSize, reserve }) => [
  slotSize !== undefined &&
    reserve !== undefined &&
    unless(reserve < slotSize, "reserve", `${reserve} bytes`, `less than slotSize (${slotSize} bytes)`),
];

const waterMarks: CrossCheck = ({ cleanup }) => {
  const pair = (
    high: "highWaterPercent" | "inodeHighWaterPercent",
    low: "lowWaterPercent" | "inodeLowWaterPercent",
  ) => {
    const [upper, lower] = [cleanup?.[high], cleanup?.[low]];
    if (upper === undefined || lower === undefined) return false;
    return unless(lower < upper, `cleanup.${low}`, lower, `less than cleanup.${high} (${upper})`);
  };
  return [pair("highWaterPercent", "lowWaterPercent"), pair("inodeHighWaterPercent", "inodeLowWaterPercent")];
};

/** A volume that is just below its high-water mark at one sweep must not be full before the next. */
const sweptBeforeFull: CrossCheck = ({ cleanup, slotSize, fillRate }) => {
  const high = cleanup?.highWaterPercent;
  if (cleanup?.schedule === undefined || high === undefined || !slotSize || !fillRate) return [];
  const period = longestCronGap(cleanup.schedule);
  if (period === undefined) {
    return [unless(false, "cleanup.schedule", cleanup.schedule, "a schedule that comes to a start")];
  }
  const above = (slotSize * BigInt(100 - high)) / 100n;
  const timeToFill = Number(above / fillRate);
  return [
    unless(
      period < timeToFill,
      "cleanup.schedule",
      cleanup.schedule,
      `a start at least every ${formatDuration(Math.max(timeToFill - 1, 0))} (this one: ${formatDuration(period)}): what lies above ` +
        `cleanup.highWaterPercent (${formatSize(above)} of a slot) is full after ${formatDuration(timeToFill)} at fillRate ` +
        `(${formatSize(fillRate)} a second); larger slots, a lower mark or a lower rate do too`,
    ),
  ];
};

/** What becomes cold must do so before it is deleted, or it never does. */
const coldBeforeDeleted: CrossCheck = ({ retention, objectStorage }) => {
  if (!retention || !objectStorage) return [];
  const { completed, staged, completedAction } = retention;
  return [
    completedAction === "tier" &&
      completed !== undefined &&
      staged !== undefined &&
      unless(
        completed < staged,
        "retention.completed",
        formatDuration(completed),
        `less than retention.staged (${formatDuration(staged)}), after which the copy is deleted`,
      ),
    objectStorage.backend === "aws" &&
      objectStorage.coldAfter !== undefined &&
      objectStorage.coldClass !== "none" &&
      staged !== undefined &&
      unless(
        objectStorage.coldAfter < staged,
        "objectStorage.coldAfter",
        formatDuration(objectStorage.coldAfter),
        `less than retention.staged (${formatDuration(staged)}), after which the objects are deleted`,
      ),
  ];
};

/** Nothing is to be moved to an object storage that isn't there. */
const storedWhereThereIsStorage: CrossCheck = ({ objectStorage, retention, cleanup }) => {
  if (objectStorage?.backend !== "none") return [];
  const allowed = "delete or keep, as objectStorage.backend is none";
  const notTiered = (key: string, action: string | null | undefined) =>
    unless(action !== "tier", key, action, allowed);
  return [
    notTiered("retention.completedAction", retention?.completedAction),
    notTiered("cleanup.unuploadedUnderPressure", cleanup?.unuploadedUnderPressure),
    ...Object.entries(retention?.tenants ?? {}).map(([id, own]) =>
      notTiered(`retention.tenants.${id}.completedAction`, own?.completedAction),
    ),
  ];
};

/** What S3 allows of a lifecycle: whole days, and thirty of them before infrequent access. */
const lifecycleInDays: CrossCheck = ({ objectStorage }) => {
  if (objectStorage?.backend !== "aws") return [];
  const whole = (key: "coldAfter" | "noncurrentExpiry") =>
    objectStorage[key] !== undefined &&
    unless(
      objectStorage[key] % 86_400 === 0,
      `objectStorage.${key}`,
      formatDuration(objectStorage[key]),
      "whole days, which is what S3 counts a lifecycle in",
    );
  return [
    whole("coldAfter"),
    whole("noncurrentExpiry"),
    objectStorage.coldClass === "STANDARD_IA" &&
      objectStorage.coldAfter !== undefined &&
      unless(
        objectStorage.coldAfter >= 30 * 86_400,
        "objectStorage.coldAfter",
        formatDuration(objectStorage.coldAfter),
        "at least 30d for objectStorage.coldClass STANDARD_IA",
      ),
  ];
};

/** An alert on a volume speaks after the sweep had its turn, and before workers are refused. */
const alertsBeforeRefusals: CrossCheck = ({ alerts, cleanup, slotSize, reserve }) => {
  if (!alerts) return [];
  const {
    nearlyFullPercent: nearlyFull,
    quotaWarningPercent: warning,
    quotaCriticalPercent: critical,
  } = alerts;
  const high = cleanup?.highWaterPercent;
  const usable = slotSize && reserve !== undefined && reserve < slotSize ? slotSize - reserve : undefined;
  const refusedAt = usable && slotSize ? Number((usable * 100n) / slotSize) : undefined;
  return [
    nearlyFull !== undefined &&
      high !== undefined &&
      unless(
        nearlyFull > high,
        "alerts.nearlyFullPercent",
        nearlyFull,
        `more than cleanup.highWaterPercent (${high}), above which a sweep makes room by itself`,
      ),
    nearlyFull !== undefined &&
      refusedAt !== undefined &&
      unless(
        nearlyFull < refusedAt,
        "alerts.nearlyFullPercent",
        nearlyFull,
        `less than ${refusedAt}, where slotSize less reserve is used up and workers are refused`,
      ),
    warning !== undefined &&
      critical !== undefined &&
      unless(
        warning < critical,
        "alerts.quotaWarningPercent",
        warning,
        `less than alerts.quotaCriticalPercent (${critical})`,
      ),
  ];
};

/** Limits are the right way round, and a tenant's own times lie within them. */
const tenantsWithinLimits: CrossCheck = ({ retention, heartbeatTimeout }) => {
  const { limits, tenants } = retention ?? {};
  if (!limits || !tenants) return [];
  const { completedActions, ...ranges } = limits;
  const reversed = Object.entries(ranges).map(
    ([name, range]) =>
      range &&
      unless(
        range.minimum <= range.maximum,
        `retention.limits.${name}.minimum`,
        formatDuration(range.minimum),
        `at most maximum (${formatDuration(range.maximum)})`,
      ),
  );
  const withinRange = (key: string, name: string, value: number) => {
    const range = ranges[name as keyof typeof ranges];
    return unless(
      range != null && value >= range.minimum && value <= range.maximum,
      key,
      formatDuration(value),
      range
        ? `from ${formatDuration(range.minimum)} to ${formatDuration(range.maximum)}, as retention.limits.${name} says`
        : `nothing, as retention.limits has no ${name}`,
    );
  };
  const own = Object.entries(tenants).flatMap(([tenant, times]) =>
    Object.entries(times ?? {}).flatMap(([name, value]) => {
      const key = `retention.tenants.${tenant}.${name}`;
      if (value === null || value === undefined) return [];
      if (typeof value === "string") {
        const allowed = `one of retention.limits.completedActions (${completedActions?.join(", ") || "none"})`;
        return [unless(completedActions?.includes(value) === true, key, value, allowed)];
      }
      return [
        withinRange(key, name, value),
        name === "abandoned" &&
          heartbeatTimeout !== undefined &&
          notBeforeSilence(key, value, heartbeatTimeout),
      ];
    }),
  );
  return [...reversed.map((problem) => problem ?? false), ...own];
};

/** What speaks of a tenant speaks of one that there is. */
const knownTenants: CrossCheck = ({ tenants, retention, cleanup }) => {
  if (!tenants) return [];
  const known: readonly string[] = tenants;
  return [
    ...Object.keys(retention?.tenants ?? {}).map((id) => ({ key: `retention.tenants.${id}`, id })),
    ...Object.keys(cleanup?.tenantFloors ?? {}).map((id) => ({ key: `cleanup.tenantFloors.${id}`, id })),
  ].map(({ key, id }) => unless(known.includes(id), key, id, `one of tenants: ${known.join(", ")}`));
};

const tenantsOnce: CrossCheck = ({ tenants }) =>
  repeated((tenants as string[] | undefined) ?? []).map((id) =>
    unless(false, "tenants", id, "each tenant once"),
  );

/** MinIO's claim has either a directory of one of the nodes or a class. */
const placeOfMinio: CrossCheck = ({ objectStorage, nodes, storage }) => {
  if (objectStorage?.backend !== "minio") return [];
  const { node, path, storageClass } = objectStorage;
  if (storageClass !== null && storageClass !== undefined) {
    return [
      unless(
        node === null,
        "objectStorage.node",
        node,
        "nothing, as objectStorage.storageClass says where the objects lie",
      ),
      unless(
        path === null,
        "objectStorage.path",
        path,
        "nothing, as objectStorage.storageClass says where the objects lie",
      ),
    ];
  }
  if (storageClass === undefined || storage === undefined) return [];
  if (storage.mode !== "static") {
    return [
      unless(
        false,
        "objectStorage.storageClass",
        undefined,
        `a StorageClass that is there, as storage.mode is ${storage.mode}`,
      ),
    ];
  }
  const names = nodes?.map((one) => one?.name) ?? [];
  const complete = names.length > 0 && names.every((name) => name !== undefined);
  const taken = nodes?.some((one) => new RegExp(`^${one?.directory}/slot-\\d+(?:/|$)`).test(`${path}`));
  const or = "or objectStorage.storageClass instead of node and path";
  return [
    node !== undefined &&
      complete &&
      unless(
        names.includes(node!),
        "objectStorage.node",
        node ?? undefined,
        `one of nodes: ${names.join(", ")}; ${or}`,
      ),
    path !== undefined &&
      unless(path !== null, "objectStorage.path", undefined, `a directory on that node; ${or}`),
    unless(!taken, "objectStorage.path", path, "a directory that is no slot's"),
  ];
};

/** Passwords and videos cross the network in clear on one's own machine only. */
const encryptedOnTheWire: CrossCheck = ({ environment, catalogue, objectStorage }) =>
  environment === "local"
    ? []
    : [
        unless(catalogue?.tls !== false, "catalogue.tls", false, "true, on every stack but local"),
        objectStorage?.backend === "s3" &&
          objectStorage.endpoint !== undefined &&
          unless(
            objectStorage.endpoint.startsWith("https:"),
            "objectStorage.endpoint",
            objectStorage.endpoint,
            "an https:// URL, on every stack but local",
          ),
      ];

/** A scan that takes as long as a job is silent would make it look abandoned. */
const scanWithinDeadline: CrossCheck = ({ scan, staging }) => {
  if (!scan || !staging) return [];
  return [
    scan.timeout !== undefined &&
      staging.maxLocal !== undefined &&
      unless(
        scan.timeout < staging.maxLocal,
        "scan.timeout",
        formatDuration(scan.timeout),
        `less than staging.maxLocal (${formatDuration(staging.maxLocal)}), when a job is to leave the node`,
      ),
  ];
};

/** A slot that is kept for a tenant is a slot, and the tenant one of ours. */
const keptSlots: CrossCheck = ({ isolation, nodes, pools, tenants }) => {
  if (!isolation?.slotTenants || !nodes || !pools || !tenants) return [];
  const readable = <T extends object>(places: readonly (T | undefined)[]) =>
    places.filter((place): place is T => !!place && !Object.values(place).includes(undefined));
  const slots = [...slotsOf(readable(nodes)), ...slotsOfPools(readable(pools))].map(({ name }) => name);
  return Object.entries(isolation.slotTenants).flatMap(([slot, tenant]) => {
    const key = `isolation.slotTenants.${slot}`;
    return [
      unless(slots.includes(slot), key, tenant, `names of slots, such as ${slots[0]}`),
      unless(tenants.includes(tenant), key, tenant, `one of tenants: ${tenants.join(", ")}`),
    ];
  });
};

/** Sweeps push to one Pushgateway. */
const onePushgateway: CrossCheck = ({ monitoring }) => {
  if (!monitoring) return [];
  const { pushgatewayImage: ours, pushgatewayUrl: theirs } = monitoring;
  if (ours === undefined || theirs === undefined) return [];
  return [
    unless(
      ours !== null || theirs !== null,
      "monitoring.pushgatewayImage",
      undefined,
      "the image of a Pushgateway, by digest; or monitoring.pushgatewayUrl of one that is there",
    ),
    unless(
      ours === null || theirs === null,
      "monitoring.pushgatewayUrl",
      theirs,
      "nothing, as monitoring.pushgatewayImage says that the stack runs one itself",
    ),
  ];
};

/** Neither of the namespaces is Prometheus': they refuse what it needs, and it would see their secrets. */
const prometheusElsewhere: CrossCheck = ({ monitoring, namespace, systemNamespace }) => {
  const of = monitoring?.prometheusNamespace;
  if (of === undefined || namespace === undefined || systemNamespace === undefined) return [];
  return [
    unless(
      of !== namespace && of !== systemNamespace,
      "monitoring.prometheusNamespace",
      of,
      "another namespace than namespace and systemNamespace",
    ),
  ];
};

const CROSS_CHECKS: readonly CrossCheck[] = [
  onePushgateway,
  prometheusElsewhere,
  keptSlots,
  heartbeats,
  namespaces,
  placesOfTheMode,
  ownNames,
  ownUsers,
  diskOfPreparedNodes,
  slotsWithinDisk,
  reserveWithinSlot,
  waterMarks,
  sweptBeforeFull,
  coldBeforeDeleted,
  lifecycleInDays,
  alertsBeforeRefusals,
  tenantsOnce,
  tenantsWithinLimits,
  knownTenants,
  storedWhereThereIsStorage,
  placeOfMinio,
  encryptedOnTheWire,
  scanWithinDeadline,
];

/** Everything that is wrong between keys. */
export function crossChecks(config: Readable): Problem[] {
  return CROSS_CHECKS.flatMap((check) => check(config)).filter((problem) => problem !== false);
}

function repeated<T>(values: readonly T[]): T[] {
  return [
    ...new Set(values.filter((value, index) => value !== undefined && values.indexOf(value) !== index)),
  ];
}
