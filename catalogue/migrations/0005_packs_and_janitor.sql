-- Up Migration

-- A job's small files lie together in one object: then object_key is the file's own key as ever, under which no
-- object lies, and its bytes begin at pack_offset of the object pack_key. The pack has a row of its own.
ALTER TABLE storage.objects
  ADD COLUMN pack_key text,
  ADD COLUMN pack_offset bigint,
  ADD CONSTRAINT objects_pack CHECK (
    (pack_key IS NULL) = (pack_offset IS NULL)
    AND pack_offset BETWEEN 0 AND 9007199254740991
    AND length(pack_key) <= 1024
    AND starts_with(pack_key, 'tenants/' || tenant_id || '/jobs/' || job_id::text || '/'));
GRANT INSERT (pack_key, pack_offset) ON storage.objects TO storage_cleanup;

-- What happens to objects has audit rows too, in a chain of each bucket's: `expire` for what is out of its time, once
-- for each job, and `orphan` for what no row is about, which can come again.
ALTER TABLE storage.audit DROP CONSTRAINT audit_action_check;
ALTER TABLE storage.audit
  ADD CONSTRAINT audit_action_check CHECK (action IN ('delete', 'tier', 'expire', 'orphan'));
DROP INDEX storage.audit_one_intent, storage.audit_one_outcome;
CREATE UNIQUE INDEX audit_one_intent ON storage.audit (job_id, action)
  WHERE phase = 'intent' AND action <> 'orphan';
CREATE UNIQUE INDEX audit_one_outcome ON storage.audit (job_id, action)
  WHERE phase = 'outcome' AND action <> 'orphan';

-- One run for each bucket and period, whichever volume's sweep comes first. Not an advisory lock: a worker's login
-- could hold that for ever.
CREATE TABLE storage.janitor_runs (
  bucket text PRIMARY KEY CHECK (length(bucket) <= 253),
  actor text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  result jsonb
);
GRANT SELECT ON storage.janitor_runs TO storage_cleanup, storage_auditor;
GRANT INSERT (bucket, actor), UPDATE (actor, started_at, finished_at, result)
  ON storage.janitor_runs TO storage_cleanup;
