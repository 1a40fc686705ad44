-- Up Migration

-- Roles belong to the whole server, and another database's migration may be creating the same ones now.
DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['storage_worker', 'storage_uploader', 'storage_cleanup', 'storage_auditor'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
END
$$;

REVOKE ALL ON SCHEMA storage FROM PUBLIC;
GRANT USAGE ON SCHEMA storage TO storage_worker, storage_uploader, storage_cleanup, storage_auditor;

-- Identity -----------------------------------------------------------------------------------------------

CREATE TABLE storage.tenant_logins (
  login name PRIMARY KEY,
  tenant_id text NOT NULL
);

-- session_user: SET ROLE doesn't change it. A login without a tenant gets NULL, which equals no row's tenant.
CREATE FUNCTION storage.current_tenant() RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT tenant_id FROM storage.tenant_logins WHERE login = session_user $$;
REVOKE ALL ON FUNCTION storage.current_tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION storage.current_tenant()
  TO storage_worker, storage_uploader, storage_cleanup, storage_auditor;

-- Jobs ---------------------------------------------------------------------------------------------------

CREATE TABLE storage.jobs (
  tenant_id text NOT NULL,
  job_id uuid NOT NULL UNIQUE,
  state text NOT NULL CHECK (state IN ('active', 'completed', 'uploaded', 'failed', 'abandoned')),
  revision integer NOT NULL CHECK (revision >= 1),
  volume text NOT NULL,
  node text NOT NULL,
  namespace text NOT NULL,
  pod text NOT NULL,
  expected_bytes bigint CHECK (expected_bytes >= 0),
  bytes bigint CHECK (bytes >= 0),
  location text NOT NULL DEFAULT 'local' CHECK (location IN ('local', 'object', 'none')),
  contradiction boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  state_changed_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  last_access_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  PRIMARY KEY (tenant_id, job_id)
);
CREATE INDEX jobs_on_volume ON storage.jobs (volume) WHERE deleted_at IS NULL;

-- The machine of contract/src/states.ts; a test compares the two for every pair.
CREATE FUNCTION storage.can_become(from_state text, to_state text) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT (from_state = 'active' AND to_state IN ('completed', 'failed', 'abandoned'))
            OR (from_state = 'completed' AND to_state = 'uploaded') $$;

CREATE FUNCTION storage.jobs_before_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> OLD.state THEN
    IF NOT storage.can_become(OLD.state, NEW.state) THEN
      RAISE EXCEPTION 'a job that is % cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    NEW.state_changed_at := now();
    -- The uploader and the sweep don't know revisions; a worker's later replay of an older record must lose.
    NEW.revision := greatest(NEW.revision, OLD.revision + 1);
  ELSIF NEW.revision < OLD.revision THEN
    RAISE EXCEPTION 'revision % is older than %', NEW.revision, OLD.revision USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER jobs_before_update BEFORE UPDATE ON storage.jobs
  FOR EACH ROW EXECUTE FUNCTION storage.jobs_before_update();

-- Objects ------------------------------------------------------------------------------------------------

CREATE TABLE storage.objects (
  tenant_id text NOT NULL,
  job_id uuid NOT NULL,
  bucket text NOT NULL,
  object_key text NOT NULL,
  bytes bigint NOT NULL CHECK (bytes >= 0),
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  verified_at timestamptz NOT NULL DEFAULT now(),
  removed_at timestamptz,
  PRIMARY KEY (tenant_id, job_id, object_key),
  -- One prefix is one tenant and one job; a row that says otherwise would send a reader to someone else's.
  CHECK (starts_with(object_key, 'tenants/' || tenant_id || '/jobs/' || job_id::text || '/'))
);

-- Audit --------------------------------------------------------------------------------------------------

CREATE TABLE storage.audit (
  volume text NOT NULL,
  sequence bigint NOT NULL,
  tenant_id text,
  job_id uuid NOT NULL,
  phase text NOT NULL CHECK (phase IN ('intent', 'outcome')),
  action text NOT NULL CHECK (action IN ('delete', 'tier')),
  reason text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  bytes bigint,
  files bigint,
  actor text NOT NULL,
  login name NOT NULL,
  recorded_at timestamptz NOT NULL,
  payload text NOT NULL,
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (volume, sequence)
);
CREATE UNIQUE INDEX audit_one_intent ON storage.audit (job_id, action) WHERE phase = 'intent';
CREATE UNIQUE INDEX audit_one_outcome ON storage.audit (job_id, action) WHERE phase = 'outcome';

-- What a row says, always in the same characters: the session's time zone would change them.
CREATE FUNCTION storage.audit_payload(entry storage.audit) RETURNS text
  LANGUAGE sql STABLE SET timezone = 'UTC'
  AS $$ SELECT jsonb_build_object(
    'volume', entry.volume, 'sequence', entry.sequence, 'tenantId', entry.tenant_id, 'jobId', entry.job_id,
    'phase', entry.phase, 'action', entry.action, 'reason', entry.reason, 'details', entry.details,
    'bytes', entry.bytes, 'files', entry.files, 'actor', entry.actor, 'login', entry.login,
    'recordedAt', entry.recorded_at)::text $$;

CREATE FUNCTION storage.audit_before_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last record;
BEGIN
  -- One writer per chain; the query after it has a snapshot that sees what the writer before committed.
  PERFORM pg_advisory_xact_lock(hashtextextended('storage.audit:' || NEW.volume, 0));
  SELECT a.sequence, a.hash INTO last FROM storage.audit a
    WHERE a.volume = NEW.volume ORDER BY a.sequence DESC LIMIT 1;
  NEW.sequence := coalesce(last.sequence, 0) + 1;
  NEW.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
  NEW.recorded_at := clock_timestamp();
  NEW.login := session_user;
  NEW.payload := storage.audit_payload(NEW);
  NEW.hash := sha256(NEW.previous_hash || convert_to(NEW.payload, 'UTF8'));
  RETURN NEW;
END
$$;
CREATE TRIGGER audit_before_insert BEFORE INSERT ON storage.audit
  FOR EACH ROW EXECUTE FUNCTION storage.audit_before_insert();

CREATE FUNCTION storage.audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON storage.audit
  FOR EACH ROW EXECUTE FUNCTION storage.audit_refuse_change();
CREATE TRIGGER audit_never_truncated BEFORE TRUNCATE ON storage.audit
  FOR EACH STATEMENT EXECUTE FUNCTION storage.audit_refuse_change();

-- Sweeps -------------------------------------------------------------------------------------------------

CREATE TABLE storage.sweeps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  volume text NOT NULL,
  actor text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  result text,
  deleted integer,
  tiered integer,
  kept integer,
  failed integer,
  freed_bytes bigint,
  usage_bytes bigint,
  capacity_bytes bigint
);
CREATE INDEX sweeps_by_volume ON storage.sweeps (volume, started_at DESC);

-- Who may do what ----------------------------------------------------------------------------------------

ALTER TABLE storage.jobs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE storage.audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT ON storage.jobs, storage.objects
  TO storage_worker, storage_uploader, storage_cleanup, storage_auditor;
GRANT SELECT ON storage.audit, storage.sweeps TO storage_cleanup, storage_auditor;

-- A worker: its tenant's jobs, in the states that are its to set.
GRANT INSERT (tenant_id, job_id, state, revision, volume, node, namespace, pod, expected_bytes, bytes),
  UPDATE (state, revision, bytes, heartbeat_at, last_access_at) ON storage.jobs TO storage_worker;
GRANT INSERT (tenant_id, job_id, bucket, object_key, bytes, sha256) ON storage.objects TO storage_worker;
CREATE POLICY worker_reads ON storage.jobs FOR SELECT TO storage_worker
  USING (tenant_id = storage.current_tenant());
CREATE POLICY worker_adds ON storage.jobs FOR INSERT TO storage_worker
  WITH CHECK (tenant_id = storage.current_tenant() AND state IN ('active', 'completed', 'failed'));
CREATE POLICY worker_changes ON storage.jobs FOR UPDATE TO storage_worker
  USING (tenant_id = storage.current_tenant() AND state IN ('active', 'completed', 'failed'))
  WITH CHECK (tenant_id = storage.current_tenant() AND state IN ('active', 'completed', 'failed'));
CREATE POLICY worker_reads ON storage.objects FOR SELECT TO storage_worker
  USING (tenant_id = storage.current_tenant());
CREATE POLICY worker_adds ON storage.objects FOR INSERT TO storage_worker
  WITH CHECK (tenant_id = storage.current_tenant());

-- The uploader: completed to uploaded, and that it read.
GRANT UPDATE (state, last_access_at) ON storage.jobs TO storage_uploader;
CREATE POLICY uploader_reads ON storage.jobs FOR SELECT TO storage_uploader USING (true);
CREATE POLICY uploader_changes ON storage.jobs FOR UPDATE TO storage_uploader
  USING (state IN ('completed', 'uploaded')) WITH CHECK (state IN ('completed', 'uploaded'));
CREATE POLICY uploader_reads ON storage.objects FOR SELECT TO storage_uploader USING (true);

-- The sweep: every volume's jobs; it adds to the audit and never changes it.
GRANT INSERT (tenant_id, job_id, state, revision, volume, node, namespace, pod, expected_bytes, bytes),
  UPDATE (state, revision, bytes, location, contradiction, heartbeat_at, last_access_at, deleted_at)
  ON storage.jobs TO storage_cleanup;
GRANT INSERT (tenant_id, job_id, bucket, object_key, bytes, sha256), UPDATE (verified_at, removed_at)
  ON storage.objects TO storage_cleanup;
GRANT INSERT (volume, tenant_id, job_id, phase, action, reason, details, bytes, files, actor)
  ON storage.audit TO storage_cleanup;
GRANT INSERT (volume, actor),
  UPDATE (finished_at, result, deleted, tiered, kept, failed, freed_bytes, usage_bytes, capacity_bytes)
  ON storage.sweeps TO storage_cleanup;
CREATE POLICY cleanup_all ON storage.jobs TO storage_cleanup USING (true) WITH CHECK (true);
CREATE POLICY cleanup_all ON storage.objects TO storage_cleanup USING (true) WITH CHECK (true);
CREATE POLICY cleanup_reads ON storage.audit FOR SELECT TO storage_cleanup USING (true);
CREATE POLICY cleanup_adds ON storage.audit FOR INSERT TO storage_cleanup WITH CHECK (true);

CREATE POLICY auditor_reads ON storage.jobs FOR SELECT TO storage_auditor USING (true);
CREATE POLICY auditor_reads ON storage.objects FOR SELECT TO storage_auditor USING (true);
CREATE POLICY auditor_reads ON storage.audit FOR SELECT TO storage_auditor USING (true);
