-- Up Migration

-- A job leaves its volume once, deleted or moved to object storage: the outcome of one closes what a sweep that was killed
-- had begun of the other. Before, only a deletion closed the intent of a move, and a deletion that was begun, given up
-- and followed by a move was taken for done at the next sweep.
CREATE OR REPLACE FUNCTION storage.audit_keep_open_intents() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.phase = 'intent' THEN
    INSERT INTO storage.open_intents VALUES (NEW.volume, NEW.sequence, NEW.job_id, NEW.action, NEW.recorded_at);
  ELSE
    DELETE FROM storage.open_intents WHERE job_id = NEW.job_id
      AND (volume = NEW.volume AND action = NEW.action
        OR NEW.action IN ('delete', 'tier') AND action IN ('delete', 'tier'));
  END IF;
  RETURN NULL;
END
$$;
DELETE FROM storage.open_intents b USING storage.audit o
  WHERE b.action IN ('delete', 'tier') AND o.job_id = b.job_id AND o.action IN ('delete', 'tier') AND o.phase = 'outcome';
