-- 管理: accounts, scopes, sessions, devices, audit, for the three administrators. Each function asks access.must() first.
-- System administrator: accounts. Security administrator: roles, scopes, sessions, second factors. Audit administrator: the
-- audit trail. To make an account that can do harm takes two of them.

CREATE FUNCTION access.not_myself(p_account bigint) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_account = access.principal() THEN
    RAISE EXCEPTION '不能改自己的账号、角色或范围' USING ERRCODE = 'insufficient_privilege';
  END IF;
END
$$;
COMMENT ON FUNCTION access.not_myself(bigint) IS 'Refuses changes to one''s own account.';

CREATE FUNCTION access.account_list()
RETURNS TABLE (account_id bigint, login text, display_name text, unit text, role text, state text, is_demo boolean,
               second_factor boolean, scope text[], created_at timestamptz, seen_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF NOT access.may('scope.manage') AND NOT access.may('session.manage') THEN
    PERFORM access.must('account.manage');
  END IF;
  RETURN QUERY
    SELECT a.account_id, a.login, a.display_name, a.unit, a.role, a.state, a.is_demo, a.totp_confirmed_at IS NOT NULL,
           ARRAY(SELECT s.division_code FROM access.scope s WHERE s.account_id = a.account_id
                 AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today()) ORDER BY 1),
           a.created_at, (SELECT max(e.seen_at) FROM access.session e WHERE e.account_id = a.account_id AND e.awaiting IS NULL)
    FROM access.account a ORDER BY a.login;
END
$$;
COMMENT ON FUNCTION access.account_list() IS 'All accounts, without hashes and secrets.';

CREATE FUNCTION access.account_add(
  p_login text, p_display_name text, p_role text, p_unit text, p_hash text, p_is_demo boolean, p_temporary boolean,
  p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('account.manage');
  IF NOT EXISTS (SELECT FROM access.role r WHERE r.role = p_role) THEN
    RAISE EXCEPTION '没有角色 %', p_role USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF access.principal() IS NOT NULL AND (SELECT r.is_administrator FROM access.role r WHERE r.role = p_role) THEN
    RAISE EXCEPTION '管理员角色只能由安全管理员授予' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF p_is_demo AND access.principal() IS NOT NULL THEN
    RAISE EXCEPTION '演示账号只能在命令行建立' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.account (login, display_name, role, unit, password_hash, is_demo, password_temporary, password_set_at)
  VALUES (p_login, p_display_name, p_role, nullif(p_unit, ''), p_hash, p_is_demo, p_temporary AND p_hash IS NOT NULL,
          CASE WHEN p_hash IS NOT NULL THEN clock_timestamp() END)
  RETURNING account_id INTO made;
  PERFORM access.note('account.added', 'account', made::text, NULL, p_reason,
                      jsonb_build_object('login', p_login, 'role', p_role));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.account_add IS 'New account, without a scope: it sees nothing until the security administrator gives one.';

CREATE FUNCTION access.account_set_state(p_account bigint, p_state text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE was text;
BEGIN
  PERFORM access.must('account.manage');
  PERFORM access.not_myself(p_account);
  SELECT a.state INTO was FROM access.account a WHERE a.account_id = p_account FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE access.account SET state = p_state WHERE account_id = p_account;
  IF p_state <> 'active' THEN
    PERFORM access.sessions_end(p_account, 'disabled');
    UPDATE access.device SET revoked_at = clock_timestamp() WHERE account_id = p_account AND revoked_at IS NULL;
  END IF;
  PERFORM access.note('account.' || p_state, 'account', p_account::text, NULL, p_reason, jsonb_build_object('was', was));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.account_set_state(bigint, text, text) IS 'Disables or enables an account; disabling ends its sessions and devices at once.';

CREATE FUNCTION access.account_set_role(p_account bigint, p_role text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE
  was text;
  ended access.scope;
BEGIN
  PERFORM access.must('scope.manage');
  PERFORM access.not_myself(p_account);
  IF NOT EXISTS (SELECT FROM access.role r WHERE r.role = p_role) THEN
    RAISE EXCEPTION '没有角色 %', p_role USING ERRCODE = 'foreign_key_violation';
  END IF;
  SELECT a.role INTO was FROM access.account a WHERE a.account_id = p_account FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE access.account SET role = p_role WHERE account_id = p_account;
  PERFORM access.sessions_end(p_account, 'role');
  IF p_role <> 'wall' THEN
    UPDATE access.device SET revoked_at = clock_timestamp() WHERE account_id = p_account AND revoked_at IS NULL;
  END IF;
  -- 三员 see no business data: what they held before ends with the role that had it.
  IF (SELECT r.is_administrator FROM access.role r WHERE r.role = p_role) THEN
    FOR ended IN
      UPDATE access.scope SET valid_to = greatest(access.today(), valid_from)
      WHERE account_id = p_account AND (valid_to IS NULL OR valid_to > greatest(access.today(), valid_from)) RETURNING *
    LOOP
      PERFORM access.note('scope.ended', 'account', p_account::text, NULL, p_reason,
                          jsonb_build_object('scope', ended.scope_id, 'division', ended.division_code, 'role', p_role));
    END LOOP;
  END IF;
  PERFORM access.note('account.role', 'account', p_account::text, NULL, p_reason, jsonb_build_object('was', was, 'is', p_role));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.account_set_role(bigint, text, text) IS 'Gives another role; all sessions end at once, and the scopes too when it is one of 三员.';

CREATE FUNCTION access.password_given(p_account bigint, p_hash text, p_temporary boolean, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('account.manage');
  PERFORM access.not_myself(p_account);
  UPDATE access.account SET previous_password_hash = password_hash, password_hash = p_hash,
         password_set_at = clock_timestamp(), password_temporary = p_temporary
  WHERE account_id = p_account;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.sessions_end(p_account, 'password');
  PERFORM access.note('password.reset', 'account', p_account::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.password_given(bigint, text, boolean, text) IS 'Password set by somebody else; its owner must choose a new one.';

CREATE FUNCTION access.second_factor_forget(p_account bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  PERFORM access.not_myself(p_account);
  UPDATE access.account SET totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = NULL WHERE account_id = p_account;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.sessions_end(p_account, 'second_factor');
  PERFORM access.note('second_factor.forgotten', 'account', p_account::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.second_factor_forget(bigint, text) IS 'A lost phone: the second factor is set up anew at the next sign-in.';

-- 权限范围 ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION access.scope_list(p_account bigint)
RETURNS TABLE (scope_id bigint, account_id bigint, login text, division_code text, division_name text, valid_from date,
               valid_to date, granted_by text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, onemap, public, pg_temp AS $$
BEGIN
  IF NOT access.may('account.manage') THEN
    PERFORM access.must('scope.manage');
  END IF;
  RETURN QUERY
    SELECT s.scope_id, s.account_id, a.login, s.division_code, d.name, s.valid_from, s.valid_to, g.login
    FROM access.scope s JOIN access.account a ON a.account_id = s.account_id
    LEFT JOIN onemap.division_now d ON d.code = s.division_code
    LEFT JOIN access.account g ON g.account_id = s.granted_by
    WHERE p_account IS NULL OR s.account_id = p_account
    ORDER BY a.login, s.valid_from, s.division_code;
END
$$;
COMMENT ON FUNCTION access.scope_list(bigint) IS 'Scopes of one account, or of all; past ones too.';

CREATE FUNCTION access.scope_add(p_account bigint, p_code text, p_from date, p_to date, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, public, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('scope.manage');
  PERFORM access.not_myself(p_account);
  IF NOT EXISTS (SELECT FROM onemap.division_now d WHERE d.code = p_code) THEN
    RAISE EXCEPTION '现行区划里没有 %', p_code USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF (SELECT r.is_administrator FROM access.account a JOIN access.role r USING (role) WHERE a.account_id = p_account) THEN
    RAISE EXCEPTION '三员账号不看业务数据，不设范围' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.scope (account_id, division_code, valid_from, valid_to, granted_by)
  VALUES (p_account, p_code, coalesce(p_from, access.today()), p_to, access.principal()) RETURNING scope_id INTO made;
  PERFORM access.sessions_end(p_account, 'scope');
  PERFORM access.note('scope.added', 'account', p_account::text, NULL, p_reason,
                      jsonb_build_object('scope', made, 'division', p_code, 'from', coalesce(p_from, access.today()), 'to', p_to));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.scope_add IS 'Gives an account one more division, with an end date or none; its sessions end.';

CREATE FUNCTION access.scope_end(p_scope bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE s access.scope;
BEGIN
  PERFORM access.must('scope.manage');
  SELECT * INTO s FROM access.scope WHERE scope_id = p_scope FOR UPDATE;
  IF NOT FOUND OR s.valid_to <= access.today() THEN
    RETURN false;
  END IF;
  PERFORM access.not_myself(s.account_id);
  UPDATE access.scope SET valid_to = greatest(access.today(), valid_from) WHERE scope_id = p_scope;
  PERFORM access.sessions_end(s.account_id, 'scope');
  PERFORM access.note('scope.ended', 'account', s.account_id::text, NULL, p_reason,
                      jsonb_build_object('scope', p_scope, 'division', s.division_code));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.scope_end(bigint, text) IS 'Ends a scope today; its account''s sessions end at once.';

-- 区划合并: who was trusted with a division that ends is trusted with the one it goes into, from that day. Rows of the past
-- stay. Called by the merger itself (gis/divisions/merge.py), in its transaction.
CREATE FUNCTION access.scope_follow(p_from text[], p_into text, p_on date, p_document text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE
  s access.scope;
  made bigint;
  followed bigint := 0;
BEGIN
  -- Only along a merger that is on record (append-only for whoever calls this): a village never becomes a county by it.
  IF EXISTS (SELECT FROM unnest(p_from) f WHERE length(f) <> length(p_into) OR NOT EXISTS (
      SELECT FROM onemap.division_change c
      WHERE c.kind = 'merge' AND c.from_code = f AND c.to_code = p_into AND c.on_date = p_on)) THEN
    RAISE EXCEPTION '没有这次合并的记录' USING ERRCODE = 'insufficient_privilege';
  END IF;
  FOR s IN
    SELECT c.* FROM access.scope c
    WHERE c.division_code = ANY (p_from) AND (c.valid_to IS NULL OR c.valid_to > greatest(p_on, c.valid_from))
    ORDER BY c.account_id, c.scope_id FOR UPDATE
  LOOP
    UPDATE access.scope SET valid_to = greatest(p_on, s.valid_from) WHERE scope_id = s.scope_id;
    made := NULL;
    -- Once is enough: of two divisions that go into one, or where the one that goes on was held already.
    IF NOT EXISTS (SELECT FROM access.scope o WHERE o.account_id = s.account_id AND o.division_code = p_into
                   AND o.valid_from <= greatest(p_on, s.valid_from)
                   AND (o.valid_to IS NULL OR o.valid_to >= coalesce(s.valid_to, 'infinity'))) THEN
      INSERT INTO access.scope (account_id, division_code, valid_from, valid_to, granted_by)
      VALUES (s.account_id, p_into, greatest(p_on, s.valid_from), s.valid_to, s.granted_by) RETURNING scope_id INTO made;
    END IF;
    PERFORM access.sessions_end(s.account_id, 'scope');
    PERFORM access.note('scope.followed', 'account', s.account_id::text, NULL, p_document, jsonb_strip_nulls(
      jsonb_build_object('ended', s.scope_id, 'from', s.division_code, 'made', made, 'into', p_into, 'on', p_on)));
    followed := followed + 1;
  END LOOP;
  RETURN followed;
END
$$;
COMMENT ON FUNCTION access.scope_follow IS 'Scopes of divisions that end go on as scopes of the one they go into; returns how many. History is kept.';

-- 待开通 ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION access.identity_list()
RETURNS TABLE (request_id bigint, login text, display_name text, first_at timestamptz, last_at timestamptz, times integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('account.manage');
  RETURN QUERY SELECT r.request_id, r.login, r.display_name, r.first_at, r.last_at, r.times
               FROM access.identity_request r WHERE r.closed_at IS NULL ORDER BY r.last_at DESC LIMIT 200;
END
$$;
COMMENT ON FUNCTION access.identity_list() IS 'People the identity provider vouched for who have no account yet.';

-- With an account: it belongs to that identity from now on. Without: turned away, and not listed again.
CREATE FUNCTION access.identity_close(p_request bigint, p_account bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE r access.identity_request;
BEGIN
  PERFORM access.must('account.manage');
  SELECT * INTO r FROM access.identity_request WHERE request_id = p_request AND closed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_account IS NOT NULL THEN
    PERFORM access.not_myself(p_account);
    UPDATE access.account SET oidc_subject = r.subject WHERE account_id = p_account AND oidc_subject IS NULL AND state = 'active';
    IF NOT FOUND THEN
      RETURN false;
    END IF;
  END IF;
  UPDATE access.identity_request SET closed_at = clock_timestamp() WHERE request_id = p_request;
  PERFORM access.note(CASE WHEN p_account IS NULL THEN 'identity.refused' ELSE 'identity.tied' END, 'account',
                      p_account::text, NULL, p_reason, jsonb_build_object('request', p_request));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.identity_close(bigint, bigint, text) IS 'Ties a waiting identity to an account, or turns it away; false when it is not waiting or the account has one.';

-- 会话与设备 --------------------------------------------------------------------------------------------------------

CREATE FUNCTION access.session_list()
RETURNS TABLE (session_key text, account_id bigint, login text, display_name text, role text, created_at timestamptz,
               seen_at timestamptz, expires_at timestamptz, address inet, agent text, second_factor boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  RETURN QUERY
    -- A name for the session, not the hash: what ends a session must not be what opens one.
    SELECT encode(sha256('list ' || s.token_hash), 'hex'), a.account_id, a.login, a.display_name, a.role, s.created_at,
           s.seen_at, s.expires_at, s.address, s.agent, s.second_factor_at IS NOT NULL
    FROM access.session s JOIN access.account a USING (account_id)
    WHERE s.ended_at IS NULL AND s.awaiting IS NULL AND s.expires_at > clock_timestamp()
      AND s.seen_at + s.idle > clock_timestamp()
    ORDER BY s.seen_at DESC;
END
$$;
COMMENT ON FUNCTION access.session_list() IS 'Sessions that are open now.';

CREATE FUNCTION access.session_revoke(p_key text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who bigint;
BEGIN
  PERFORM access.must('session.manage');
  UPDATE access.session s SET ended_at = clock_timestamp(), end_reason = 'revoked'
  WHERE s.ended_at IS NULL AND encode(sha256('list ' || s.token_hash), 'hex') = p_key RETURNING s.account_id INTO who;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.note('session.revoked', 'account', who::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.session_revoke(text, text) IS 'Ends somebody''s session at once.';

CREATE FUNCTION access.device_list()
RETURNS TABLE (device_id bigint, name text, login text, expires_at timestamptz, revoked_at timestamptz, created_at timestamptz,
               paired_at timestamptz, seen_at timestamptz, pair_until timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  RETURN QUERY SELECT d.device_id, d.name, a.login, d.expires_at, d.revoked_at, d.created_at, d.paired_at, d.seen_at, d.pair_until
               FROM access.device d JOIN access.account a USING (account_id) ORDER BY d.device_id;
END
$$;
COMMENT ON FUNCTION access.device_list() IS 'Devices that sign in by token.';

CREATE FUNCTION access.device_add(
  p_name text, p_token bytea, p_account bigint, p_expires timestamptz, p_pair bytea, p_pair_life interval, p_idle interval,
  p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('session.manage');
  -- A token on a wall is not a person: it may only carry the role made for it.
  IF NOT EXISTS (SELECT FROM access.account a WHERE a.account_id = p_account AND a.role = 'wall' AND a.state = 'active') THEN
    RAISE EXCEPTION '设备令牌只能用于大屏角色的账号' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.device (name, token_hash, account_id, expires_at, pair_hash, pair_until, idle)
  VALUES (p_name, p_token, p_account, p_expires, p_pair, clock_timestamp() + p_pair_life, p_idle)
  RETURNING device_id INTO made;
  PERFORM access.note('device.added', 'device', made::text, NULL, p_reason, jsonb_build_object('name', p_name, 'account', p_account));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.device_add IS 'Registers a wall display; it comes in when its pairing code is typed in there.';

CREATE FUNCTION access.device_pair_again(p_device bigint, p_pair bytea, p_pair_life interval, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  UPDATE access.device SET pair_hash = p_pair, pair_until = clock_timestamp() + p_pair_life
  WHERE device_id = p_device AND revoked_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.note('device.pairing', 'device', p_device::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.device_pair_again IS 'A new pairing code for a display, say with another browser; its token ends when the code is used.';

CREATE FUNCTION access.device_revoke(p_device bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  UPDATE access.device SET revoked_at = clock_timestamp(), pair_hash = NULL, pair_until = NULL
  WHERE device_id = p_device AND revoked_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.note('device.revoked', 'device', p_device::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.device_revoke(bigint, text) IS 'A lost wall display: its token opens nothing any more.';
