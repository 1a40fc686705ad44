import { isTenantId, parseTenantId } from "@video-storage/contract/identity";
import type { TenantId } from "@video-storage/contract/identity";

import { boolean, list, mapOf, oneOf, record, withDefault } from "../checks.js";
import type { Check } from "../checks.js";
import { LABEL_KEY, labelValue } from "./patterns.js";

const tenant: Check<TenantId> = (value, key, problems) => {
  if (isTenantId(value)) return parseTenantId(value);
  problems.push({ key, value, allowed: "one of tenants" });
  return undefined;
};

const toleration: Check<{ key: string; operator: "Equal" | "Exists"; value?: string }> = (
  given,
  key,
  problems,
) => {
  const labelKey: Check<string> = (value, where, found) => {
    if (typeof value === "string" && LABEL_KEY.test(value)) return value;
    found.push({ key: where, value, allowed: "the key of a taint" });
    return undefined;
  };
  const exists = (given as { operator?: unknown } | null)?.operator === "Exists";
  const common = { key: labelKey, operator: withDefault(oneOf("Equal", "Exists"), "Equal") };
  return (exists ? record(common) : record({ ...common, value: labelValue }))(given, key, problems) as
    | { key: string; operator: "Equal" | "Exists"; value?: string }
    | undefined;
};

const ISOLATION = record({
  /** `hostUsers: false` for every pod; see docs/isolation.md for what the nodes must have. */
  userNamespaces: withDefault(boolean(), false),
  /** Taints of the nodes with the slots, which workers, the uploader, the sweep and placement tolerate. */
  tolerations: withDefault(list(toleration), []),
  /** Slots by name that are one tenant's for ever. On another, tenants take turns under one user. */
  slotTenants: withDefault(
    mapOf((name) => name.length > 0, "names of slots", tenant),
    {},
  ),
});
export const isolation = withDefault(ISOLATION, ISOLATION({}, "isolation", [])!);
