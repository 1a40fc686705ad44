-- Up Migration

-- What a worker's login may put into the catalogue is bounded: in one transaction, so that no statement fills the disk
-- before anything can be counted, and over all of its tenant's rows. Time-outs and connections are bounded where the
-- logins are made (catalogue/src/migrate.ts); a login can lift its own time-outs, so the sweep ends what overstays.

-- The row of tenant '*' holds for all that have none of their own.
CREATE TABLE storage.limits (
  tenant_id text PRIMARY KEY,
  -- Jobs that are not deleted.
  live_jobs bigint NOT NULL CHECK (live_jobs > 0),
  objects bigint NOT NULL CHECK (objects > 0),
  scans bigint NOT NULL CHECK (scans > 0)
);
INSERT INTO storage.limits VALUES ('*', 100000, 1000000, 1000000);

-- Not logged: it says nothing that matters once the server has crashed.
CREATE UNLOGGED TABLE storage.transaction_rows (
  backend integer PRIMARY KEY,
  transaction xid8 NOT NULL,
  added integer NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION storage.bound_transaction() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  rows_so_far integer;
BEGIN
  IF storage.is_worker() THEN
    INSERT INTO storage.transaction_rows AS r VALUES (pg_backend_pid(), pg_current_xact_id(), 1)
      ON CONFLICT (backend) DO UPDATE SET transaction = excluded.transaction,
        added = CASE WHEN r.transaction = excluded.transaction THEN r.added + 1 ELSE 1 END
      RETURNING added INTO rows_so_far;
    IF rows_so_far > 1000 THEN
      RAISE EXCEPTION 'a worker adds at most 1000 rows in one transaction' USING ERRCODE = 'program_limit_exceeded';
    END IF;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER bound_transaction BEFORE INSERT ON storage.jobs
  FOR EACH ROW EXECUTE FUNCTION storage.bound_transaction();
CREATE TRIGGER bound_transaction BEFORE INSERT ON storage.objects
  FOR EACH ROW EXECUTE FUNCTION storage.bound_transaction();
CREATE TRIGGER bound_transaction BEFORE INSERT ON storage.scans
  FOR EACH ROW EXECUTE FUNCTION storage.bound_transaction();

-- As storage.job_totals, for the tables whose rows are only counted.
CREATE TABLE storage.row_totals (
  tenant_id text NOT NULL,
  of_table text NOT NULL,
  shard integer NOT NULL,
  row_count bigint NOT NULL,
  PRIMARY KEY (tenant_id, of_table, shard)
) WITH (fillfactor = 50);
ALTER TABLE storage.objects NO FORCE ROW LEVEL SECURITY;
ALTER TABLE storage.scans NO FORCE ROW LEVEL SECURITY;
INSERT INTO storage.row_totals
  SELECT tenant_id, 'objects', 0, count(*) FROM storage.objects GROUP BY tenant_id
  UNION ALL SELECT tenant_id, 'scans', 0, count(*) FROM storage.scans GROUP BY tenant_id;
ALTER TABLE storage.objects FORCE ROW LEVEL SECURITY;
ALTER TABLE storage.scans FORCE ROW LEVEL SECURITY;

CREATE FUNCTION storage.rows_keep_totals() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  by_worker constant boolean := storage.is_worker();
  entry record;
  row_limit bigint;
BEGIN
  IF TG_OP = 'DELETE' THEN entry := OLD; ELSE entry := NEW; END IF;
  INSERT INTO storage.row_totals AS t
    VALUES (entry.tenant_id, TG_TABLE_NAME, pg_backend_pid() % 32 + CASE WHEN by_worker THEN 0 ELSE 32 END,
      CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END)
    ON CONFLICT (tenant_id, of_table, shard) DO UPDATE SET row_count = t.row_count + excluded.row_count;
  IF by_worker THEN
    SELECT CASE TG_TABLE_NAME WHEN 'objects' THEN objects ELSE scans END INTO row_limit FROM storage.limits
      WHERE tenant_id IN (entry.tenant_id, '*') ORDER BY tenant_id = '*' LIMIT 1;
    IF (SELECT sum(row_count) FROM storage.row_totals WHERE tenant_id = entry.tenant_id AND of_table = TG_TABLE_NAME)
        > row_limit THEN
      RAISE EXCEPTION 'tenant % has % rows in storage.%, which is its limit (storage.limits)',
        entry.tenant_id, row_limit, TG_TABLE_NAME USING ERRCODE = 'program_limit_exceeded';
    END IF;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER rows_keep_totals AFTER INSERT OR DELETE ON storage.objects
  FOR EACH ROW EXECUTE FUNCTION storage.rows_keep_totals();
CREATE TRIGGER rows_keep_totals AFTER INSERT OR DELETE ON storage.scans
  FOR EACH ROW EXECUTE FUNCTION storage.rows_keep_totals();

CREATE FUNCTION storage.bound_jobs() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  row_limit bigint;
BEGIN
  IF storage.is_worker() THEN
    SELECT live_jobs INTO row_limit FROM storage.limits
      WHERE tenant_id IN (NEW.tenant_id, '*') ORDER BY tenant_id = '*' LIMIT 1;
    IF (SELECT sum(jobs) FROM storage.job_totals WHERE tenant_id = NEW.tenant_id) > row_limit THEN
      RAISE EXCEPTION 'tenant % has % jobs that are not deleted, which is its limit (storage.limits)',
        NEW.tenant_id, row_limit USING ERRCODE = 'program_limit_exceeded';
    END IF;
  END IF;
  RETURN NULL;
END
$$;
-- Triggers fire in the order of their names: after the totals were kept.
CREATE TRIGGER zz_bound_jobs AFTER INSERT ON storage.jobs FOR EACH ROW EXECUTE FUNCTION storage.bound_jobs();

-- Ends what a worker's session has had open for longer than any statement of the client's may take. Needs an owner that
-- may see and end others' sessions: a superuser, or one with pg_monitor and pg_signal_backend. With another it ends none.
CREATE FUNCTION storage.end_overstaying_workers(older_than interval DEFAULT '60 s') RETURNS integer
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    DELETE FROM storage.transaction_rows r WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = r.backend);
    SELECT count(pg_terminate_backend(a.pid))::integer
    FROM pg_stat_activity a JOIN storage.tenant_logins t ON t.login = a.usename
    WHERE a.datname = current_database() AND a.xact_start < clock_timestamp() - greatest(older_than, '10 s')
  $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA storage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION storage.end_overstaying_workers(interval) TO storage_cleanup;
GRANT SELECT ON storage.limits, storage.row_totals TO storage_auditor, storage_monitor;
