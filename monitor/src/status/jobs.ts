import type { JobTotal } from "@video-storage/catalogue/statistics";
import { JOB_STATES } from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";
import { TENANTS_SHOWN } from "./model.js";
import type { Amount, JobsPart, TenantJobs } from "./model.js";

const NOTHING: Amount = { jobs: 0, bytes: 0 };

/** Jobs by tenant, and where and in which state they are. */
export function jobsPart(totals: readonly JobTotal[]): JobsPart {
  const rowsOf = new Map<string, JobTotal[]>();
  for (const row of totals) rowsOf.set(row.tenantId, [...(rowsOf.get(row.tenantId) ?? []), row]);
  const tenants = [...rowsOf]
    .map(([tenant, rows]) => tenantJobs(tenant, rows))
    .sort((a, b) => b.bytes - a.bytes || b.jobs - a.jobs || a.tenant.localeCompare(b.tenant, "en"));
  const used = new Set(totals.filter(({ location }) => location === "local").map(({ state }) => state));
  return {
    ...sum(tenants),
    states: JOB_STATES.filter((state) => used.has(state)),
    tenants: tenants.slice(0, TENANTS_SHOWN),
    moreTenants: Math.max(0, tenants.length - TENANTS_SHOWN),
  };
}

function tenantJobs(tenant: string, rows: readonly JobTotal[]): TenantJobs {
  const onVolumes: Partial<Record<JobState, Amount>> = {};
  for (const { location, state, jobs, bytes } of rows) {
    if (location === "local") onVolumes[state] = sum([onVolumes[state] ?? NOTHING, { jobs, bytes }]);
  }
  const inObjectStorage = sum(rows.filter(({ location }) => location === "object"));
  return { tenant, ...sum([...Object.values(onVolumes), inObjectStorage]), onVolumes, inObjectStorage };
}

function sum(amounts: readonly Amount[]): Amount {
  return amounts.reduce((a, b) => ({ jobs: a.jobs + b.jobs, bytes: a.bytes + b.bytes }), NOTHING);
}
