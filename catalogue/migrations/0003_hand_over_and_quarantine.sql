-- Up Migration

-- Two more ends of a job on its volume: its worker was drained and left what it had in object storage for another
-- worker to go on with, and a scanner found something in it.

ALTER TABLE storage.jobs DROP CONSTRAINT jobs_state_check;
ALTER TABLE storage.jobs
  ADD CONSTRAINT jobs_state_check CHECK
    (state IN ('active', 'completed', 'uploaded', 'failed', 'abandoned', 'handed-over', 'quarantined')),
  -- The job that goes on with this one, on another volume: of the same tenant, and only after a hand-over.
  ADD COLUMN continued_by uuid CHECK (continued_by IS NULL OR state = 'handed-over'),
  ADD CONSTRAINT jobs_continued_by FOREIGN KEY (tenant_id, continued_by)
    REFERENCES storage.jobs (tenant_id, job_id);

-- The machine of contract/src/states.ts; a test compares the two for every pair.
CREATE OR REPLACE FUNCTION storage.can_become(from_state text, to_state text) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT (from_state = 'active'
                  AND to_state IN ('completed', 'failed', 'abandoned', 'handed-over', 'quarantined'))
            OR (from_state = 'completed' AND to_state IN ('uploaded', 'quarantined')) $$;

GRANT UPDATE (continued_by) ON storage.jobs TO storage_worker;
DROP POLICY worker_adds ON storage.jobs;
CREATE POLICY worker_adds ON storage.jobs FOR INSERT TO storage_worker
  WITH CHECK (tenant_id = storage.current_tenant()
    AND state IN ('active', 'completed', 'failed', 'handed-over', 'quarantined'));
DROP POLICY worker_changes ON storage.jobs;
CREATE POLICY worker_changes ON storage.jobs FOR UPDATE TO storage_worker
  USING (tenant_id = storage.current_tenant()
    AND state IN ('active', 'completed', 'failed', 'handed-over', 'quarantined'))
  WITH CHECK (tenant_id = storage.current_tenant()
    AND state IN ('active', 'completed', 'failed', 'handed-over', 'quarantined'));
DROP POLICY uploader_changes ON storage.jobs;
CREATE POLICY uploader_changes ON storage.jobs FOR UPDATE TO storage_uploader
  USING (state IN ('completed', 'uploaded')) WITH CHECK (state IN ('completed', 'uploaded', 'quarantined'));

-- What a scanner said about a content, and whose word that is: a worker's login is in the hands of its tenant, so
-- the uploader goes by its own scans.
CREATE TABLE storage.scans (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL CHECK (length(tenant_id) <= 253),
  job_id uuid NOT NULL,
  file text NOT NULL CHECK (length(file) <= 253),
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  verdict text NOT NULL CHECK (verdict IN ('clean', 'infected', 'undecided')),
  -- The signature that was found, or why there is no decision.
  detail text CHECK (length(detail) <= 1024),
  scanned_by name NOT NULL DEFAULT session_user,
  scanned_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX scans_of_job ON storage.scans (tenant_id, job_id, sha256);

ALTER TABLE storage.scans ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT ON storage.scans TO storage_worker, storage_uploader, storage_cleanup, storage_auditor;
GRANT INSERT (tenant_id, job_id, file, sha256, verdict, detail) ON storage.scans
  TO storage_worker, storage_uploader, storage_cleanup;
CREATE POLICY worker_reads ON storage.scans FOR SELECT TO storage_worker
  USING (tenant_id = storage.current_tenant());
CREATE POLICY worker_adds ON storage.scans FOR INSERT TO storage_worker
  WITH CHECK (tenant_id = storage.current_tenant());
CREATE POLICY others_read ON storage.scans FOR SELECT
  TO storage_uploader, storage_cleanup, storage_auditor USING (true);
CREATE POLICY others_add ON storage.scans FOR INSERT TO storage_uploader, storage_cleanup WITH CHECK (true);
