-- Access, second part: what a principal sees in one look-up, displays that are paired, identities without an account, scopes
-- that follow a merger, subjects of personal data as rows, quarantined rows sealed.

-- from sql/schema/10_base.sql
ALTER TABLE intake.quarantine ADD COLUMN sealed bytea;
COMMENT ON COLUMN intake.quarantine.properties IS 'What is readable: columns the mapping knows to hold nothing personal as they came, personal ones masked.';
COMMENT ON COLUMN intake.quarantine.sealed IS 'Everything else of the row, encrypted (JSON by column name): personal fields, and columns nobody knows. NULL: nothing else.';

-- from sql/schema/80_access.sql
-- Tokens given out before were put into a header by hand: such a display is paired already.
ALTER TABLE access.device ADD COLUMN pair_hash bytea, ADD COLUMN pair_until timestamptz, ADD COLUMN paired_at timestamptz,
  ADD COLUMN seen_at timestamptz, ADD COLUMN idle interval NOT NULL DEFAULT '30 days',
  ADD UNIQUE (pair_hash), ADD CHECK (length(pair_hash) = 32);
UPDATE access.device SET paired_at = created_at, seen_at = now();
COMMENT ON TABLE access.device IS '设备: a wall display that signs in by a token of its own instead of a person; read-only.';
COMMENT ON COLUMN access.device.token_hash IS 'SHA-256 of the token in its cookie; before it is paired, of a token nobody has.';
COMMENT ON COLUMN access.device.pair_hash IS '配对码: SHA-256 of a short code typed in at the display once, good until pair_until.';
COMMENT ON COLUMN access.device.idle IS 'Its token ends after this long without a request; a display that is on renews it for ever.';


-- Another system's account reaches the county without a second factor, by keys of its own; nobody may come in as it.
CREATE FUNCTION access.partner_has_no_password() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '对接系统只用密钥，不能有密码，也不能从统一身份登录；请另建账号' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION access.partner_has_no_password() IS 'Trigger: refuses a password or an outside identity on an account of role partner, whichever of the two came first.';
CREATE TRIGGER partner_has_no_password BEFORE INSERT OR UPDATE ON access.account
  FOR EACH ROW WHEN (NEW.role = 'partner' AND (NEW.password_hash IS NOT NULL OR NEW.oidc_subject IS NOT NULL))
  EXECUTE FUNCTION access.partner_has_no_password();

-- A person the county's identity provider vouches for who has no account here: for the system administrator to see.
CREATE TABLE access.identity_request (
  request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject    text NOT NULL UNIQUE CHECK (length(subject) <= 400),
  login      text,
  display_name text,
  first_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  times      integer NOT NULL DEFAULT 1,
  closed_at  timestamptz
);
COMMENT ON TABLE access.identity_request IS '待开通: came in by the county''s identity provider, has no account; an account ties the subject, or it is turned away.';
COMMENT ON COLUMN access.identity_request.closed_at IS 'When an administrator made an account of it or turned it away; a new visit does not open it again.';


-- 看得到哪里: what every row's policy asks, ready in one row -------------------------------------------------------
-- The truth is access.scope; this is its answer for today, kept by triggers in the transaction that changes it. One index
-- look-up a statement instead of a join: a tile or a nearest-five costs 0.01 ms of policy instead of 0.03.

CREATE TABLE access.sight (
  principal text COLLATE "C" PRIMARY KEY,
  townships text[] NOT NULL,
  others    text[] NOT NULL,
  since     date NOT NULL,
  until     date NOT NULL
);
COMMENT ON TABLE access.sight IS '看得到哪里: the scopes of an active account that hold from since until the day before until; no row: sees nothing.';
COMMENT ON COLUMN access.sight.principal IS 'account_id as text: what onemap.principal is compared with. Empty, unknown or malformed finds no row and raises nothing.';
COMMENT ON COLUMN access.sight.others IS 'Codes that are no township''s: county, villages, grids.';

-- The account's row is locked first: two changes of one account at a time would each miss the other's.
CREATE FUNCTION access.sight_renew(p_account bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE
  sees boolean;
  day date := access.today();
BEGIN
  -- 三员 see no business data, scope or not.
  SELECT a.state = 'active' AND a.role NOT IN ('system_admin', 'security_admin', 'audit_admin') INTO sees
  FROM access.account a WHERE a.account_id = p_account FOR NO KEY UPDATE;
  IF sees IS NOT TRUE THEN
    DELETE FROM access.sight t WHERE t.principal = p_account::text;
    RETURN;
  END IF;
  INSERT INTO access.sight AS t (principal, townships, others, since, until)
  SELECT p_account::text,
         coalesce(array_agg(DISTINCT s.division_code) FILTER (WHERE holds AND length(s.division_code) = 9), '{}'),
         coalesce(array_agg(DISTINCT s.division_code) FILTER (WHERE holds AND length(s.division_code) <> 9), '{}'),
         day,
         least(coalesce(min(s.valid_from) FILTER (WHERE s.valid_from > day), 'infinity'),
               coalesce(min(s.valid_to) FILTER (WHERE s.valid_to > day), 'infinity'))
  FROM (SELECT c.division_code, c.valid_from, c.valid_to,
               c.valid_from <= day AND (c.valid_to IS NULL OR c.valid_to > day) AS holds
        FROM access.scope c WHERE c.account_id = p_account) s
  ON CONFLICT (principal) DO UPDATE
    SET townships = EXCLUDED.townships, others = EXCLUDED.others, since = EXCLUDED.since, until = EXCLUDED.until;
END
$$;
COMMENT ON FUNCTION access.sight_renew(bigint) IS 'Writes down what an account sees today, from its scopes, state and role.';

CREATE FUNCTION access.sight_follows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM access.sight;
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    PERFORM access.sight_renew(OLD.account_id);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    PERFORM access.sight_renew(NEW.account_id);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION access.sight_follows() IS 'Trigger: what an account sees changes with its scopes, its state and its role, at once.';
CREATE TRIGGER sight_of_scope AFTER INSERT OR UPDATE OR DELETE ON access.scope
  FOR EACH ROW EXECUTE FUNCTION access.sight_follows();
CREATE TRIGGER sight_of_no_scope AFTER TRUNCATE ON access.scope
  FOR EACH STATEMENT EXECUTE FUNCTION access.sight_follows();
CREATE TRIGGER sight_of_account AFTER INSERT OR UPDATE OF state, role OR DELETE ON access.account
  FOR EACH ROW EXECUTE FUNCTION access.sight_follows();

SELECT access.sight_renew(account_id) FROM access.account;

-- from sql/schema/85_access_sign_in.sql
CREATE OR REPLACE FUNCTION access.session_open(
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

CREATE OR REPLACE FUNCTION access.session_of(p_token bytea)
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

-- from sql/schema/86_access_administration.sql
CREATE OR REPLACE FUNCTION access.account_set_role(p_account bigint, p_role text, p_reason text) RETURNS boolean
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


DROP FUNCTION access.device_list();
DROP FUNCTION access.device_add(text, bytea, bigint, timestamptz, text);

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

CREATE OR REPLACE FUNCTION access.device_revoke(p_device bigint, p_reason text) RETURNS boolean
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

-- from sql/schema/87_access_reveal.sql
DROP FUNCTION access.reveal(text, text, text, text, inet, int, int);

-- Whose fields can be revealed is data: a new table of personal data (say personal.reporter) is one row here and one view.
CREATE TABLE access.subject (
  kind       text PRIMARY KEY CHECK (kind ~ '^[a-z_]{1,40}$'),
  source     regclass NOT NULL,
  key_column text NOT NULL,
  fields     text[] NOT NULL CHECK (cardinality(fields) > 0),
  place      regclass NOT NULL,
  permission text NOT NULL DEFAULT 'person.reveal',
  per_day    integer CHECK (per_day > 0)
);
COMMENT ON TABLE access.subject IS '个人信息的主体: kinds of person with sealed fields. Read by access.reveal and by ./onemap access key, which seals anew.';
COMMENT ON COLUMN access.subject.source IS 'Table of the sealed columns <field>_enc; its name is bound into every ciphertext (gis/access/crypt.py).';
COMMENT ON COLUMN access.subject.key_column IS 'Primary key, bigint or text; its value is bound into every ciphertext.';
COMMENT ON COLUMN access.subject.fields IS 'Fields that may be revealed: name for the column name_enc.';
COMMENT ON COLUMN access.subject.place IS 'View with columns id, grid_code, village_code, township_code: where such a person is. In scope when any row is.';
COMMENT ON COLUMN access.subject.permission IS 'What a role needs to see a field of this kind (data/roles.toml).';
COMMENT ON COLUMN access.subject.per_day IS 'Reveals of this kind an account may have a day; NULL: only the limit of all kinds together.';

CREATE VIEW access.person_place AS
  SELECT p.person_id AS id, h.grid_code, h.village_code, h.township_code
  FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id;
COMMENT ON VIEW access.person_place IS 'Where a member of a household lives, for access.reveal.';
CREATE VIEW access.contractor_place AS
  SELECT l.contractor_code AS id, l.grid_code, l.village_code, l.township_code FROM onemap.parcel l;
COMMENT ON VIEW access.contractor_place IS 'Where a contractor has land, for access.reveal.';
INSERT INTO access.subject (kind, source, key_column, fields, place) VALUES
  ('person', 'personal.person', 'person_id', '{name,id_number,phone}', 'access.person_place'),
  ('contractor', 'personal.contractor', 'contractor_code', '{name,id_number,phone,witness}', 'access.contractor_place');

-- verdict: 'given', 'reason' (too short), 'forbidden' (role), 'enough' (daily limit), 'absent' (foreign, unknown and no such
-- kind look alike). Nothing is raised: the audit row of a refusal must stay.
CREATE FUNCTION access.reveal(
  p_kind text, p_id text, p_field text, p_reason text, p_address inet, p_shortest int, p_per_day int,
  OUT verdict text, OUT ciphertext bytea, OUT source text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
DECLARE
  about access.subject;
  key_type regtype;
  given bigint;
  given_of_kind bigint;
BEGIN
  SELECT * INTO about FROM access.subject s WHERE s.kind = p_kind;
  SELECT count(*), count(*) FILTER (WHERE a.object_kind = p_kind) INTO given, given_of_kind
  FROM access.audit a WHERE a.account_id = access.principal() AND a.action = 'reveal'
    AND a.at >= access.today()::timestamp AT TIME ZONE 'Asia/Shanghai';
  IF length(btrim(coalesce(p_reason, ''))) < p_shortest THEN
    verdict := 'reason';
  ELSIF access.principal() IS NULL OR NOT access.may(coalesce(about.permission, 'person.reveal')) THEN
    verdict := 'forbidden';
  ELSIF given >= p_per_day OR given_of_kind >= about.per_day THEN
    verdict := 'enough';
  ELSE
    IF p_field = ANY (about.fields) THEN
      SELECT a.atttypid INTO key_type FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = about.source AND a.attname = about.key_column;
      IF key_type = 'text'::regtype OR p_id ~ '^[0-9]{1,18}$' THEN
        -- Names come from access.subject, which the owner alone writes; what was asked for is bound as values.
        EXECUTE format(
          'SELECT s.%I FROM %s s WHERE s.%I = $1::%s AND EXISTS (SELECT FROM %s p WHERE p.id = s.%I '
          'AND access.covers(p.grid_code, p.village_code, p.township_code))',
          p_field || '_enc', about.source, about.key_column, key_type, about.place, about.key_column)
        INTO ciphertext USING p_id;
        source := (SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = about.source);
      END IF;
    END IF;
    verdict := CASE WHEN ciphertext IS NULL THEN 'absent' ELSE 'given' END;
  END IF;
  PERFORM access.note(CASE verdict WHEN 'given' THEN 'reveal' ELSE 'reveal.refused' END, p_kind, left(p_id, 40), p_address,
                      left(p_reason, 200), jsonb_build_object('field', left(p_field, 40), 'verdict', verdict));
END
$$;
COMMENT ON FUNCTION access.reveal IS 'Ciphertext of one field of one person in the principal''s scope, and the audit row in the same transaction.';


-- from sql/policies/20_rows.sql
-- The same in one index look-up, for the policies: they are asked by every statement, and a nearest-five takes 60 us in all.
-- A day that the kept answer was not made for (a scope began or ended at midnight) is answered from access.scope.
CREATE VIEW access.mine WITH (security_barrier) AS
  SELECT CASE WHEN t.since <= access.today() AND access.today() < t.until THEN t.townships ELSE access.my_codes(9) END AS townships,
         CASE WHEN t.since <= access.today() AND access.today() < t.until THEN t.others ELSE access.my_codes(-9) END AS others
  FROM access.sight t
  WHERE t.principal = current_setting('onemap.principal', true) AND session_user = 'onemap_app';
COMMENT ON VIEW access.mine IS '看得到哪里: the scope of this transaction''s principal; no row for nobody, unknown, disabled, administrators, other roles.';


DO $$
DECLARE
  t text;
  mine constant text := $m$township_code = ANY ((SELECT m.townships FROM access.mine m)::text[])
    OR (SELECT cardinality(m.others) > 0 FROM access.mine m) AND (
      (SELECT cardinality(access.my_codes(6)) > 0)
      OR village_code = ANY ((SELECT access.my_codes(12))::text[])
      OR grid_code = ANY ((SELECT access.my_codes(15))::text[]))$m$;
BEGIN
  FOREACH t IN ARRAY ARRAY['parcel', 'parcel_summary', 'facility', 'resource', 'household', 'case_file', 'alert'] LOOP
    EXECUTE format('ALTER POLICY in_scope ON onemap.%I USING (%s) WITH CHECK (%s)', t, mine, mine);
  END LOOP;
END
$$;

-- from sql/policies/30_access_grants.sql
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA access FROM PUBLIC;
GRANT SELECT ON access.mine TO onemap_app, onemap_reader;
GRANT EXECUTE ON FUNCTION access.identity_unknown, access.device_pair, access.demo_logins, access.device_list, access.device_add,
  access.device_pair_again, access.identity_list, access.identity_close, access.reveal TO onemap_app;
GRANT EXECUTE ON FUNCTION access.scope_follow TO onemap_job;
