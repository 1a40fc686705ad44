import { isTenantId } from "@video-storage/contract/identity";
import type { TenantId } from "@video-storage/contract/identity";

import { boolean, duration, integer, list, size, text, withDefault } from "../checks.js";
import type { Check, Checked } from "../checks.js";
import { isolation } from "./isolation.js";
import { alerts, cleanup, retention, staging } from "./lifecycle.js";
import { monitoring } from "./monitoring.js";
import { objectStorage } from "./object-storage.js";
import { cidr, namespaceName } from "./patterns.js";
import { catalogue, scan } from "./services.js";
import { nodes, pools, storage } from "./storage.js";

const MEBIBYTE = 2n ** 20n;

const tenant: Check<TenantId> = (value, key, problems) => {
  if (isTenantId(value)) return value;
  problems.push({ key, value, allowed: "a tenant id of 1 to 40 lower-case letters, digits and hyphens" });
  return undefined;
};

/** Every key of the configuration but the secret ones; Pulumi.yaml declares and describes the same. */
export const STACK = {
  context: text(/^\S.*$/, "the name of a context in the kubeconfig"),
  namespace: namespaceName,
  systemNamespace: namespaceName,
  storage: withDefault(storage, storage({ mode: "static" }, "storage", [])!),
  nodes: withDefault(nodes, []),
  pools: withDefault(pools, []),
  slotSize: size(16n * MEBIBYTE),
  reserve: size(0n),
  fillRate: size(1n),
  jobsPerSlot: integer(1, 16),
  tenants: list(tenant, 1),
  heartbeat: duration(1),
  heartbeatTimeout: duration(2),
  retention,
  cleanup,
  staging,
  scan,
  alerts,
  monitoring,
  catalogue,
  objectStorage,
  workerEgress: list(cidr),
  isolation,
  credentialRotation: integer(1, 1_000_000),
  protectData: boolean(),
  admissionPolicies: boolean(),
};

export type StackValues = Checked<typeof STACK>;
