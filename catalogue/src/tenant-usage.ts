import type { TenantId } from "@video-storage/contract/identity";
import type { Queryable } from "./connection.js";

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
