import type { TestCatalogue } from "../../test/support/postgres.js";

/** How large a catalogue is. */
export interface Size {
  readonly jobs: number;
  readonly volumes: number;
  readonly tenants: number;
}

/**
 * Fills a catalogue as it would have grown: jobs in every state over all volumes, the totals in the many parts that
 * connections keep, a day of sweeps, and a deletion that was begun on every tenth volume.
 */
export async function fill(catalogue: TestCatalogue, { jobs, volumes, tenants }: Size): Promise<void> {
  await catalogue.admin(`
    SET session_replication_role = replica;
    INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod, bytes, location,
      created_at, state_changed_at, heartbeat_at, last_access_at, deleted_at)
    SELECT 'tenant-' || n % ${tenants},
      (lpad(to_hex(n), 12, '0') || '7000' || '8000' || lpad(to_hex(n::bigint * 7919 % 1000003), 12, '0'))::uuid,
      CASE WHEN n % 20 < 12 THEN 'uploaded' WHEN n % 20 < 16 THEN 'completed' WHEN n % 20 < 18 THEN 'failed'
        WHEN n % 20 = 18 THEN 'abandoned' ELSE 'active' END,
      2, 'volume-' || n / 20 % ${volumes}, 'node', 'video', 'pod', n % 1000 * 1000000,
      CASE WHEN n % 20 = 12 THEN 'object' ELSE 'local' END,
      age, age, age, age, NULL
    FROM (SELECT n, now() - n / 400 * interval '1 hour' AS age FROM generate_series(1, ${jobs}) n) g;
    INSERT INTO storage.job_totals
      SELECT tenant_id, location, state, shard, count(*), coalesce(sum(bytes), 0)
      FROM (SELECT *, (row_number() OVER ()) % 64 AS shard FROM storage.jobs) j
      GROUP BY tenant_id, location, state, shard;
    INSERT INTO storage.sweeps (volume, actor, started_at, finished_at, result)
      SELECT 'volume-' || n % ${volumes}, 'cleanup', now() - n * interval '3 s', now() - n * interval '3 s', 'ok'
      FROM generate_series(1, ${volumes} * 144) n;
    INSERT INTO storage.sweep_totals VALUES ('ok', 144000, 100000, 5000, 0, 1e15), ('partial', 20, 3, 0, 25, 1e9);
    INSERT INTO storage.open_intents SELECT 'volume-' || n, 1, gen_random_uuid(), 'delete', now()
      FROM generate_series(0, ${volumes} - 1, 10) n;
    INSERT INTO storage.janitor_runs (bucket, actor, finished_at, result, last_success_at)
      VALUES ('videos', 'cleanup', now(), '{"result": "ok"}', now());
    SET session_replication_role = origin`);
  await catalogue.admin("VACUUM (ANALYZE) storage.jobs, storage.job_totals, storage.sweeps");
}
