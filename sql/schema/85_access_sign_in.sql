-- 登录: the steps of signing in and the one query of the gate. Called by the web, which reads none of these tables.

-- One row of the audit trail, written by a function of the store in the caller's own transaction.
CREATE FUNCTION access.note(
  action text, object_kind text DEFAULT NULL, object_id text DEFAULT NULL, address inet DEFAULT NULL,
  reason text DEFAULT NULL, detail jsonb DEFAULT '{}', login text DEFAULT NULL,
  before_digest text DEFAULT NULL, after_digest text DEFAULT NULL) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  INSERT INTO access.audit (action, object_kind, object_id, address, reason, detail, login, before_digest, after_digest)
  VALUES ($1, $2, $3, $4, $5, coalesce($6, '{}'), $7, $8, $9)
$$;
COMMENT ON FUNCTION access.note IS 'Writes one audit row; who, when and the chain are the trigger''s.';

-- Makes an account the principal for the rest of this transaction.
CREATE FUNCTION access.act_as(account bigint) RETURNS void
LANGUAGE sql AS $$ SELECT set_config('onemap.principal', account::text, true) $$;
COMMENT ON FUNCTION access.act_as(bigint) IS 'Sets the principal, local to the transaction.';

-- Seconds to wait after n failures: the n-th entry of steps, the last one for more.
CREATE FUNCTION access.wait_s(failures bigint, steps int[]) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN failures = 0 THEN 0 ELSE steps[least(failures, array_length(steps, 1))] END
$$;
COMMENT ON FUNCTION access.wait_s(bigint, int[]) IS 'Seconds between the n-th failure and the next try.';

-- Begins a try. It is counted as a failure at once and forgiven by a success, so that a hundred tries at the same
-- moment count as a hundred. A try that has to wait is not counted: nobody can be kept out by hammering on.
CREATE FUNCTION access.try_begin(
  p_login text, p_address inet, pair_steps int[], login_steps int[], address_steps int[], memory interval,
  OUT wait_s int, OUT account_id bigint, OUT password_hash text, OUT role text, OUT has_totp boolean,
  OUT password_temporary boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE
  moment timestamptz;
  known boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('try login ' || p_login, 0));
  PERFORM pg_advisory_xact_lock(hashtextextended('try address ' || coalesce(text(p_address), ''), 1));
  moment := clock_timestamp();
  -- An address this account has signed in from lately waits only for its own failures. A stranger elsewhere who
  -- guesses at the account makes other strangers wait, not its owner.
  known := EXISTS (
    SELECT FROM access.session s JOIN access.account a USING (account_id)
    WHERE a.login = p_login AND s.address = p_address AND s.awaiting IS NULL AND s.created_at > moment - interval '90 days');
  SELECT ceil(greatest(0, max(extract(epoch FROM w.last - moment) + access.wait_s(w.n, w.steps))))::int INTO wait_s
  FROM (
    SELECT count(*) AS n, max(f.at) AS last, pair_steps AS steps FROM access.login_failure f
    WHERE f.login = p_login AND f.address IS NOT DISTINCT FROM p_address AND f.at > moment - memory
    UNION ALL
    SELECT count(*), max(f.at), login_steps FROM access.login_failure f
    WHERE NOT known AND f.login = p_login AND f.at > moment - memory
    UNION ALL
    SELECT count(*), max(f.at), address_steps FROM access.login_failure f
    WHERE NOT known AND f.address = p_address AND f.at > moment - memory
  ) w;
  wait_s := coalesce(wait_s, 0);
  IF wait_s > 0 THEN
    RETURN;
  END IF;
  DELETE FROM access.login_failure f WHERE f.login = p_login AND f.at <= moment - memory;
  INSERT INTO access.login_failure (login, address, at) VALUES (p_login, p_address, moment);
  SELECT a.account_id, a.password_hash, a.role, a.totp_confirmed_at IS NOT NULL, a.password_temporary
    INTO account_id, password_hash, role, has_totp, password_temporary
  FROM access.account a WHERE a.login = p_login AND a.state = 'active';
END
$$;
COMMENT ON FUNCTION access.try_begin IS 'Counts a try; wait_s > 0: refused unheard. Unknown and disabled accounts come back as NULLs.';

CREATE FUNCTION access.try_failed(p_login text, p_address inet, p_why text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT access.note('sign_in.failed', 'login', p_login, p_address, NULL, jsonb_build_object('why', p_why), p_login)
$$;
COMMENT ON FUNCTION access.try_failed(text, inet, text) IS 'Audit row of a try that failed; the try itself is counted already.';

-- Opens a session after a step that succeeded, ends the one before it (no fixation), forgives this address's tries.
CREATE FUNCTION access.session_open(
  p_account bigint, p_token bytea, p_old bytea, p_address inet, p_agent text, p_awaiting text, p_how text,
  p_idle interval, p_life interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who access.account;
BEGIN
  SELECT * INTO who FROM access.account a WHERE a.account_id = p_account AND a.state = 'active' FOR SHARE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.act_as(p_account);
  -- A scope that began or ended by its date since: from now on without the detour.
  IF EXISTS (SELECT FROM access.sight t WHERE t.principal = p_account::text AND t.until <= access.today()) THEN
    PERFORM access.sight_renew(p_account);
  END IF;
  IF p_old IS NOT NULL THEN
    UPDATE access.session SET ended_at = clock_timestamp(), end_reason = 'replaced'
    WHERE token_hash = p_old AND ended_at IS NULL;
  END IF;
  -- All of this address's tries when nothing is left to prove; only this one while a second factor is: or whoever has the
  -- password could wash away his wrong codes with it.
  DELETE FROM access.login_failure f
  WHERE f.login = who.login AND f.address IS NOT DISTINCT FROM p_address
    AND (coalesce(p_awaiting, '') NOT IN ('second_factor', 'enrolment') OR f.failure_id = (
      SELECT max(n.failure_id) FROM access.login_failure n
      WHERE n.login = who.login AND n.address IS NOT DISTINCT FROM p_address));
  INSERT INTO access.session (token_hash, account_id, expires_at, address, agent, second_factor_at, idle, awaiting)
  VALUES (p_token, p_account, clock_timestamp() + p_life, p_address, left(p_agent, 200),
          CASE WHEN p_how = 'second_factor' THEN clock_timestamp() END, p_idle, p_awaiting);
  PERFORM access.note(CASE WHEN p_awaiting IS NULL THEN 'sign_in' ELSE 'sign_in.step' END, 'account', p_account::text,
                      p_address, NULL, jsonb_strip_nulls(jsonb_build_object('how', p_how, 'awaiting', p_awaiting)));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.session_open IS 'New session; false when the account is gone or disabled meanwhile.';

-- The gate's one query: session or device, account, scope. No row: not signed in.
CREATE FUNCTION access.session_of(p_token bytea)
RETURNS TABLE (account_id bigint, login text, display_name text, role text, is_device boolean, scope text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE seen timestamptz;
BEGIN
  SELECT s.account_id, s.seen_at, false INTO account_id, seen, is_device
  FROM access.session s
  WHERE s.token_hash = p_token AND s.ended_at IS NULL AND s.awaiting IS NULL
    AND s.expires_at > clock_timestamp() AND s.seen_at + s.idle > clock_timestamp();
  IF NOT FOUND THEN
    SELECT d.account_id, d.seen_at, true INTO account_id, seen, is_device
    FROM access.device d
    WHERE d.token_hash = p_token AND d.paired_at IS NOT NULL AND d.revoked_at IS NULL
      AND (d.expires_at IS NULL OR d.expires_at > clock_timestamp()) AND d.seen_at + d.idle > clock_timestamp();
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  SELECT a.login, a.display_name, a.role,
         ARRAY(SELECT s.division_code FROM access.scope s
               WHERE s.account_id = a.account_id AND s.valid_from <= access.today()
                 AND (s.valid_to IS NULL OR s.valid_to > access.today()) ORDER BY 1)
    INTO login, display_name, role, scope
  FROM access.account a
  -- A token on a wall carries the role made for it and no other, whatever became of its account since.
  WHERE a.account_id = session_of.account_id AND a.state = 'active' AND (NOT is_device OR a.role = 'wall');
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Once a minute at most: a page is a hundred requests, and each would be a write.
  IF is_device AND seen < clock_timestamp() - interval '1 hour' THEN
    UPDATE access.device d SET seen_at = clock_timestamp() WHERE d.device_id IN (
      SELECT t.device_id FROM access.device t WHERE t.token_hash = p_token FOR NO KEY UPDATE SKIP LOCKED);
  ELSIF NOT is_device AND seen < clock_timestamp() - interval '1 minute' THEN
    UPDATE access.session s SET seen_at = clock_timestamp() WHERE s.token_hash IN (
      SELECT t.token_hash FROM access.session t WHERE t.token_hash = p_token FOR NO KEY UPDATE SKIP LOCKED);
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION access.session_of(bytea) IS 'Who a token belongs to, now; ended, idle, expired, half-open and revoked ones give no row.';

-- A half-open session: password accepted, something still to do.
CREATE FUNCTION access.session_awaiting(p_token bytea)
RETURNS TABLE (account_id bigint, login text, role text, awaiting text, totp_secret bytea, new_totp_secret bytea,
               password_hash text, previous_password_hash text, password_temporary boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT a.account_id, a.login, a.role, s.awaiting, CASE WHEN a.totp_confirmed_at IS NOT NULL THEN a.totp_secret END,
         s.new_totp_secret, a.password_hash, a.previous_password_hash, a.password_temporary
  FROM access.session s JOIN access.account a USING (account_id)
  WHERE s.token_hash = p_token AND s.ended_at IS NULL AND s.awaiting IS NOT NULL
    AND s.expires_at > clock_timestamp() AND a.state = 'active'
$$;
COMMENT ON FUNCTION access.session_awaiting(bytea) IS 'What a half-open session waits for; no row when the token is not one.';

CREATE FUNCTION access.totp_offer(p_token bytea, p_secret bytea) RETURNS bytea
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  UPDATE access.session SET new_totp_secret = coalesce(new_totp_secret, p_secret)
  WHERE token_hash = p_token AND ended_at IS NULL AND awaiting = 'enrolment' AND expires_at > clock_timestamp()
  RETURNING new_totp_secret
$$;
COMMENT ON FUNCTION access.totp_offer(bytea, bytea) IS 'Keeps the secret offered in this session; a reload of the page shows the same one.';

-- A code works once: the step must be later than the last one used, decided by the row, not by the reader.
CREATE FUNCTION access.totp_use(p_token bytea, p_step bigint, p_secret bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who bigint; step_of text;
BEGIN
  SELECT s.account_id, s.awaiting INTO who, step_of FROM access.session s
  WHERE s.token_hash = p_token AND s.ended_at IS NULL AND s.expires_at > clock_timestamp();
  IF step_of = 'enrolment' AND p_secret IS NOT NULL THEN
    UPDATE access.account SET totp_secret = p_secret, totp_confirmed_at = clock_timestamp(), totp_last_step = p_step
    WHERE account_id = who AND totp_confirmed_at IS NULL;
    IF FOUND THEN
      PERFORM access.act_as(who);
      PERFORM access.note('second_factor.set', 'account', who::text);
      RETURN true;
    END IF;
  ELSIF step_of = 'second_factor' THEN
    UPDATE access.account SET totp_last_step = p_step
    WHERE account_id = who AND totp_confirmed_at IS NOT NULL AND (totp_last_step IS NULL OR totp_last_step < p_step);
    RETURN FOUND;
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION access.totp_use(bytea, bigint, bytea) IS 'Uses up a step of the second factor; with a secret: confirms the enrolment.';

-- A password chosen by its owner. Every session of the account ends; the caller opens a new one.
CREATE FUNCTION access.password_chosen(p_account bigint, p_hash text, p_address inet) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  UPDATE access.account SET previous_password_hash = password_hash, password_hash = p_hash, password_set_at = clock_timestamp(),
         password_temporary = false
  WHERE account_id = p_account;
  PERFORM access.act_as(p_account);
  PERFORM access.sessions_end(p_account, 'password');
  PERFORM access.note('password.changed', 'account', p_account::text, p_address);
END
$$;
COMMENT ON FUNCTION access.password_chosen(bigint, text, inet) IS 'New password by the account''s own hand; ends all its sessions.';

-- The same password under new parameters: nothing changes for its owner.
CREATE FUNCTION access.password_rehashed(p_account bigint, p_old text, p_new text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  UPDATE access.account SET password_hash = p_new WHERE account_id = p_account AND password_hash = p_old
$$;
COMMENT ON FUNCTION access.password_rehashed(bigint, text, text) IS 'Stores the hash under today''s parameters, unless the password changed meanwhile.';

CREATE FUNCTION access.passwords_of(p_account bigint) RETURNS TABLE (login text, password_hash text, previous_password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT a.login, a.password_hash, a.previous_password_hash FROM access.account a
  WHERE a.account_id = p_account AND a.account_id = access.principal()
$$;
COMMENT ON FUNCTION access.passwords_of(bigint) IS 'One''s own hashes, to change one''s own password.';

CREATE FUNCTION access.session_end(p_token bytea, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who bigint; was text; came_from inet;
BEGIN
  UPDATE access.session SET ended_at = clock_timestamp(), end_reason = p_reason
  WHERE token_hash = p_token AND ended_at IS NULL RETURNING account_id, awaiting, address INTO who, was, came_from;
  IF FOUND AND was IS NULL THEN
    PERFORM access.act_as(who);
    PERFORM access.note('sign_out', 'account', who::text, came_from, p_reason);
  END IF;
  RETURN who IS NOT NULL;
END
$$;
COMMENT ON FUNCTION access.session_end(bytea, text) IS 'Ends one session by its own token.';

CREATE FUNCTION access.sessions_end(p_account bigint, p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  WITH ended AS (
    UPDATE access.session SET ended_at = clock_timestamp(), end_reason = p_reason
    WHERE account_id = p_account AND ended_at IS NULL RETURNING 1)
  SELECT count(*) FROM ended
$$;
COMMENT ON FUNCTION access.sessions_end(bigint, text) IS 'Ends every session of an account; for the functions here, not for callers.';

-- An identity vouched for by the county''s provider: by its subject, else once by login, which then is tied to the subject.
CREATE FUNCTION access.account_of_identity(p_subject text, p_login text)
RETURNS TABLE (account_id bigint, role text, has_totp boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF p_login IS NOT NULL AND NOT EXISTS (SELECT FROM access.account a WHERE a.oidc_subject = p_subject) THEN
    UPDATE access.account a SET oidc_subject = p_subject
    WHERE a.login = p_login AND a.oidc_subject IS NULL AND a.state = 'active' RETURNING a.account_id INTO account_id;
    IF FOUND THEN
      PERFORM access.act_as(account_id);
      PERFORM access.note('identity.tied', 'account', account_id::text);
    END IF;
  END IF;
  RETURN QUERY SELECT a.account_id, a.role, a.totp_confirmed_at IS NOT NULL FROM access.account a
               WHERE a.oidc_subject = p_subject AND a.state = 'active';
END
$$;
COMMENT ON FUNCTION access.account_of_identity(text, text) IS 'Account of an outside identity; no row: not known here, and none is made.';

-- 待开通: bounded, so that nobody fills the table by making up identities at the provider.
CREATE FUNCTION access.identity_unknown(p_subject text, p_login text, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  UPDATE access.identity_request SET last_at = clock_timestamp(), times = times + 1, login = left(p_login, 64),
         display_name = left(p_name, 60)
  WHERE subject = p_subject;
  IF FOUND THEN
    RETURN true;
  END IF;
  IF length(p_subject) > 400 OR (SELECT count(*) FROM access.identity_request WHERE closed_at IS NULL) >= 200 THEN
    RETURN false;
  END IF;
  INSERT INTO access.identity_request (subject, login, display_name) VALUES (p_subject, left(p_login, 64), left(p_name, 60))
  ON CONFLICT (subject) DO NOTHING;
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.identity_unknown(text, text, text) IS 'Notes that somebody the provider vouches for has no account; false when 200 are waiting already.';

-- 配对: a short code typed in at the display, once, becomes the token of its cookie.
CREATE FUNCTION access.device_pair(p_code bytea, p_token bytea, p_address inet) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE d access.device;
BEGIN
  UPDATE access.device SET token_hash = p_token, pair_hash = NULL, pair_until = NULL, paired_at = clock_timestamp(),
         seen_at = clock_timestamp()
  WHERE pair_hash = p_code AND pair_until > clock_timestamp() AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > clock_timestamp())
    AND EXISTS (SELECT FROM access.account a WHERE a.account_id = device.account_id AND a.role = 'wall' AND a.state = 'active')
  RETURNING * INTO d;
  IF NOT FOUND THEN
    PERFORM access.note('device.refused', 'device', NULL, p_address);
    RETURN NULL;
  END IF;
  PERFORM access.act_as(d.account_id);
  PERFORM access.note('device.paired', 'device', d.device_id::text, p_address, NULL, jsonb_build_object('name', d.name));
  RETURN d.device_id;
END
$$;
COMMENT ON FUNCTION access.device_pair(bytea, bytea, inet) IS 'Trades a pairing code for a token, once; a token the display had before ends. NULL: no such code (any more).';

-- 演示账号: what the login page of a demo lists. No password: that is in a file of the installation.
CREATE FUNCTION access.demo_logins() RETURNS TABLE (login text, role text, division_code text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, intake, pg_temp AS $$
  SELECT a.login, a.role, (SELECT min(s.division_code) FROM access.scope s
                           WHERE s.account_id = a.account_id AND s.valid_from <= access.today()
                             AND (s.valid_to IS NULL OR s.valid_to > access.today()))
  FROM access.account a
  WHERE a.is_demo AND a.state = 'active'
    AND NOT EXISTS (SELECT FROM intake.load l WHERE NOT l.synthetic AND l.undone_at IS NULL AND l.finished_at IS NOT NULL
                    AND l.subject NOT IN ('divisions', 'roads', 'ground', 'zones', 'buildings', 'facilities'))
  ORDER BY a.account_id
$$;
COMMENT ON FUNCTION access.demo_logins() IS 'Active demo accounts of a store that holds nothing real about people or their land; none otherwise.';
