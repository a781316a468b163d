-- Who sees which case. In scope like every other row (20_rows.sql); beyond that the villages a case touches, whoever it was
-- given to, and the one stranger who holds its code.

-- The case whose code this transaction holds: a villager without an account sees that one and nothing else.
CREATE FUNCTION access.followed_case() RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = personal, pg_temp AS $$
DECLARE held text := current_setting('onemap.follow', true);
BEGIN
  IF session_user <> 'onemap_app' OR held IS NULL OR held !~ '^[0-9a-f]{64}$'
     OR nullif(current_setting('onemap.principal', true), '') IS NOT NULL THEN
    RETURN NULL;
  END IF;
  -- Merged into another: its reporter follows the other from then on.
  RETURN (WITH RECURSIVE way(case_id, merged_into, steps) AS (
      SELECT c.case_id, c.merged_into, 0 FROM reporter r JOIN onemap.case_file c USING (case_id) WHERE r.follow_key = decode(held, 'hex')
      UNION ALL SELECT c.case_id, c.merged_into, w.steps + 1 FROM way w JOIN onemap.case_file c ON c.case_id = w.merged_into WHERE w.steps < 9)
    SELECT w.case_id FROM way w ORDER BY w.steps DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION access.followed_case() IS '凭码查看: the case whose follow code (SHA-256, hex) the transaction holds; NULL for accounts and for no code.';

-- Who is asking, for what is theirs by name and not by place: an active account, believed from the web alone. The rest
-- (nobody, unknown, malformed, disabled, 三员) is NULL and so equals nothing. Tiles are kept and shared by everybody of one
-- scope: their connections say onemap.by_place = on, and nothing personal gets into them.
CREATE FUNCTION access.asker() RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who text := current_setting('onemap.principal', true);
BEGIN
  IF session_user <> 'onemap_app' OR who IS NULL OR who !~ '^[0-9]{1,18}$' OR current_setting('onemap.by_place', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RETURN (SELECT a.account_id FROM access.account a WHERE a.account_id = who::bigint AND a.state = 'active'
          AND a.role NOT IN ('system_admin', 'security_admin', 'audit_admin'));
END
$$;
COMMENT ON FUNCTION access.asker() IS 'The account of this transaction when it may have business of its own; NULL otherwise, and for another role''s word.';

-- Cases outside the principal's own divisions that are theirs all the same: parts of cross-village cases still open, cases
-- assigned to them, call-backs they were asked for. Few; asked once a statement.
CREATE FUNCTION access.my_shared_cases() RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = onemap, access, pg_temp AS $$
DECLARE who bigint := access.asker(); mine text[] := access.my_codes();
BEGIN
  IF cardinality(mine) = 0 THEN  -- nobody, and whoever sees nothing else either
    RETURN '{}';
  END IF;
  RETURN ARRAY(
    SELECT p.case_id FROM case_part p JOIN case_file c USING (case_id)
      WHERE c.ended_at IS NULL AND (p.village_code = ANY (mine) OR p.township_code = ANY (mine))
    UNION SELECT c.case_id FROM case_file c WHERE c.assignee_id = who AND c.ended_at IS NULL
    UNION SELECT b.case_id FROM case_callback b WHERE b.asked_id = who AND b.answered_at IS NULL);
END
$$;
COMMENT ON FUNCTION access.my_shared_cases() IS 'Open cases shared with the principal from outside its divisions: 跨村分办, assigned, to call back.';

REVOKE ALL ON FUNCTION access.followed_case(), access.asker(), access.my_shared_cases() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.followed_case(), access.asker(), access.my_shared_cases() TO onemap_app, onemap_reader, onemap_job;

CREATE POLICY shared_case ON onemap.case_file FOR SELECT USING (case_id = ANY ((SELECT access.my_shared_cases())::bigint[]));
CREATE POLICY shared_case_work ON onemap.case_file FOR UPDATE USING (case_id = ANY ((SELECT access.my_shared_cases())::bigint[]));
CREATE POLICY followed_case ON onemap.case_file FOR SELECT USING (case_id = (SELECT access.followed_case()));
CREATE POLICY followed_case_answer ON onemap.case_file FOR UPDATE USING (case_id = (SELECT access.followed_case()));
COMMENT ON POLICY shared_case ON onemap.case_file IS 'Cases shared across a border, assigned, or to be called back.';
COMMENT ON POLICY shared_case_work ON onemap.case_file IS 'The same, to work on.';
COMMENT ON POLICY followed_case ON onemap.case_file IS 'The one case of the follow code this transaction holds.';
COMMENT ON POLICY followed_case_answer ON onemap.case_file IS 'Its reporter confirms, reopens, rates.';

-- Whoever may report may do so anywhere: the culvert beyond the next grid's border is broken all the same. What they
-- reported they may follow, whatever became of it.
CREATE POLICY own_report ON onemap.case_file FOR SELECT USING (reporter_id = (SELECT access.asker()));
CREATE POLICY own_report_answer ON onemap.case_file FOR UPDATE USING (reporter_id = (SELECT access.asker()));
CREATE POLICY report_anywhere ON onemap.case_file FOR INSERT WITH CHECK (
  reporter_id = (SELECT access.asker()) AND (SELECT cardinality(access.my_codes()) > 0)
  AND accepted_at IS NULL AND assignee_id IS NULL AND closed_at IS NULL AND ended_at IS NULL);
COMMENT ON POLICY own_report ON onemap.case_file IS 'What one reported oneself.';
COMMENT ON POLICY own_report_answer ON onemap.case_file IS 'Its reporter confirms, reopens, rates.';
COMMENT ON POLICY report_anywhere ON onemap.case_file IS 'A new, unhandled report by somebody with a scope, also beyond it.';

-- A stranger's report: no principal, the code of the new case already held (so that it can be read back), and nothing but a
-- fresh public report.
CREATE POLICY public_report ON onemap.case_file FOR INSERT WITH CHECK (
  (SELECT access.principal()) IS NULL AND (SELECT session_user) = 'onemap_app'
  AND (SELECT current_setting('onemap.follow', true)) ~ '^[0-9a-f]{64}$'
  AND process = 'incident' AND state = 'reported' AND channel = 'public'
  AND assignee_id IS NULL AND reporter_id IS NULL AND accepted_at IS NULL AND done_at IS NULL AND closed_at IS NULL
  AND ended_at IS NULL AND merged_into IS NULL AND handled_level IS NULL AND rating IS NULL);
COMMENT ON POLICY public_report ON onemap.case_file IS '随手拍: anybody may report an incident, as new and unhandled; they see it by its code alone.';

-- Where is the scope's question, what is the role's: these stand beside the others, and all must agree.
CREATE POLICY may_report ON onemap.case_file AS RESTRICTIVE FOR INSERT
  WITH CHECK ((SELECT access.principal() IS NULL OR access.may('incident.report')));
CREATE POLICY may_handle ON onemap.case_file AS RESTRICTIVE FOR UPDATE USING (true)
  WITH CHECK (case_id = (SELECT access.followed_case()) OR reporter_id = (SELECT access.asker())
    OR (SELECT access.may('incident.handle') OR access.may('incident.dispatch') OR access.may('alert.verify')));
COMMENT ON POLICY may_report ON onemap.case_file IS 'Only a role that may report (data/roles.toml); a wall display may not.';
COMMENT ON POLICY may_handle ON onemap.case_file IS 'Only a role that may handle or dispatch, the reporter, or the holder of the code.';

-- What hangs on a case is seen by whoever sees the case: the subquery runs under the policies above.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['case_event', 'case_part', 'case_photo', 'case_callback', 'case_notice'] LOOP
    EXECUTE format('ALTER TABLE onemap.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE onemap.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY with_case ON onemap.%I USING (EXISTS (SELECT FROM onemap.case_file c WHERE c.case_id = %I.case_id))
      WITH CHECK (EXISTS (SELECT FROM onemap.case_file c WHERE c.case_id = %I.case_id))', t, t, t);
    EXECUTE format($c$COMMENT ON POLICY with_case ON onemap.%I IS 'Rows of cases that may be seen.'$c$, t);
  END LOOP;
END
$$;
CREATE POLICY own_notice ON onemap.case_notice AS RESTRICTIVE FOR SELECT
  USING (to_account = (SELECT access.asker()) OR to_account IS NULL AND case_id = (SELECT access.followed_case()));
COMMENT ON POLICY own_notice ON onemap.case_notice IS 'Everybody reads their own notices only.';
CREATE POLICY among_us ON onemap.case_callback AS RESTRICTIVE FOR SELECT USING ((SELECT access.followed_case()) IS NULL);
COMMENT ON POLICY among_us ON onemap.case_callback IS 'Who checks whom is not for the reporter.';

-- Two definitions the app needs of every case's surroundings, whoever asks -----------------------------------------------

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

CREATE FUNCTION onemap.next_case_no(p_prefix text, p_day date) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = onemap, pg_temp AS $$
  INSERT INTO case_number AS n (prefix, day, last) VALUES (p_prefix, p_day, 1)
  ON CONFLICT (prefix, day) DO UPDATE SET last = n.last + 1
  RETURNING p_prefix || to_char(p_day, 'YYYYMMDD') || lpad(n.last::text, 5, '0')
$$;
COMMENT ON FUNCTION onemap.next_case_no(text, date) IS 'The next case number of the day. Holds the day''s row until the transaction ends: ask for it late.';

-- Claims a submission key. NULL columns: it is new and now ours. Otherwise what was answered the first time.
CREATE FUNCTION onemap.submission_of(p_key text, p_digest bytea, OUT is_same boolean, OUT answer jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = onemap, pg_temp AS $$
BEGIN
  SELECT s.digest = p_digest, CASE WHEN s.digest = p_digest THEN s.answer END INTO is_same, answer FROM submission s WHERE s.key = p_key;
END
$$;
COMMENT ON FUNCTION onemap.submission_of(text, bytea) IS 'What an earlier submission under this key was answered; is_same false: another body under the same key.';

CREATE FUNCTION onemap.submission_keep(p_key text, p_digest bytea, p_case bigint, p_answer jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = onemap, pg_temp AS $$
  INSERT INTO submission (key, digest, case_id, answer) VALUES (p_key, p_digest, p_case, p_answer)
$$;
COMMENT ON FUNCTION onemap.submission_keep IS 'Keeps the answer; a second transaction with the same key waits here and fails on the primary key.';

CREATE FUNCTION onemap.reporter_keep(
  p_case bigint, p_follow bytea, p_name bytea, p_phone bytea, p_address bytea,
  p_name_masked text, p_phone_masked text, p_address_masked text, p_phone_key bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onemap, personal, pg_temp AS $$
BEGIN
  -- Only the reporter of a case made in this very transaction: xmin is ours.
  IF NOT EXISTS (SELECT FROM case_file c WHERE c.case_id = p_case AND c.xmin::text = (pg_current_xact_id()::xid)::text) THEN
    RAISE EXCEPTION '上报人只能随新办件写入' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO personal.reporter (case_id, follow_key, name_enc, phone_enc, address_enc, name_masked, phone_masked, address_masked, phone_key)
  VALUES (p_case, p_follow, p_name, p_phone, p_address, p_name_masked, p_phone_masked, p_address_masked, p_phone_key);
END
$$;
COMMENT ON FUNCTION onemap.reporter_keep IS 'The sealed reporter of a new case; the app cannot read or change it afterwards.';

CREATE FUNCTION onemap.secret_keep(p_case bigint, p_revision int, p_field text, p_value bytea, p_masked text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onemap, personal, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM case_event e WHERE e.case_id = p_case AND e.revision = p_revision
                 AND e.xmin::text = (pg_current_xact_id()::xid)::text) THEN
    RAISE EXCEPTION '个人信息只能随办理步骤写入' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO personal.case_secret (case_id, revision, field, value_enc, value_masked)
  VALUES (p_case, p_revision, p_field, p_value, p_masked);
END
$$;
COMMENT ON FUNCTION onemap.secret_keep IS 'A sealed personal answer of the event written in this very transaction.';

-- Who reported, masked: for whoever may see the case and look at people.
CREATE FUNCTION access.reporter_of(p_case bigint)
RETURNS TABLE (name_masked text, phone_masked text, address_masked text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  PERFORM access.must('incident.handle');
  RETURN QUERY
    SELECT r.name_masked, r.phone_masked, r.address_masked
    FROM personal.reporter r JOIN onemap.case_file c USING (case_id)
    WHERE r.case_id = p_case AND access.covers(c.grid_code, c.village_code, c.township_code);
END
$$;
COMMENT ON FUNCTION access.reporter_of(bigint) IS 'The reporter of a case in the principal''s scope, masked.';

REVOKE ALL ON FUNCTION onemap.likeness, onemap.cases_near, onemap.next_case_no, onemap.submission_of, onemap.submission_keep,
  onemap.reporter_keep, onemap.secret_keep, access.reporter_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onemap.likeness, onemap.cases_near, onemap.next_case_no, onemap.submission_of, onemap.submission_keep,
  onemap.reporter_keep, onemap.secret_keep TO onemap_app, onemap_job;
GRANT EXECUTE ON FUNCTION access.reporter_of TO onemap_app;

-- The web writes what people do; it never deletes, and history has no UPDATE at all.
GRANT INSERT, UPDATE ON onemap.case_part, onemap.case_photo TO onemap_app;
-- What a case is, who reported it, when and by which channel is written once: whoever could make themselves the reporter
-- would be let through by the reporter's policies.
GRANT INSERT, UPDATE (
  state, revision, item_code, title, detail, data, deadline_class, accepted_at, responded_at, due_at, warn_at, clock,
  clock_state, done_at, closed_at, ended_at, swept, level, handled_level, unit, assignee_id, supervised_at, reopened, rating,
  asset_kind, asset_id, parent_id, merged_into, source_crs, accuracy_m, grid_code, village_code, township_code, geom, extent
) ON onemap.case_file TO onemap_app;
GRANT INSERT ON onemap.case_event TO onemap_app;
GRANT INSERT, UPDATE (answered_at, agrees, note) ON onemap.case_callback TO onemap_app;
GRANT INSERT, UPDATE (seen_at) ON onemap.case_notice TO onemap_app;
REVOKE ALL ON onemap.submission, onemap.case_number FROM onemap_app, onemap_reader;
REVOKE UPDATE, DELETE ON onemap.case_event FROM onemap_job;
