-- Pages of few rows are sorted, not searched for along an index.

-- from sql/policies/47_case_queue.sql
CREATE OR REPLACE FUNCTION onemap.case_page(asked jsonb, p_sort text, p_down boolean, p_size int, p_skip int, OUT ids bigint[], OUT total bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = onemap, public, pg_temp AS $$
DECLARE
  way text := CASE WHEN p_down THEN ' DESC' ELSE '' END;
  sorted text := CASE p_sort WHEN 'due' THEN 'due_at' WHEN 'reported' THEN 'reported_at' WHEN 'case_no' THEN 'case_no' WHEN 'title' THEN 'title'
                         WHEN 'state' THEN 'state' WHEN 'unit' THEN 'unit' WHEN 'assignee' THEN 'assignee_id' ELSE 'case_id' END;
  -- Only where there can be none: an index is read in its own order of NULLs. Within a state the next due comes first, as the
  -- index of the board has it.
  last text := CASE WHEN p_sort IN ('due', 'unit', 'assignee') THEN ' NULLS LAST' WHEN p_sort = 'state' THEN format(', c.due_at%s', way) ELSE '' END;
  found text := ' FROM onemap.case_file c WHERE ' || onemap.case_where(asked);
  -- Few rows are collected and sorted: the planner believes they lie evenly along an index and would walk all of it for them.
  source text := CASE WHEN p_sort = 'state' THEN 'c.case_id, c.due_at, c.state' ELSE 'c.case_id, c.' || sorted END;
BEGIN
  EXECUTE 'SELECT count(*)' || found INTO total;
  IF total <= 40000 THEN
    found := format('WITH c AS MATERIALIZED (SELECT %s %s) SELECT ARRAY(SELECT c.case_id FROM c', source, found);
  ELSE
    found := 'SELECT ARRAY(SELECT c.case_id' || found;
  END IF;
  EXECUTE format('%s ORDER BY c.%s%s%s, c.case_id%s LIMIT %s OFFSET %s)', found, sorted, way, last, way, least(p_size, 200), greatest(p_skip, 0)) INTO ids;
END
$$;
