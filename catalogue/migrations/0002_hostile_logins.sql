-- Up Migration

-- A worker's login is in the hands of whatever its tenant runs. Nothing that it may write or lock may stand in
-- the way of the sweep of others' jobs, and nothing that it may claim may be taken for another login's word.

-- One row per chain, which only the writer of an audit row locks. An advisory lock is anybody's to hold.
CREATE TABLE storage.audit_chains (volume text PRIMARY KEY);
CREATE FUNCTION storage.lock_audit_chain(of_volume text) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ INSERT INTO storage.audit_chains AS c (volume) VALUES (of_volume)
        ON CONFLICT (volume) DO UPDATE SET volume = excluded.volume $$;

CREATE OR REPLACE FUNCTION storage.audit_before_insert() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  last record;
BEGIN
  -- One writer per chain; the query after it has a snapshot that sees what the writer before committed.
  PERFORM storage.lock_audit_chain(NEW.volume);
  IF NEW.phase = 'outcome' AND NOT EXISTS (
    SELECT FROM storage.audit a WHERE a.volume = NEW.volume AND a.job_id = NEW.job_id AND a.action = NEW.action
      AND a.phase = 'intent' AND (a.tenant_id IS NULL OR a.tenant_id = NEW.tenant_id)) THEN
    RAISE EXCEPTION 'no intent to % job % on volume % was recorded', NEW.action, NEW.job_id, NEW.volume
      USING ERRCODE = 'check_violation';
  END IF;
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

-- Numbers that the programs can't hold exactly, and names of any length, would end the sweep of a whole volume.
UPDATE storage.jobs SET expected_bytes = least(expected_bytes, 9007199254740991), bytes = least(bytes, 9007199254740991)
  WHERE expected_bytes > 9007199254740991 OR bytes > 9007199254740991;
ALTER TABLE storage.jobs
  ADD CHECK (expected_bytes <= 9007199254740991),
  ADD CHECK (bytes <= 9007199254740991),
  ADD CHECK (greatest(length(tenant_id), length(volume), length(node), length(namespace), length(pod)) <= 253)
    NOT VALID;
ALTER TABLE storage.objects
  ADD CHECK (bytes <= 9007199254740991),
  ADD CHECK (greatest(length(bucket), length(object_key)) <= 1024) NOT VALID;

CREATE OR REPLACE FUNCTION storage.jobs_before_update() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- The logins of the roles above; the administrator may set what he likes.
  restricted constant boolean := NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user);
BEGIN
  IF NEW.state <> OLD.state THEN
    IF NOT storage.can_become(OLD.state, NEW.state) THEN
      RAISE EXCEPTION 'a job that is % cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    -- Also not the sweep, which could only have it from a record that a worker wrote.
    IF NEW.state = 'uploaded' AND NOT pg_has_role(session_user, 'storage_uploader', 'MEMBER') THEN
      RAISE EXCEPTION 'only the uploader says that a job is uploaded' USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.state_changed_at := now();
    -- The uploader and the sweep don't know revisions; a worker's later replay of an older record must lose.
    NEW.revision := greatest(NEW.revision, least(OLD.revision, 2147483646) + 1);
  ELSIF NEW.revision < OLD.revision THEN
    RAISE EXCEPTION 'revision % is older than %', NEW.revision, OLD.revision USING ERRCODE = 'check_violation';
  END IF;
  -- That it happened is the login's to say; when is the database's.
  IF restricted AND NEW.heartbeat_at <> OLD.heartbeat_at THEN NEW.heartbeat_at := now(); END IF;
  IF restricted AND NEW.last_access_at <> OLD.last_access_at THEN NEW.last_access_at := now(); END IF;
  RETURN NEW;
END
$$;

-- A record that only the volume has says whose it is. Anyone who ran on the volume could have written that, so it
-- carries a proof, made with a key that the tenant's workers and this table have (contract/src/record-proof.ts).
ALTER TABLE storage.tenant_logins ADD COLUMN record_key bytea;
CREATE FUNCTION storage.proves_record(of_tenant text, of_job uuid, on_volume text, proof bytea) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT EXISTS (
    SELECT FROM storage.tenant_logins t,
      LATERAL (SELECT convert_to(concat_ws(E'\n', of_tenant, of_job::text, on_volume), 'UTF8') AS content) c
    WHERE t.tenant_id = of_tenant AND sha256(t.record_key || sha256(t.record_key || c.content)) = proof) $$;

-- By default everyone may call a function.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA storage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION storage.can_become(text, text) TO storage_worker, storage_uploader, storage_cleanup;
GRANT EXECUTE ON FUNCTION storage.audit_payload(storage.audit) TO storage_cleanup, storage_auditor;
GRANT EXECUTE ON FUNCTION storage.lock_audit_chain(text), storage.proves_record(text, uuid, text, bytea)
  TO storage_cleanup;
