-- Row-level security: a principal sees and writes only rows of its own divisions. Fails closed: no principal, no rows.

-- Divisions of this transaction's principal that hold today: of one code length (6 9 12 15), of every other length (-9), or,
-- for NULL, all.
-- Read from access.scope itself. plpgsql keeps its plan (12 us a call, an SQL function 300); a code may come twice, in no
-- order. Only the web's word for who is asking is believed: another role that sets onemap.principal sees nothing by it.
CREATE FUNCTION access.my_codes(digits integer DEFAULT NULL) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who text := current_setting('onemap.principal', true);
BEGIN
  -- NULL before it was ever set on this connection, '' after a transaction that set it ended.
  IF session_user <> 'onemap_app' OR who IS NULL OR who !~ '^[0-9]{1,18}$' THEN
    RETURN '{}';
  END IF;
  RETURN ARRAY(
    SELECT s.division_code
    FROM access.scope s JOIN access.account a ON a.account_id = s.account_id
    -- 三员 see no business data, scope or not. By name: asking access.role too would double the time.
    WHERE s.account_id = who::bigint AND a.state = 'active' AND a.role NOT IN ('system_admin', 'security_admin', 'audit_admin')
      AND (digits IS NULL OR length(s.division_code) = digits OR digits < 0 AND length(s.division_code) <> -digits)
      AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today()));
END
$$;
COMMENT ON FUNCTION access.my_codes(integer) IS
  '权限范围: division codes of the principal that hold today, of one length, of the others (negative) or all; empty for nobody, unknown, disabled, administrators.';
REVOKE ALL ON FUNCTION access.my_codes(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.my_codes(integer) TO onemap_app, onemap_reader, onemap_job;

-- The same in one index look-up, for the policies: they are asked by every statement, and a nearest-five takes 60 us in all.
-- A day that the kept answer was not made for (a scope began or ended at midnight) is answered from access.scope.
CREATE VIEW access.mine WITH (security_barrier) AS
  SELECT CASE WHEN t.since <= access.today() AND access.today() < t.until THEN t.townships ELSE access.my_codes(9) END AS townships,
         CASE WHEN t.since <= access.today() AND access.today() < t.until THEN t.others ELSE access.my_codes(-9) END AS others
  FROM access.sight t
  WHERE t.principal = current_setting('onemap.principal', true) AND session_user = 'onemap_app';
COMMENT ON VIEW access.mine IS '看得到哪里: the scope of this transaction''s principal; no row for nobody, unknown, disabled, administrators, other roles.';

-- Rows lie where their three codes say, and the placing trigger, which runs before any WITH CHECK, has written those from
-- the ground. Unplaced rows (未落点, all three NULL) are the county's. (SELECT ...) runs once a statement, not once a row.
DO $$
DECLARE
  t text;
  -- A township's scope, the commonest, is decided by one look, and a row outside it by a second; the rest is rarer.
  mine constant text := $m$township_code = ANY ((SELECT m.townships FROM access.mine m)::text[])
    OR (SELECT cardinality(m.others) > 0 FROM access.mine m) AND (
      (SELECT cardinality(access.my_codes(6)) > 0)
      OR village_code = ANY ((SELECT access.my_codes(12))::text[])
      OR grid_code = ANY ((SELECT access.my_codes(15))::text[]))$m$;
BEGIN
  FOREACH t IN ARRAY ARRAY['parcel', 'parcel_summary', 'facility', 'resource', 'household', 'case_file', 'alert'] LOOP
    EXECUTE format('ALTER TABLE onemap.%I ENABLE ROW LEVEL SECURITY', t);
    -- The owner too: it passes by BYPASSRLS alone (sql/administrator.sql), which a restored copy does not have by itself.
    EXECUTE format('ALTER TABLE onemap.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY in_scope ON onemap.%I USING (%s) WITH CHECK (%s)', t, mine, mine);
    EXECUTE format($c$COMMENT ON POLICY in_scope ON onemap.%I IS 'Rows of the principal''s divisions; all rows for the county''s scope.'$c$, t);
  END LOOP;
END
$$;

-- A report without a position must find a home at once: whoever has a scope may hand it in, the county alone reads it and
-- gives it a place. (So INSERT ... RETURNING fails below the county: keep the case_no instead.)
CREATE POLICY unplaced_report ON onemap.case_file FOR INSERT
  WITH CHECK (grid_code IS NULL AND village_code IS NULL AND township_code IS NULL AND (SELECT cardinality(access.my_codes()) > 0));
COMMENT ON POLICY unplaced_report ON onemap.case_file IS '未落点: anyone with a scope may report without a position; only the county reads it.';

-- Where is the scope's question, what is the role's: these stand beside in_scope, and both must agree.
CREATE POLICY may_raise ON onemap.alert AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT access.may('alert.verify')));
CREATE POLICY may_verify ON onemap.alert AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK ((SELECT access.may('alert.verify')));
CREATE POLICY may_dispatch ON onemap.resource AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK ((SELECT access.may('incident.dispatch')));
COMMENT ON POLICY may_raise ON onemap.alert IS 'Only a role that verifies alerts raises one by hand; the rules run as job.';
COMMENT ON POLICY may_verify ON onemap.alert IS 'Only a role that verifies alerts.';
COMMENT ON POLICY may_dispatch ON onemap.resource IS 'Only a role that dispatches.';

-- What everybody signed in may know of the whole county; no row of these is about a township's people.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['division', 'division_change', 'farmland_zone', 'road', 'road_node', 'ground', 'building', 'county', 'table_version'] LOOP
    EXECUTE format('COMMENT ON TABLE onemap.%I IS %L', t,
      obj_description(format('onemap.%I', t)::regclass, 'pg_class') || ' No row-level security: common knowledge of everybody signed in.');
  END LOOP;
END
$$;
