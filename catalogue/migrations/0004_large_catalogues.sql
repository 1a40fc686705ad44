-- Up Migration

-- What the sweep and the monitoring ask must cost the same at a thousand jobs and at a million.

-- The owner of the tables must see all rows here, also where the administrator is no superuser.
ALTER TABLE storage.jobs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE storage.audit NO FORCE ROW LEVEL SECURITY;

-- Jobs ---------------------------------------------------------------------------------------------------

-- heartbeat_at is in no index on purpose: a heartbeat then touches its row's page and nothing else.
ALTER TABLE storage.jobs SET (fillfactor = 85);

-- A volume's jobs one page after another, by a key that doesn't move while the sweep reads.
DROP INDEX storage.jobs_on_volume;
CREATE INDEX jobs_on_volume ON storage.jobs (volume, job_id) WHERE deleted_at IS NULL;
-- What has been longest in its state: first to expire.
CREATE INDEX jobs_by_age ON storage.jobs (volume, state, state_changed_at, job_id)
  WHERE deleted_at IS NULL AND location = 'local';
-- What was longest unused: first to go under disk pressure.
CREATE INDEX jobs_by_access ON storage.jobs (volume, last_access_at, job_id)
  WHERE deleted_at IS NULL AND location = 'local' AND state <> 'active';
-- What lies in object storage, for whoever ends it there.
CREATE INDEX jobs_in_object_storage ON storage.jobs (state_changed_at, job_id)
  WHERE deleted_at IS NULL AND location = 'object';
-- A tenant's oldest in each state, and what is due, without a look at the table.
CREATE INDEX jobs_of_tenant ON storage.jobs (tenant_id, location, state, state_changed_at) INCLUDE (bytes)
  WHERE deleted_at IS NULL;

-- How many there are of a kind, kept as they change. Every connection adds to a row of its own, or nearly: one row for
-- all would make each wait for the others' commits. The sweep's are apart from the workers', who could hold theirs.
CREATE TABLE storage.job_totals (
  tenant_id text NOT NULL,
  location text NOT NULL,
  state text NOT NULL,
  shard integer NOT NULL,
  jobs bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (tenant_id, location, state, shard)
) WITH (fillfactor = 50);
INSERT INTO storage.job_totals
  SELECT tenant_id, location, state, 0, count(*), coalesce(sum(bytes), 0) FROM storage.jobs
  WHERE deleted_at IS NULL GROUP BY tenant_id, location, state;

CREATE FUNCTION storage.is_worker() RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT EXISTS (SELECT FROM storage.tenant_logins WHERE login = session_user) $$;

CREATE FUNCTION storage.add_to_total(of_tenant text, at_location text, in_state text, more_jobs bigint, more_bytes bigint)
  RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ INSERT INTO storage.job_totals AS t
        VALUES (of_tenant, at_location, in_state,
          pg_backend_pid() % 32 + CASE WHEN storage.is_worker() THEN 0 ELSE 32 END, more_jobs, more_bytes)
        ON CONFLICT (tenant_id, location, state, shard)
          DO UPDATE SET jobs = t.jobs + excluded.jobs, bytes = t.bytes + excluded.bytes $$;

CREATE FUNCTION storage.jobs_keep_totals() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    IF OLD.deleted_at IS NULL THEN
      PERFORM storage.add_to_total(OLD.tenant_id, OLD.location, OLD.state, -1, -coalesce(OLD.bytes, 0));
    END IF;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    IF NEW.deleted_at IS NULL THEN
      PERFORM storage.add_to_total(NEW.tenant_id, NEW.location, NEW.state, 1, coalesce(NEW.bytes, 0));
    END IF;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER jobs_keep_totals_of_rows AFTER INSERT OR DELETE ON storage.jobs
  FOR EACH ROW EXECUTE FUNCTION storage.jobs_keep_totals();
CREATE TRIGGER jobs_keep_totals_of_changes AFTER UPDATE ON storage.jobs
  FOR EACH ROW WHEN ((OLD.tenant_id, OLD.location, OLD.state, OLD.bytes, OLD.deleted_at)
    IS DISTINCT FROM (NEW.tenant_id, NEW.location, NEW.state, NEW.bytes, NEW.deleted_at))
  EXECUTE FUNCTION storage.jobs_keep_totals();

-- Audit --------------------------------------------------------------------------------------------------

CREATE INDEX audit_of_job ON storage.audit (job_id, recorded_at, sequence);

-- What was begun and isn't finished. To find it in the audit would mean to read all that was ever deleted.
CREATE TABLE storage.open_intents (
  volume text NOT NULL,
  sequence bigint NOT NULL,
  job_id uuid NOT NULL,
  action text NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (volume, sequence)
);
CREATE INDEX open_intents_of_job ON storage.open_intents (job_id);
INSERT INTO storage.open_intents
  SELECT i.volume, i.sequence, i.job_id, i.action, i.recorded_at FROM storage.audit i
  WHERE i.phase = 'intent' AND NOT EXISTS (
    SELECT FROM storage.audit o WHERE o.job_id = i.job_id AND o.action IN (i.action, 'delete') AND o.phase = 'outcome');

CREATE FUNCTION storage.audit_keep_open_intents() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.phase = 'intent' THEN
    INSERT INTO storage.open_intents VALUES (NEW.volume, NEW.sequence, NEW.job_id, NEW.action, NEW.recorded_at);
  ELSE
    -- A job that was deleted is moved no more.
    DELETE FROM storage.open_intents WHERE job_id = NEW.job_id AND (action = NEW.action OR NEW.action = 'delete');
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_keep_open_intents AFTER INSERT ON storage.audit
  FOR EACH ROW EXECUTE FUNCTION storage.audit_keep_open_intents();

-- Who may read it ----------------------------------------------------------------------------------------

-- For the monitoring: how much there is of everything and how old it is, and not what any job is called.
DO $$
BEGIN
  CREATE ROLE storage_monitor NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END
$$;
GRANT USAGE ON SCHEMA storage TO storage_monitor;
GRANT SELECT (tenant_id, state, location, volume, bytes, created_at, state_changed_at, heartbeat_at, last_access_at,
  deleted_at) ON storage.jobs TO storage_monitor;
CREATE POLICY monitor_reads ON storage.jobs FOR SELECT TO storage_monitor USING (true);
GRANT SELECT ON storage.job_totals TO storage_monitor, storage_cleanup, storage_auditor;
GRANT SELECT ON storage.open_intents TO storage_cleanup, storage_auditor;
GRANT SELECT (volume, sequence, action, recorded_at) ON storage.open_intents TO storage_monitor;
GRANT SELECT ON storage.sweeps TO storage_monitor;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA storage FROM PUBLIC;
ALTER TABLE storage.jobs FORCE ROW LEVEL SECURITY;
ALTER TABLE storage.audit FORCE ROW LEVEL SECURITY;
