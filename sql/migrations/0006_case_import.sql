-- Import of cases: one piece of news a load, and a way to take a load back (90_case.sql, 47_case_import.sql).

DROP TRIGGER case_event_live ON onemap.case_event;
-- A history of 250,000 cases taken over is one piece of news, not 250,000 (etl/cases tells it).
CREATE TRIGGER case_event_live AFTER INSERT ON onemap.case_event
  FOR EACH ROW WHEN (NEW.actor_kind <> 'import') EXECUTE FUNCTION onemap.tell_live();

-- One exception, and it is about rows nobody here made: an import taken back whole takes its own "taken over" lines with it.
CREATE OR REPLACE FUNCTION onemap.is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.actor_kind = 'import' AND EXISTS (
    SELECT FROM onemap.case_file c JOIN intake.load l USING (load_id) WHERE c.case_id = OLD.case_id AND l.undone_at IS NOT NULL) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '办件经过不能修改或删除' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION onemap.is_append_only() IS
  'Trigger: refuses UPDATE and DELETE of history, the owner''s too; import lines of a load that was undone may go.';

-- Taking an import of cases back (./onemap import undo): what it added goes, unless somebody here has worked on it since.

CREATE FUNCTION onemap.undo_case_load(p_load bigint, OUT cases bigint, OUT events bigint, OUT reporters bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onemap, personal, intake, pg_temp AS $$
BEGIN
  -- Nobody takes a step on them from here to the commit.
  PERFORM FROM case_file WHERE load_id = p_load ORDER BY case_id FOR UPDATE;
  IF NOT EXISTS (SELECT FROM load WHERE load_id = p_load AND subject = 'incidents' AND NOT synthetic AND undone_at IS NOT NULL) THEN
    RAISE EXCEPTION '批次 % 没有撤销，它的办件不能删除', p_load USING ERRCODE = 'insufficient_privilege';
  END IF;
  DELETE FROM case_notice n USING case_file c WHERE c.case_id = n.case_id AND c.load_id = p_load;
  -- Refused by the trigger for every line that is not an import's.
  DELETE FROM case_event e USING case_file c WHERE c.case_id = e.case_id AND c.load_id = p_load;
  GET DIAGNOSTICS events = ROW_COUNT;
  DELETE FROM reporter r USING case_file c WHERE c.case_id = r.case_id AND c.load_id = p_load;
  GET DIAGNOSTICS reporters = ROW_COUNT;
  DELETE FROM case_file WHERE load_id = p_load;
  GET DIAGNOSTICS cases = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION onemap.undo_case_load IS '撤销导入的办件: the cases a load added, their import lines and reporters; fails when anything later stands on them.';
REVOKE ALL ON FUNCTION onemap.undo_case_load FROM PUBLIC, onemap_app, onemap_reader;
GRANT EXECUTE ON FUNCTION onemap.undo_case_load TO onemap_job;
