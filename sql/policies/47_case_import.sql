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
