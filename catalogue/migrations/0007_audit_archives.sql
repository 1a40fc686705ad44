-- Up Migration

-- The audit grows for ever. Its oldest rows may move into files, a whole beginning of a chain at a time, once a row
-- here says which they are and how the chain goes on from them. These rows are chained themselves, and never change.

DO $$
BEGIN
  CREATE ROLE storage_archivist NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END
$$;
GRANT USAGE ON SCHEMA storage TO storage_archivist;

-- The administrator's to set; the archivist's never.
CREATE TABLE storage.archive_policy (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- How old a row of the audit must be, and for how long a job must be deleted, before they may leave the catalogue.
  minimum_age interval NOT NULL DEFAULT '90 days' CHECK (minimum_age >= '0')
);
INSERT INTO storage.archive_policy DEFAULT VALUES;

CREATE TABLE storage.audit_archives (
  volume text NOT NULL,
  part integer NOT NULL,
  from_sequence bigint NOT NULL,
  to_sequence bigint NOT NULL,
  -- The links of the rows that left: what the first one pointed to, and what the first one that stays points to.
  first_previous_hash bytea NOT NULL,
  last_hash bytea NOT NULL,
  file text NOT NULL CHECK (length(file) BETWEEN 1 AND 1024),
  -- Of the file's text, uncompressed.
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  login name NOT NULL,
  archived_at timestamptz NOT NULL,
  payload text NOT NULL,
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (volume, part)
);
CREATE UNIQUE INDEX audit_archives_ranges ON storage.audit_archives (volume, to_sequence) INCLUDE (from_sequence);

CREATE FUNCTION storage.audit_archive_payload(entry storage.audit_archives) RETURNS text
  LANGUAGE sql STABLE SET timezone = 'UTC'
  AS $$ SELECT jsonb_build_object(
    'volume', entry.volume, 'part', entry.part, 'fromSequence', entry.from_sequence, 'toSequence', entry.to_sequence,
    'firstPreviousHash', encode(entry.first_previous_hash, 'hex'), 'lastHash', encode(entry.last_hash, 'hex'),
    'file', entry.file, 'sha256', entry.sha256, 'login', entry.login, 'archivedAt', entry.archived_at)::text $$;

CREATE FUNCTION storage.audit_archives_before_insert() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  last record;
  archived record;
  minimum constant interval := (SELECT minimum_age FROM storage.archive_policy);
BEGIN
  SELECT p.part, p.to_sequence, p.hash INTO last FROM storage.audit_archives p
    WHERE p.volume = NEW.volume ORDER BY p.part DESC LIMIT 1;
  NEW.part := coalesce(last.part, 0) + 1;
  NEW.from_sequence := coalesce(last.to_sequence, 0) + 1;
  SELECT count(*) AS entries, max(a.recorded_at) AS newest INTO archived FROM storage.audit a
    WHERE a.volume = NEW.volume AND a.sequence BETWEEN NEW.from_sequence AND NEW.to_sequence;
  IF NEW.to_sequence < NEW.from_sequence OR archived.entries <> NEW.to_sequence - NEW.from_sequence + 1 THEN
    RAISE EXCEPTION 'rows % to % of volume % are not all there', NEW.from_sequence, NEW.to_sequence, NEW.volume
      USING ERRCODE = 'check_violation';
  END IF;
  IF archived.newest > clock_timestamp() - minimum THEN
    RAISE EXCEPTION 'row % of volume % is younger than %, the minimum of storage.archive_policy',
      NEW.to_sequence, NEW.volume, minimum USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM storage.open_intents o WHERE o.volume = NEW.volume AND o.sequence <= NEW.to_sequence) THEN
    RAISE EXCEPTION 'something that was begun on volume % before row % has no outcome yet', NEW.volume, NEW.to_sequence
      USING ERRCODE = 'check_violation';
  END IF;
  -- The chain goes on from its last row.
  IF NOT EXISTS (SELECT FROM storage.audit a WHERE a.volume = NEW.volume AND a.sequence > NEW.to_sequence) THEN
    RAISE EXCEPTION 'row % is the last of volume % and stays', NEW.to_sequence, NEW.volume
      USING ERRCODE = 'check_violation';
  END IF;
  NEW.first_previous_hash := (SELECT a.previous_hash FROM storage.audit a
    WHERE a.volume = NEW.volume AND a.sequence = NEW.from_sequence);
  NEW.last_hash := (SELECT a.hash FROM storage.audit a WHERE a.volume = NEW.volume AND a.sequence = NEW.to_sequence);
  NEW.login := session_user;
  NEW.archived_at := clock_timestamp();
  NEW.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
  NEW.payload := storage.audit_archive_payload(NEW);
  NEW.hash := sha256(NEW.previous_hash || convert_to(NEW.payload, 'UTF8'));
  RETURN NEW;
END
$$;
CREATE TRIGGER audit_archives_before_insert BEFORE INSERT ON storage.audit_archives
  FOR EACH ROW EXECUTE FUNCTION storage.audit_archives_before_insert();
CREATE TRIGGER audit_archives_append_only BEFORE UPDATE OR DELETE ON storage.audit_archives
  FOR EACH ROW EXECUTE FUNCTION storage.audit_refuse_change();
CREATE TRIGGER audit_archives_never_truncated BEFORE TRUNCATE ON storage.audit_archives
  FOR EACH STATEMENT EXECUTE FUNCTION storage.audit_refuse_change();

CREATE FUNCTION storage.is_archived(of_volume text, of_sequence bigint) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT EXISTS (SELECT FROM storage.audit_archives
    WHERE volume = of_volume AND from_sequence <= of_sequence AND to_sequence >= of_sequence) $$;

-- Whoever it is, the superuser too: only what an archive has may go.
CREATE FUNCTION storage.audit_refuse_loss() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF storage.is_archived(OLD.volume, OLD.sequence) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the audit is append-only: row % of volume % is in no archive', OLD.sequence, OLD.volume
    USING ERRCODE = 'insufficient_privilege';
END
$$;
DROP TRIGGER audit_append_only ON storage.audit;
CREATE TRIGGER audit_append_only BEFORE UPDATE ON storage.audit
  FOR EACH ROW EXECUTE FUNCTION storage.audit_refuse_change();
CREATE TRIGGER audit_no_loss BEFORE DELETE ON storage.audit
  FOR EACH ROW EXECUTE FUNCTION storage.audit_refuse_loss();

GRANT SELECT ON storage.audit, storage.open_intents, storage.audit_archives, storage.archive_policy, storage.audit_chains
  TO storage_archivist;
GRANT SELECT ON storage.audit_archives, storage.archive_policy, storage.audit_chains TO storage_auditor, storage_cleanup;
GRANT INSERT (volume, to_sequence, file, sha256) ON storage.audit_archives TO storage_archivist;
GRANT DELETE ON storage.audit TO storage_archivist;
CREATE POLICY archivist_reads ON storage.audit FOR SELECT TO storage_archivist USING (true);
CREATE POLICY archivist_removes ON storage.audit FOR DELETE TO storage_archivist
  USING (storage.is_archived(volume, sequence));

-- What is over and has its place in the audit may leave the other tables as well --------------------------------

CREATE INDEX jobs_deleted ON storage.jobs (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX jobs_continued ON storage.jobs (tenant_id, continued_by) WHERE continued_by IS NOT NULL;
CREATE INDEX objects_removed ON storage.objects (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX scans_by_time ON storage.scans (scanned_at);
CREATE INDEX sweeps_by_time ON storage.sweeps (started_at);
GRANT SELECT, DELETE ON storage.jobs, storage.objects, storage.scans, storage.sweeps TO storage_archivist;
CREATE POLICY archivist_reads ON storage.jobs FOR SELECT TO storage_archivist USING (true);
CREATE POLICY archivist_reads ON storage.objects FOR SELECT TO storage_archivist USING (true);
CREATE POLICY archivist_reads ON storage.scans FOR SELECT TO storage_archivist USING (true);
CREATE POLICY archivist_removes ON storage.jobs FOR DELETE TO storage_archivist
  USING (deleted_at < now() - (SELECT minimum_age FROM storage.archive_policy));
CREATE POLICY archivist_removes ON storage.objects FOR DELETE TO storage_archivist
  USING (removed_at < now() - (SELECT minimum_age FROM storage.archive_policy));
CREATE POLICY archivist_removes ON storage.scans FOR DELETE TO storage_archivist
  USING (scanned_at < now() - (SELECT minimum_age FROM storage.archive_policy));
ALTER TABLE storage.sweeps ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY others_read ON storage.sweeps FOR SELECT
  TO storage_cleanup, storage_auditor, storage_monitor, storage_archivist USING (true);
CREATE POLICY cleanup_adds ON storage.sweeps FOR INSERT TO storage_cleanup WITH CHECK (true);
CREATE POLICY cleanup_changes ON storage.sweeps FOR UPDATE TO storage_cleanup USING (true) WITH CHECK (true);
CREATE POLICY archivist_removes ON storage.sweeps FOR DELETE TO storage_archivist
  USING (started_at < now() - (SELECT minimum_age FROM storage.archive_policy));

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA storage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION storage.audit_payload(storage.audit) TO storage_archivist;
GRANT EXECUTE ON FUNCTION storage.audit_archive_payload(storage.audit_archives)
  TO storage_archivist, storage_auditor, storage_cleanup;
GRANT EXECUTE ON FUNCTION storage.is_archived(text, bigint) TO storage_archivist;
