-- How many cases each version of a process carries, for the page of the processes.

CREATE FUNCTION onemap.process_standing()
RETURNS TABLE (process text, version int, name text, published_at timestamptz, cases bigint, open bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = onemap, pg_temp AS $$
  SELECT p.process, p.version, p.name, p.published_at, count(c.case_id), count(c.case_id) FILTER (WHERE c.ended_at IS NULL)
  FROM process p LEFT JOIN case_file c ON c.process = p.process AND c.process_version = p.version
  GROUP BY p.process, p.version ORDER BY p.process, p.version DESC
$$;
COMMENT ON FUNCTION onemap.process_standing() IS '各版流程的办件数: counts of the whole county, no case of it; the system administrator sees no case and needs them.';
REVOKE ALL ON FUNCTION onemap.process_standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onemap.process_standing() TO onemap_app, onemap_reader, onemap_job;
