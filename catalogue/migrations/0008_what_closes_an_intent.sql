-- Up Migration

-- A local deletion leaves nothing to move, but it says nothing about the job's objects: `expire` and `orphan` (0005),
-- whose chain is the bucket's, are closed by their own outcomes only.
CREATE OR REPLACE FUNCTION storage.audit_keep_open_intents() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.phase = 'intent' THEN
    INSERT INTO storage.open_intents VALUES (NEW.volume, NEW.sequence, NEW.job_id, NEW.action, NEW.recorded_at);
  ELSE
    DELETE FROM storage.open_intents WHERE job_id = NEW.job_id
      AND (volume = NEW.volume AND action = NEW.action OR NEW.action = 'delete' AND action = 'tier');
  END IF;
  RETURN NULL;
END
$$;
