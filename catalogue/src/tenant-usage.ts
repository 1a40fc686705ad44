import type { TenantId } from "@video-storage/contract/identity";
import type { Queryable, Row } from "./connection.js";

/** What each tenant's finished jobs on a volume hold, in bytes: as recorded, else as expected, else nothing. */
export async function finishedBytesByTenant(
  catalogue: Queryable,
  volume: string,
): Promise<Map<TenantId, number>> {
  const rows = await catalogue.query<{ tenantId: TenantId; bytes: number }>(
    `SELECT tenant_id AS "tenantId", coalesce(sum(coalesce(bytes, expected_bytes, 0)), 0)::float8 AS bytes
     FROM storage.jobs WHERE volume = $1 AND deleted_at IS NULL AND location = 'local' AND state <> 'active'
     GROUP BY tenant_id`,
    [volume],
  );
  return new Map(rows.map(({ tenantId, bytes }) => [tenantId, bytes]));
}

export interface TenantUsage {
  readonly tenantId: TenantId;
  /** On the volume, active ones among them. */
  readonly jobs: number;
  /** Of the finished ones' files, as recorded. */
  readonly bytes: number;
  /** When one of them was last read or written, in seconds of Unix time by the database's clock. */
  readonly lastAccessSeconds: number;
}

/** What each tenant has on a volume. */
export async function usageByTenant(catalogue: Queryable, volume: string): Promise<TenantUsage[]> {
  return catalogue.query<TenantUsage & Row>(
    `SELECT tenant_id AS "tenantId", count(*) AS jobs, coalesce(sum(bytes), 0)::float8 AS bytes,
       extract(epoch FROM max(greatest(last_access_at, state_changed_at,
         CASE state WHEN 'active' THEN heartbeat_at END)))::float8 AS "lastAccessSeconds"
     FROM storage.jobs WHERE volume = $1 AND deleted_at IS NULL AND location = 'local'
     GROUP BY tenant_id ORDER BY tenant_id COLLATE "C"`,
    [volume],
  );
}
