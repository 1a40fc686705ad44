-- Up Migration

-- What all sweeps came to since the beginning, by how they ended. Counters must never fall, and rows of storage.sweeps
-- leave the catalogue (0007); nor may a scrape read them all.
CREATE TABLE storage.sweep_totals (
  result text PRIMARY KEY,
  sweeps bigint NOT NULL,
  deleted bigint NOT NULL,
  tiered bigint NOT NULL,
  failed bigint NOT NULL,
  -- A thousand disks that are filled and emptied all day free more than a bigint holds exactly in a program's numbers.
  freed_bytes numeric NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE storage.sweeps NO FORCE ROW LEVEL SECURITY;
INSERT INTO storage.sweep_totals
  SELECT coalesce(result, 'unknown'), count(*), coalesce(sum(deleted), 0), coalesce(sum(tiered), 0),
    coalesce(sum(failed), 0), coalesce(sum(freed_bytes), 0)
  FROM storage.sweeps WHERE finished_at IS NOT NULL GROUP BY 1;
ALTER TABLE storage.sweeps FORCE ROW LEVEL SECURITY;

-- Only sweeps finish sweeps, and each in a transaction of one statement: no row here is held for longer than a commit.
CREATE FUNCTION storage.sweeps_keep_totals() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO storage.sweep_totals AS t VALUES (coalesce(NEW.result, 'unknown'), 1, coalesce(NEW.deleted, 0),
      coalesce(NEW.tiered, 0), coalesce(NEW.failed, 0), coalesce(NEW.freed_bytes, 0))
    ON CONFLICT (result) DO UPDATE SET sweeps = t.sweeps + 1, deleted = t.deleted + excluded.deleted,
      tiered = t.tiered + excluded.tiered, failed = t.failed + excluded.failed,
      freed_bytes = t.freed_bytes + excluded.freed_bytes;
  RETURN NULL;
END
$$;
CREATE TRIGGER sweeps_keep_totals AFTER UPDATE ON storage.sweeps
  FOR EACH ROW WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL)
  EXECUTE FUNCTION storage.sweeps_keep_totals();

-- The next turn of a bucket overwrites how the last one went, and with it when all was well.
ALTER TABLE storage.janitor_runs ADD COLUMN last_success_at timestamptz;
UPDATE storage.janitor_runs SET last_success_at = finished_at WHERE result->>'result' = 'ok';

CREATE FUNCTION storage.janitor_runs_keep_success() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.result->>'result' = 'ok' THEN
    NEW.last_success_at := NEW.finished_at;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER janitor_runs_keep_success BEFORE UPDATE ON storage.janitor_runs
  FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL AND NEW.finished_at IS DISTINCT FROM OLD.finished_at)
  EXECUTE FUNCTION storage.janitor_runs_keep_success();

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA storage FROM PUBLIC;
GRANT SELECT ON storage.sweep_totals TO storage_monitor, storage_auditor;
GRANT SELECT (bucket, last_success_at) ON storage.janitor_runs TO storage_monitor;
