import type { TestCatalogue } from "../../support/postgres.js";

/** Amounts of {@link addHistory}. */
export interface History {
  readonly volumes: number;
  readonly capacityBytes: number;
  /** Sweeps of each volume, a quarter of an hour apart, the last one a minute ago. */
  readonly sweeps: number;
  readonly tenants: readonly string[];
  /** Jobs of all volumes, of every state by turns and each a minute older than the one before. */
  readonly jobs: number;
}

export const volumeName = (index: number): string => `node-${Math.floor(index / 4)}-slot-${index % 4}`;

/** Rows as many sweeps and workers would have left them; written by the administrator, past all triggers but the totals'. */
export async function addHistory(catalogue: TestCatalogue, history: History): Promise<void> {
  const { volumes, capacityBytes, sweeps, tenants, jobs } = history;
  const names = Array.from({ length: volumes }, (_, index) => volumeName(index));
  await catalogue.admin(
    `INSERT INTO storage.sweeps (volume, actor, started_at, finished_at, result, deleted, tiered, kept, failed, freed_bytes,
       usage_bytes, capacity_bytes)
     SELECT v.volume, 'sweep-pod', t.at, t.at + interval '1.5 s', 'ok', n % 4, n % 3, 5, 0, (n % 4) * 1048576,
       (least(0.995, (0.06 + 0.9 * (v.number % 10) / 10.0 + 0.18 * abs(sin(n / 3.0 + v.number)))) * $2)::bigint, $2::bigint
     FROM unnest($1::text[]) WITH ORDINALITY AS v (volume, number), generate_series($3::int - 1, 0, -1) n,
       LATERAL (SELECT now() - interval '1 min' - n * interval '15 min' AS at) t`,
    [names, capacityBytes, sweeps],
  );
  await catalogue.admin(
    `INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod, bytes, created_at,
       state_changed_at, heartbeat_at, last_access_at)
     SELECT ($1::text[])[1 + n % cardinality($1::text[])],
       (lpad(to_hex(n), 12, '0') || '7000' || '8000' || lpad(to_hex(n::bigint * 7919 % 1000003), 12, '0'))::uuid,
       (ARRAY['uploaded', 'completed', 'failed', 'active', 'uploaded', 'abandoned', 'completed', 'active'])[1 + n % 8], 2,
       ($2::text[])[1 + n % cardinality($2::text[])], 'node', 'video', 'worker-' || n,
       CASE WHEN n % 8 IN (3, 7) THEN NULL ELSE (n % 50 + 1) * 1048576 END, t.at, t.at,
       CASE WHEN n % 8 = 3 THEN now() ELSE t.at END, t.at
     FROM generate_series(1, $3::int) n, LATERAL (SELECT now() - n * interval '1 min' AS at) t`,
    [tenants, names, jobs],
  );
}
