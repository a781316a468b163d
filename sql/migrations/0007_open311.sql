-- Open311: keys of other systems, and what anybody may read of an incident. The answer is made here, column by column and
-- rounded, so that no mistake in the web hands out more (docs/adr/0007-open311.md).

-- A key opens these addresses and nothing else: access.session_of, which the gate asks, does not know it.
CREATE FUNCTION access.api_key_of(p_token bytea)
RETURNS TABLE (account_id bigint, login text, display_name text, role text, scope text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = access, pg_temp AS $$
#variable_conflict use_column
DECLARE key access.device;
BEGIN
  SELECT d.* INTO key FROM access.device d JOIN access.account a USING (account_id)
  WHERE d.token_hash = p_token AND d.paired_at IS NOT NULL AND d.revoked_at IS NULL
    AND (d.expires_at IS NULL OR d.expires_at > clock_timestamp()) AND d.seen_at + d.idle > clock_timestamp()
    AND a.state = 'active' AND a.role = 'partner';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF key.seen_at < clock_timestamp() - interval '1 hour' THEN
    UPDATE access.device d SET seen_at = clock_timestamp() WHERE d.device_id IN (
      SELECT t.device_id FROM access.device t WHERE t.device_id = key.device_id FOR NO KEY UPDATE SKIP LOCKED);
  END IF;
  RETURN QUERY
    SELECT a.account_id, a.login, a.display_name, a.role,
           ARRAY(SELECT s.division_code FROM access.scope s
                 WHERE s.account_id = a.account_id AND s.valid_from <= access.today()
                   AND (s.valid_to IS NULL OR s.valid_to > access.today()) ORDER BY 1)
    FROM access.account a WHERE a.account_id = key.account_id;
END
$$;
COMMENT ON FUNCTION access.api_key_of(bytea) IS '对接密钥: the partner account a key belongs to; revoked, expired, idle ones and disabled accounts give no row.';

CREATE FUNCTION access.api_key_add(
  p_name text, p_token bytea, p_account bigint, p_expires timestamptz, p_idle interval, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('session.manage');
  IF NOT EXISTS (SELECT FROM access.account a WHERE a.account_id = p_account AND a.role = 'partner' AND a.state = 'active') THEN
    RAISE EXCEPTION '对接密钥只能用于对接系统角色的账号' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.device (name, token_hash, account_id, expires_at, paired_at, seen_at, idle)
  VALUES (p_name, p_token, p_account, p_expires, clock_timestamp(), clock_timestamp(), p_idle) RETURNING device_id INTO made;
  PERFORM access.note('device.added', 'device', made::text, NULL, p_reason, jsonb_build_object('name', p_name, 'account', p_account));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.api_key_add IS 'Registers a key of another system; revoked like a display (access.device_revoke).';

-- p_shown: how much of a place may be seen, by item: 'point' (11 m), 'area' (about 100 m), 'village' (no coordinates); items
-- that are not in it are not shown at all, but for one's own reports, when a partner's key is at hand. p_numbers overrides the rest.
CREATE FUNCTION onemap.open311_requests(
  p_numbers text[], p_items text[], p_states text[], p_from timestamptz, p_to timestamptz, p_shown jsonb, p_limit int)
RETURNS TABLE (case_no text, item_code text, state text, is_ended boolean, is_own boolean, reason text, result text,
               reported_at timestamptz, updated_at timestamptz, due_at timestamptz, unit_name text, village_name text,
               township_name text, lon numeric, lat numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = onemap, public, pg_temp AS $$
#variable_conflict use_column
DECLARE who bigint := access.asker(); most int := least(greatest(p_limit, 1), 1000); ids bigint[];
BEGIN
  IF p_numbers IS NOT NULL THEN
    ids := ARRAY(SELECT c.case_id FROM case_file c WHERE c.case_no = ANY (p_numbers));
  ELSE
    ids := ARRAY(
      SELECT c.case_id FROM case_file c
      WHERE c.reported_at >= p_from AND c.reported_at <= p_to AND c.process = 'incident' AND c.item_code IS NOT NULL
        AND (p_items IS NULL OR c.item_code = ANY (p_items)) AND (p_states IS NULL OR c.state = ANY (p_states))
        AND (p_shown ? c.item_code OR c.reporter_id = who)
      ORDER BY c.reported_at DESC, c.case_id DESC LIMIT most);
  END IF;
  RETURN QUERY
    SELECT c.case_no, c.item_code, c.state, c.ended_at IS NOT NULL, coalesce(c.reporter_id = who, false),
           c.data->>'reason_public', CASE WHEN c.reporter_id = who THEN c.data->>'result' END, c.reported_at,
           CASE WHEN c.ended_at IS NOT NULL THEN coalesce(c.closed_at, c.ended_at)
                ELSE greatest(c.reported_at, c.accepted_at, c.responded_at, c.done_at,
                  (SELECT max(e.at) FROM case_event e WHERE e.case_id = c.case_id AND e.is_public)) END,
           c.due_at, u.name, v.name, t.name,
           round(ST_X(c.geom)::numeric, place.digits), round(ST_Y(c.geom)::numeric, place.digits)
    FROM case_file c
    CROSS JOIN LATERAL (SELECT CASE p_shown->>c.item_code WHEN 'point' THEN 4 WHEN 'area' THEN 3 END AS digits) place
    LEFT JOIN unit u ON u.unit = c.unit
    LEFT JOIN division t ON t.level = 2 AND t.code = c.township_code AND t.valid_to IS NULL
    LEFT JOIN division v ON v.level = 3 AND v.code = c.village_code AND v.valid_to IS NULL
    WHERE c.case_id = ANY (ids) AND c.process = 'incident' AND c.item_code IS NOT NULL
      AND (p_shown ? c.item_code OR c.reporter_id = who)
    ORDER BY c.reported_at DESC, c.case_id DESC LIMIT most;
END
$$;
COMMENT ON FUNCTION onemap.open311_requests IS '对外公开的事件: number, item, state, dates, unit, village, a rounded place; nothing anybody wrote, but the result to the partner that reported it.';

REVOKE ALL ON FUNCTION access.api_key_of, access.api_key_add, onemap.open311_requests FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.api_key_of, access.api_key_add, onemap.open311_requests TO onemap_app;
