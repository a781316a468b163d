-- Pages of few rows are sorted, not searched for along an index; what waits for whom; people by role and unit; how alike two cases read.

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

CREATE OR REPLACE FUNCTION onemap.case_where(asked jsonb) RETURNS text
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

REVOKE ALL ON FUNCTION onemap.my_tasks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onemap.my_tasks TO onemap_app;

-- from sql/policies/40_cases.sql
DROP FUNCTION onemap.cases_near(float8, float8, float8, text[], timestamptz);
-- Chinese has no blanks to split words at; pairs of neighbouring characters need none.
CREATE FUNCTION onemap.likeness(p_one text, p_other text) RETURNS real
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  WITH plain AS (
    SELECT k, regexp_replace(lower(left(t, 60)), '[[:space:][:punct:][:digit:]，。、！？：；（）“”]', '', 'g') AS w
    FROM unnest(ARRAY[p_one, p_other]) WITH ORDINALITY AS x(t, k)),
  pair AS (SELECT DISTINCT k, substr(w, n, 2) AS g FROM plain, generate_series(1, length(w) - 1) AS n),
  shared AS (SELECT count(*) AS n FROM (SELECT g FROM pair GROUP BY g HAVING count(*) = 2) s)
  SELECT (2.0 * shared.n / (SELECT count(*) FROM pair HAVING count(DISTINCT k) = 2))::real FROM shared
$$;
COMMENT ON FUNCTION onemap.likeness(text, text) IS '字面相似: share of common character pairs (Dice), 0-1; NULL when there is nothing to compare.';

-- 附近的同类: open cases near a point, as little of them as a stranger may know. Where words are compared the answer is coarse,
-- and coarser for strangers: nobody shall find out by trying what somebody else wrote.
CREATE FUNCTION onemap.cases_near(p_lon float8, p_lat float8, p_dist_m float8, p_items text[], p_since timestamptz, p_text text DEFAULT NULL)
RETURNS TABLE (case_no text, item_code text, state text, reported_at timestamptz, dist_m float8, likeness real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = onemap, public, pg_temp AS $$
  WITH here AS (SELECT ST_SetSRID(ST_MakePoint(p_lon, p_lat), 4490) AS p),
  step AS (SELECT CASE WHEN access.asker() IS NULL THEN 4 ELSE 10 END AS n),
  near AS (
    SELECT c.case_no, c.item_code, c.state, c.reported_at, ST_Distance(c.geom::geography, here.p::geography) AS dist_m, c.title
    FROM here, case_file c
    -- a degree of longitude is 89 km here and never less than 65 km in China: the box is wide enough, the distance decides
    WHERE c.ended_at IS NULL AND c.process = 'incident' AND c.geom && ST_Expand(here.p, p_dist_m / 65000.0)
      AND (p_items IS NULL OR c.item_code = ANY (p_items)) AND c.reported_at >= p_since
      AND ST_DWithin(c.geom::geography, here.p::geography, p_dist_m)
    ORDER BY 5 LIMIT 50),
  told AS (SELECT near.*, floor(onemap.likeness(near.title, p_text) * step.n) / step.n AS alike, step.n AS steps FROM near, step)
  SELECT t.case_no, t.item_code, t.state, t.reported_at, t.dist_m, CASE WHEN t.steps = 4 AND t.alike < 0.5 THEN 0 ELSE t.alike END::real
  FROM told t ORDER BY coalesce(t.alike >= 0.5, false) DESC, t.dist_m LIMIT 10
$$;
COMMENT ON FUNCTION onemap.cases_near IS '附近的同类事件: number, item, state, date, distance in metres, likeness to a text 0-1 (alike ones first); nothing anybody wrote.';

REVOKE ALL ON FUNCTION onemap.likeness, onemap.cases_near FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onemap.likeness, onemap.cases_near TO onemap_app, onemap_job;

-- from sql/policies/45_case_work.sql
DROP FUNCTION access.people_found(text, text, int);
-- People to hand a case to: those whose scope lies within or above the asker's, or who work in the asker's unit. An account's
-- unit is a code or a name; both find it.
CREATE FUNCTION access.people_found(p_text text, p_roles text[], p_unit text, p_limit int)
RETURNS TABLE (account_id bigint, display_name text, role text, unit text, unit_name text, division_code text, state text, open_cases bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, onemap, pg_temp AS $$
  WITH mine AS (SELECT unnest(access.my_codes()) AS code),
  own AS (SELECT access.my_unit() AS unit),
  sought AS (SELECT '%' || replace(replace(replace(p_text, '\', '\\'), '%', '\%'), '_', '\_') || '%' AS words)
  SELECT a.account_id, a.display_name, a.role, coalesce(k.unit, a.unit), coalesce(k.name, a.unit), min(s.division_code), a.state,
         (SELECT count(*) FROM onemap.case_file c WHERE c.assignee_id = a.account_id AND c.ended_at IS NULL)
  FROM own CROSS JOIN sought CROSS JOIN access.account a JOIN access.scope s USING (account_id)
  LEFT JOIN LATERAL (SELECT u.unit, u.name FROM onemap.unit u WHERE a.unit IN (u.unit, u.name) ORDER BY u.unit = a.unit DESC, u.unit LIMIT 1) k ON true
  WHERE (access.may('incident.handle') OR access.may('incident.dispatch'))
    AND EXISTS (SELECT FROM access.role_permission p WHERE p.role = a.role AND p.permission = 'incident.handle')
    AND (p_unit IS NULL OR a.unit = p_unit
         OR EXISTS (SELECT FROM onemap.unit u WHERE p_unit IN (u.unit, u.name) AND a.unit IN (u.unit, u.name)))
    AND (coalesce(p_text, '') = '' OR a.display_name ILIKE sought.words OR k.name ILIKE sought.words OR a.unit = p_text OR k.unit = p_text
         OR a.login = p_text OR a.role = ANY (p_roles))
    AND (a.unit = own.unit OR EXISTS (SELECT FROM onemap.unit u WHERE own.unit IN (u.unit, u.name) AND a.unit IN (u.unit, u.name))
         OR EXISTS (SELECT FROM mine m WHERE starts_with(s.division_code, m.code) OR starts_with(m.code, s.division_code)))
  GROUP BY a.account_id, k.unit, k.name ORDER BY (a.state = 'active') DESC, 8, a.display_name LIMIT least(p_limit, 100)
$$;
COMMENT ON FUNCTION access.people_found IS '找人: people who handle cases, by name, role or unit; of the asker''s divisions, those above and the asker''s unit.';

REVOKE ALL ON FUNCTION access.people_found FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.people_found TO onemap_app;
