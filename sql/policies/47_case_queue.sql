-- Lists over all cases of years. Under the policies a count asks five questions a row (250,000 rows: 0.2 s and no index of the
-- filter is used); these functions ask once where the asker's cases are and say it as a plain condition. What they hand out is
-- numbers and counts; the rows themselves are read by number under the policies, which have the last word.

-- 需要我办: the one definition behind the view, its count and a person's tasks. What is assigned to somebody is theirs alone;
-- what nobody has yet is their unit's, or theirs at whose level it lies; what nobody has accepted, theirs who may. A county's
-- handlers see their unit's only: there are twenty of them. Cases that wait for the reporter's word wait for nobody here.
CREATE FUNCTION onemap.my_tasks() RETURNS TABLE (case_id bigint, kind text)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = onemap, access, pg_temp AS $$
DECLARE
  me bigint := access.asker();
  mine text[] := access.my_codes();
  own text := access.my_unit();
  units text[];
  is_county boolean := EXISTS (SELECT FROM unnest(mine) m WHERE length(m) = 6);
  handles boolean := access.may('incident.handle');
  accepts boolean := handles AND (NOT is_county OR access.may('incident.dispatch'));
BEGIN
  IF me IS NULL OR cardinality(mine) = 0 THEN
    RETURN;
  END IF;
  units := ARRAY(SELECT u.unit FROM unit u WHERE own IN (u.unit, u.name));
  RETURN QUERY
    WITH found AS (
      SELECT b.case_id, 'callback' AS kind, 1 AS place FROM case_callback b WHERE b.asked_id = me AND b.answered_at IS NULL
      UNION ALL
      SELECT c.case_id, 'assigned', 2 FROM case_file c WHERE c.assignee_id = me AND c.ended_at IS NULL AND c.clock_state <> 'stopped'
      UNION ALL
      SELECT p.case_id, 'part', 3 FROM case_part p JOIN case_file c USING (case_id)
      WHERE p.assignee_id = me AND p.done_at IS NULL AND c.ended_at IS NULL AND c.clock_state <> 'stopped'
      UNION ALL
      SELECT c.case_id, CASE WHEN c.accepted_at IS NULL THEN 'accept' WHEN c.unit = ANY (units) THEN 'unit' ELSE 'place' END, 4 FROM case_file c
      WHERE handles AND c.ended_at IS NULL AND c.assignee_id IS NULL AND c.clock_state <> 'stopped'
        AND (is_county OR c.township_code = ANY (mine) OR c.village_code = ANY (mine) OR c.grid_code = ANY (mine))
        AND (c.unit = ANY (units)
             OR c.level = 4 AND c.grid_code = ANY (mine) OR c.level = 3 AND c.village_code = ANY (mine) OR c.level = 2 AND c.township_code = ANY (mine)
             OR accepts AND c.accepted_at IS NULL AND c.unit IS NULL))
    SELECT DISTINCT ON (f.case_id) f.case_id, f.kind FROM found f ORDER BY f.case_id, f.place;
END
$$;
COMMENT ON FUNCTION onemap.my_tasks() IS
  '需要我办: open cases that wait for the asker and why: callback, assigned, part, accept (nobody accepted it), unit, place (nobody has it).';

CREATE FUNCTION onemap.case_where(asked jsonb) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = onemap, access, pg_temp AS $$
DECLARE
  me bigint := access.asker();
  mine text[] := access.my_codes();
  moment text := quote_literal(asked->>'now');
  late text := 'c.ended_at IS NULL AND c.clock_state = ''runs'' AND c.due_at < ';
  parts text[] := '{}';
  reach text[] := '{}';
  k text; v text;
BEGIN
  IF me IS NULL THEN
    RETURN 'false';
  END IF;
  -- The same as policy in_scope, shared_case and own_report (20_rows.sql, 40_cases.sql); a test compares the counts.
  IF NOT EXISTS (SELECT FROM unnest(mine) m WHERE length(m) = 6) THEN
    FOR k, v IN SELECT CASE length(m) WHEN 9 THEN 'township_code' WHEN 12 THEN 'village_code' ELSE 'grid_code' END, string_agg(quote_literal(m), ',')
                FROM unnest(mine) m GROUP BY 1 LOOP
      reach := reach || format('c.%I IN (%s)', k, v);
    END LOOP;
    v := array_to_string(access.my_shared_cases(), ',');
    IF v <> '' THEN
      reach := reach || format('c.case_id IN (%s)', v);
    END IF;
    reach := reach || format('c.reporter_id = %s', me);
    parts := parts || ('(' || array_to_string(reach, ' OR ') || ')');
  END IF;
  FOR k, v IN SELECT * FROM jsonb_each_text(asked) LOOP
    CONTINUE WHEN v IS NULL;
    parts := parts || CASE
      WHEN k IN ('process', 'channel', 'unit') THEN format('c.%I = %L', k, v)
      WHEN k IN ('assignee_id', 'level') THEN format('c.%I = %s', k, v::bigint)
      WHEN k = 'states' THEN format('c.state = ANY (%L)', ARRAY(SELECT jsonb_array_elements_text(asked->'states')))
      WHEN k = 'items' THEN format('c.item_code = ANY (%L)', ARRAY(SELECT jsonb_array_elements_text(asked->'items')))
      WHEN k = 'division' THEN CASE length(v) WHEN 6 THEN 'true' WHEN 9 THEN format('c.township_code = %L', v)
                                              WHEN 12 THEN format('c.village_code = %L', v) ELSE format('c.grid_code = %L', v) END
      WHEN k = 'reported_from' THEN format('c.reported_at >= %L', v)
      WHEN k = 'reported_to' THEN format('c.reported_at < %L', v)
      WHEN k = 'like' THEN format('(c.title LIKE %L OR c.case_no = %L)', v, asked->>'number')
      WHEN k = 'open' THEN CASE WHEN v::boolean THEN 'c.ended_at IS NULL' ELSE 'c.ended_at IS NOT NULL' END
      WHEN k = 'supervised' THEN CASE WHEN v::boolean THEN 'c.supervised_at IS NOT NULL' ELSE 'c.supervised_at IS NULL' END
      WHEN k = 'reopened' THEN CASE WHEN v::boolean THEN 'c.reopened > 0' ELSE 'c.reopened = 0' END
      WHEN k = 'has_photo' THEN CASE WHEN v::boolean THEN '' ELSE 'NOT ' END || 'EXISTS (SELECT FROM onemap.case_photo p WHERE p.case_id = c.case_id)'
      WHEN k IN ('standing', 'view') THEN CASE v
        WHEN 'breached' THEN late || moment
        WHEN 'at_risk' THEN format('c.ended_at IS NULL AND c.clock_state = ''runs'' AND c.warn_at <= %1$s AND c.due_at >= %1$s', moment)
        WHEN 'on_track' THEN format('c.ended_at IS NULL AND c.clock_state = ''runs'' AND c.due_at >= %1$s AND (c.warn_at IS NULL OR c.warn_at > %1$s)', moment)
        WHEN 'paused' THEN 'c.ended_at IS NULL AND c.clock_state = ''paused'''
        WHEN 'done' THEN '(c.ended_at IS NOT NULL OR c.clock_state = ''stopped'')'
        WHEN 'none' THEN 'c.ended_at IS NULL AND c.clock_state NOT IN (''stopped'', ''paused'') AND c.due_at IS NULL'
        WHEN 'mine' THEN format('c.case_id = ANY (%L::bigint[])', ARRAY(SELECT t.case_id FROM onemap.my_tasks() t))
        WHEN 'waiting' THEN 'c.ended_at IS NULL AND c.accepted_at IS NULL'
        WHEN 'confirm' THEN 'c.ended_at IS NULL AND c.clock_state = ''stopped'''
        WHEN 'supervised' THEN 'c.ended_at IS NULL AND c.supervised_at IS NOT NULL'
        WHEN 'open' THEN 'c.ended_at IS NULL'
        WHEN 'week' THEN format('c.closed_at >= %L', asked->>'week')
        ELSE 'false' END
      WHEN k IN ('now', 'week', 'number') THEN 'true'
      ELSE 'false' END;  -- a filter nobody knows shows nothing rather than everything
  END LOOP;
  RETURN coalesce(nullif(array_to_string(parts, ' AND '), ''), 'true');
END
$$;
COMMENT ON FUNCTION onemap.case_where(jsonb) IS '办件筛选: the asker''s scope and a filter (gis/cases/filtering.py) as a condition on case_file c; values quoted.';

CREATE FUNCTION onemap.case_page(asked jsonb, p_sort text, p_down boolean, p_size int, p_skip int, OUT ids bigint[], OUT total bigint)
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
COMMENT ON FUNCTION onemap.case_page IS '办件列表: numbers of one page, in order, and how many there are.';

CREATE FUNCTION onemap.case_board(asked jsonb, p_states text[], p_size int) RETURNS TABLE (state text, n bigint, ids bigint[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = onemap, public, pg_temp AS $$
DECLARE clause text := onemap.case_where(asked);
BEGIN
  RETURN QUERY EXECUTE format(
    'WITH k AS (SELECT c.state, count(*) AS n FROM onemap.case_file c WHERE %1$s GROUP BY 1)
     SELECT s.state, coalesce(k.n, 0), ARRAY(SELECT c.case_id FROM onemap.case_file c WHERE c.state = s.state AND %1$s
                                             ORDER BY c.due_at NULLS LAST, c.case_id LIMIT %2$s)
     FROM unnest($1) WITH ORDINALITY AS s(state, at) LEFT JOIN k USING (state) ORDER BY s.at', clause, least(p_size, 200)) USING p_states;
END
$$;
COMMENT ON FUNCTION onemap.case_board IS '办件看板: by state, how many and the numbers of the first, next due first.';

-- Formulas: DOMAIN.md 5 (P). What was due: every case whose deadline has passed or that is done, unclosed ones included.
CREATE FUNCTION onemap.case_unit_figures(asked jsonb)
RETURNS TABLE (unit text, unit_name text, reported bigint, accepted bigint, replied bigint, closed bigint, due bigint, on_time bigint,
               rated bigint, satisfied bigint, reopened bigint, breached bigint, response_p50_min float8, response_p90_min float8)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = onemap, public, pg_temp AS $$
BEGIN
  RETURN QUERY EXECUTE
    'SELECT coalesce(c.unit, ''''), u.name, count(*), count(c.accepted_at),
       count(*) FILTER (WHERE c.responded_at IS NOT NULL AND c.accepted_at IS NOT NULL),
       count(*) FILTER (WHERE c.closed_at IS NOT NULL AND c.accepted_at IS NOT NULL),
       count(*) FILTER (WHERE c.due_at IS NOT NULL AND (c.due_at <= $1 OR c.done_at IS NOT NULL)),
       count(*) FILTER (WHERE c.due_at IS NOT NULL AND c.done_at <= c.due_at),
       count(c.rating), count(*) FILTER (WHERE c.rating >= 4), count(*) FILTER (WHERE c.reopened > 0),
       count(*) FILTER (WHERE c.ended_at IS NULL AND c.clock_state = ''runs'' AND c.due_at < $1),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM c.responded_at - c.accepted_at)::float8 / 60),
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM c.responded_at - c.accepted_at)::float8 / 60)
     FROM onemap.case_file c LEFT JOIN onemap.unit u ON u.unit = c.unit WHERE ' || onemap.case_where(asked) || ' GROUP BY 1, 2 ORDER BY 3 DESC'
  USING (asked->>'now')::timestamptz;
END
$$;
COMMENT ON FUNCTION onemap.case_unit_figures(jsonb) IS '单位报表: counts per responsible unit, numerators and denominators apart.';

REVOKE ALL ON FUNCTION onemap.my_tasks, onemap.case_where, onemap.case_page, onemap.case_board, onemap.case_unit_figures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onemap.my_tasks, onemap.case_page, onemap.case_board, onemap.case_unit_figures TO onemap_app;
