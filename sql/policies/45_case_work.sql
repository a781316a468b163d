-- What the case engine asks about people, and how it leaves work behind for a job: narrow questions, each answered by the
-- database itself, because the web may not read access.account and owns no job.

CREATE FUNCTION access.my_unit() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT a.unit FROM access.account a WHERE a.account_id = access.asker()
$$;
COMMENT ON FUNCTION access.my_unit() IS '本人单位: unit (code or name) of this transaction''s account; NULL for nobody.';

CREATE FUNCTION access.names_of(p_accounts bigint[])
RETURNS TABLE (account_id bigint, display_name text, role text, unit text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT a.account_id, a.display_name, a.role, a.unit FROM access.account a
  WHERE a.account_id = ANY (p_accounts) AND (access.asker() IS NOT NULL OR session_user <> 'onemap_app')
$$;
COMMENT ON FUNCTION access.names_of(bigint[]) IS 'Names of the people of a case, for whoever is signed in; nothing for strangers.';

-- 派单候选: active accounts that could take a case, the nearest scope first, then the fewest open cases.
CREATE FUNCTION access.case_candidates(
  p_units text[], p_roles text[], p_grid text, p_village text, p_township text, p_not bigint[] DEFAULT '{}', p_limit int DEFAULT 5)
RETURNS TABLE (account_id bigint, display_name text, role text, unit text, open_cases bigint, digits int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, onemap, pg_temp AS $$
  SELECT a.account_id, a.display_name, a.role, a.unit,
         (SELECT count(*) FROM onemap.case_file c WHERE c.assignee_id = a.account_id AND c.ended_at IS NULL), max(length(s.division_code))
  FROM access.account a JOIN access.scope s USING (account_id)
  WHERE a.state = 'active' AND a.account_id <> ALL (p_not)
    AND (p_units IS NULL OR a.unit = ANY (p_units)) AND (p_roles IS NULL OR a.role = ANY (p_roles))
    AND EXISTS (SELECT FROM access.role_permission p WHERE p.role = a.role AND p.permission = 'incident.handle')
    AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today())
    AND (length(s.division_code) = 6 OR s.division_code IN (p_township, p_village, p_grid))
    AND (access.asker() IS NOT NULL OR access.followed_case() IS NOT NULL OR session_user <> 'onemap_app')
  GROUP BY a.account_id
  ORDER BY 6 DESC, 5, a.account_id LIMIT p_limit
$$;
COMMENT ON FUNCTION access.case_candidates IS '派单候选: who of these units or roles reaches the place; nearest scope first, then fewest open cases.';

-- 独立回访: a grid member of another grid of the same township, never who handled it; the one with the fewest waiting.
CREATE FUNCTION access.callback_candidate(p_grid text, p_village text, p_township text, p_not bigint[])
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, onemap, pg_temp AS $$
  SELECT a.account_id
  FROM access.account a JOIN access.scope s USING (account_id)
  WHERE a.state = 'active' AND a.role = 'grid_member' AND a.account_id <> ALL (p_not)
    AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today())
    AND length(s.division_code) = 15 AND left(s.division_code, 9) = p_township
    AND NOT EXISTS (SELECT FROM access.scope o WHERE o.account_id = a.account_id AND o.division_code IN (p_grid, p_village, p_township, left(p_township, 6))
                    AND o.valid_from <= access.today() AND (o.valid_to IS NULL OR o.valid_to > access.today()))
  ORDER BY (SELECT count(*) FROM onemap.case_callback b WHERE b.asked_id = a.account_id AND b.answered_at IS NULL),
           (left(s.division_code, 12) = p_village) DESC, a.account_id
  LIMIT 1
$$;
COMMENT ON FUNCTION access.callback_candidate IS '独立回访: a member of another grid of the township, fewest waiting first; NULL: there is none.';

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

-- Reveal of a reporter: who they are is asked like any other person's, with a reason, on record (87_access_reveal.sql).
CREATE VIEW access.reporter_place AS
  SELECT r.case_id AS id, c.grid_code, c.village_code, c.township_code FROM personal.reporter r JOIN onemap.case_file c USING (case_id);
COMMENT ON VIEW access.reporter_place IS 'Where a reporter''s case lies: who may reveal them.';
INSERT INTO access.subject (kind, source, key_column, fields, place, permission)
VALUES ('reporter', 'personal.reporter', 'case_id', '{name,phone,address}', 'access.reporter_place', 'incident.handle');

-- Jobs ---------------------------------------------------------------------------------------------------------------
-- Left in the transaction that needs it: no job without the deed, no deed without the job. The web names a task of this
-- list and its arguments; it reads and changes no job.
CREATE FUNCTION onemap.job_defer(p_task text, p_args jsonb, p_at timestamptz DEFAULT NULL, p_priority int DEFAULT 0)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_temp AS $$
BEGIN
  IF p_task NOT IN ('photo.encode', 'case.sweep', 'import.incidents', 'item.train') THEN
    RAISE EXCEPTION '没有这种任务：%', p_task USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW('onemap', p_task, p_priority, NULL, NULL, p_args, p_at)::procrastinate_job_to_defer_v1]);
END
$$;
COMMENT ON FUNCTION onemap.job_defer IS '后台任务: leaves a job behind in this very transaction.';

REVOKE ALL ON FUNCTION access.my_unit, access.names_of, access.case_candidates, access.callback_candidate, access.people_found, onemap.job_defer FROM PUBLIC;
-- A job takes the steps of the system, so it asks who could; looking people up is for people.
GRANT EXECUTE ON FUNCTION access.my_unit, access.case_candidates, access.callback_candidate, onemap.job_defer TO onemap_app, onemap_job;
GRANT EXECUTE ON FUNCTION access.names_of, access.people_found TO onemap_app;
