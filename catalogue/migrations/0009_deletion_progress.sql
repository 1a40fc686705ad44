-- Up Migration

-- What a deletion that isn't finished has freed so far. The audit's one outcome says what was freed in all, also when
-- several sweeps took part in it because one was stopped or killed.
CREATE TABLE storage.deletion_progress (
  job_id uuid NOT NULL,
  action text NOT NULL CHECK (action IN ('delete', 'tier')),
  bytes bigint NOT NULL CHECK (bytes >= 0),
  files bigint NOT NULL CHECK (files >= 0),
  directories bigint NOT NULL CHECK (directories >= 0),
  -- Whether that is all: false while a sweep is at it, and thus after it was killed.
  exact boolean NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (job_id, action)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON storage.deletion_progress TO storage_cleanup;
GRANT SELECT ON storage.deletion_progress TO storage_auditor;
