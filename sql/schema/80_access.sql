-- 账号、会话、权限范围、审计: who may come in, what they may see, and what they did.

CREATE SCHEMA access;
COMMENT ON SCHEMA access IS '谁能进来、能看到哪里、做过什么. The web reaches these tables through functions only.';

-- Roles and permissions, published from data/roles.toml so that the database can refuse what a page forgot to ask.
CREATE TABLE access.role (
  role        text PRIMARY KEY,
  name        text NOT NULL,
  is_administrator boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE access.role IS '角色: a copy of data/roles.toml, renewed at every start.';
COMMENT ON COLUMN access.role.is_administrator IS '三员: one of the three administrators, who see no business data.';

CREATE TABLE access.role_permission (
  role       text NOT NULL REFERENCES access.role ON DELETE CASCADE,
  permission text NOT NULL,
  PRIMARY KEY (role, permission)
);
COMMENT ON TABLE access.role_permission IS '角色权限: a copy of data/roles.toml. A role that is not here may do nothing.';

CREATE TABLE access.account (
  account_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login         text NOT NULL UNIQUE CHECK (login ~ '^[a-z0-9][a-z0-9._-]{1,31}$'),
  display_name  text NOT NULL CHECK (display_name <> ''),
  unit          text,
  role          text NOT NULL,
  password_hash text,
  previous_password_hash text,
  password_set_at timestamptz,
  password_temporary boolean NOT NULL DEFAULT false,
  totp_secret   bytea,
  totp_confirmed_at timestamptz,
  totp_last_step bigint,
  oidc_subject  text UNIQUE,
  is_demo       boolean NOT NULL DEFAULT false,
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE access.account IS '账号: one a person. Roles and what they may do: data/roles.toml.';
COMMENT ON COLUMN access.account.password_hash IS 'argon2id; NULL: signs in through the county''s identity provider only.';
COMMENT ON COLUMN access.account.password_temporary IS 'Set by somebody else: the next sign-in must choose a new one.';
COMMENT ON COLUMN access.account.totp_secret IS 'Second factor, encrypted with the key outside the database.';
COMMENT ON COLUMN access.account.totp_last_step IS 'Last 30-second step used: a code works once.';
COMMENT ON COLUMN access.account.is_demo IS '演示账号: a production start with one present is refused.';

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

CREATE TABLE access.scope (
  scope_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id    bigint NOT NULL REFERENCES access.account,
  division_code text NOT NULL CHECK (division_code ~ '^[0-9]{6}([0-9]{3}){0,3}$'),
  valid_from    date NOT NULL DEFAULT current_date,
  valid_to      date,
  granted_by    bigint REFERENCES access.account,
  CHECK (valid_to IS NULL OR valid_to >= valid_from)
);
COMMENT ON TABLE access.scope IS '权限范围: the divisions an account may see, each with an end date or none.';
COMMENT ON COLUMN access.scope.valid_to IS 'First day it no longer holds; equal to valid_from when it was ended on its first day.';
CREATE INDEX scope_account ON access.scope (account_id);

CREATE TABLE access.session (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id bigint NOT NULL REFERENCES access.account,
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at   timestamptz,
  end_reason text,
  address    inet,
  agent      text,
  second_factor_at timestamptz,
  idle       interval NOT NULL DEFAULT '30 minutes',
  awaiting   text CHECK (awaiting IN ('second_factor', 'enrolment', 'new_password')),
  new_totp_secret bytea
);
COMMENT ON TABLE access.session IS '会话: SHA-256 of an opaque token; ended at once on logout, password or role change.';
COMMENT ON COLUMN access.session.idle IS 'Ends by itself after this long without a request.';
COMMENT ON COLUMN access.session.awaiting IS 'What is still to be done before it opens anything; NULL: signed in.';
COMMENT ON COLUMN access.session.new_totp_secret IS 'Second factor being set up in this very session; moves to the account when a code confirms it.';
CREATE INDEX session_account ON access.session (account_id) WHERE ended_at IS NULL;

CREATE TABLE access.login_failure (
  failure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login      text NOT NULL,
  address    inet,
  at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE access.login_failure IS 'Tries to sign in that did not succeed; the wait before the next grows with them. A success clears those of its own address.';
CREATE INDEX login_failure_login ON access.login_failure (login, at);
CREATE INDEX login_failure_address ON access.login_failure (address, at);

CREATE TABLE access.device (
  device_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL,
  token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  account_id bigint NOT NULL REFERENCES access.account,
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  pair_hash  bytea UNIQUE CHECK (length(pair_hash) = 32),
  pair_until timestamptz,
  paired_at  timestamptz,
  seen_at    timestamptz,
  idle       interval NOT NULL DEFAULT '30 days'
);
COMMENT ON TABLE access.device IS '设备: a wall display that signs in by a token of its own instead of a person; read-only.';
COMMENT ON COLUMN access.device.token_hash IS 'SHA-256 of the token in its cookie; before it is paired, of a token nobody has.';
COMMENT ON COLUMN access.device.pair_hash IS '配对码: SHA-256 of a short code typed in at the display once, good until pair_until.';
COMMENT ON COLUMN access.device.idle IS 'Its token ends after this long without a request; a display that is on renews it for ever.';

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

-- 审计 ------------------------------------------------------------------------------------------------------------

CREATE TABLE access.audit (
  seq        bigint PRIMARY KEY,
  at         timestamptz NOT NULL,
  account_id bigint,
  login      text,
  role       text,
  action     text NOT NULL CHECK (action <> ''),
  object_kind text,
  object_id  text,
  address    inet,
  before_digest text,
  after_digest  text,
  reason     text,
  detail     jsonb NOT NULL DEFAULT '{}',
  previous   bytea NOT NULL CHECK (length(previous) = 32),
  hash       bytea NOT NULL CHECK (length(hash) = 32)
);
COMMENT ON TABLE access.audit IS '审计: append-only, each row holds the hash of the one before. Reads and exports of personal data are rows too.';
COMMENT ON COLUMN access.audit.seq IS 'Without gaps, from 1: the order of what happened whatever the clock did.';
COMMENT ON COLUMN access.audit.hash IS 'sha256(previous || canonical text of the row), see access.audit_text().';
CREATE INDEX audit_at ON access.audit (at);
CREATE INDEX audit_account ON access.audit (account_id, at);
CREATE INDEX audit_object ON access.audit (object_kind, object_id);

CREATE TABLE access.audit_head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  seq      bigint NOT NULL,
  hash     bytea NOT NULL
);
COMMENT ON TABLE access.audit_head IS 'The last audit row''s number and hash: a cut tail shows here.';
INSERT INTO access.audit_head (seq, hash) VALUES (0, sha256('onemap audit'::bytea));

-- The text of a row that its hash covers: every field, length-prefixed, so that no two rows read alike.
CREATE FUNCTION access.audit_text(r access.audit) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT string_agg(CASE WHEN f IS NULL THEN '-' ELSE length(f) || ':' || f END, '|' ORDER BY n)
  FROM unnest(ARRAY[
    r.seq::text,
    CASE WHEN isfinite(r.at) THEN (extract(epoch FROM r.at) * 1000000)::bigint::text ELSE 'infinite' END,
    r.account_id::text, r.login, r.role, r.action, r.object_kind, r.object_id, text(r.address),
    r.before_digest, r.after_digest, r.reason, r.detail::text
  ]) WITH ORDINALITY AS u(f, n)
$$;
COMMENT ON FUNCTION access.audit_text(access.audit) IS 'Canonical text of an audit row; gis/access/audit.py computes the same.';

CREATE FUNCTION access.address() RETURNS inet
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN nullif(current_setting('onemap.address', true), '')::inet;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION access.address() IS 'Where this transaction''s request came from; NULL when the web did not say.';

CREATE FUNCTION access.audit_chain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, public, pg_temp AS $$
DECLARE head access.audit_head;
BEGIN
  -- Who did it is the transaction's principal, not what the writer claims. Without one it is the store's own
  -- role (command line, jobs), or, for the web, a stranger: then login is only what was typed.
  NEW.account_id := access.principal();
  NEW.role := NULL;
  IF NEW.account_id IS NOT NULL THEN
    NEW.login := NULL;
    SELECT a.login, a.role INTO NEW.login, NEW.role FROM access.account a WHERE a.account_id = NEW.account_id;
  ELSIF session_user <> 'onemap_app' THEN
    NEW.login := session_user;
  END IF;
  -- The head row is the lock: one writer at a time, so numbers have no gaps and the chain no forks.
  SELECT * INTO head FROM access.audit_head FOR UPDATE;
  NEW.address := coalesce(NEW.address, access.address());
  NEW.seq := head.seq + 1;
  NEW.at := clock_timestamp();
  NEW.previous := head.hash;
  NEW.hash := sha256(NEW.previous || convert_to(access.audit_text(NEW), 'UTF8'));
  UPDATE access.audit_head SET seq = NEW.seq, hash = NEW.hash;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION access.audit_chain() IS 'Trigger: who, number, time, previous hash and hash are the database''s, whatever the writer says.';
CREATE TRIGGER audit_chain BEFORE INSERT ON access.audit FOR EACH ROW EXECUTE FUNCTION access.audit_chain();

CREATE FUNCTION access.audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '审计记录不能修改或删除' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION access.audit_is_append_only() IS 'Trigger: refuses UPDATE, DELETE and TRUNCATE, the owner''s too.';
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access.audit
  FOR EACH STATEMENT EXECUTE FUNCTION access.audit_is_append_only();

-- The principal of a transaction -----------------------------------------------------------------------------------
-- The web sets onemap.principal to an account's number, local to one transaction. Everything below fails closed:
-- no principal, an unknown or disabled one, or one without a scope sees nothing.

CREATE FUNCTION access.principal() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('onemap.principal', true), '')::bigint
$$;
COMMENT ON FUNCTION access.principal() IS 'Account of this transaction; NULL when none is set (current_setting is '''' after SET LOCAL ends).';

CREATE FUNCTION access.today() RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date $$;
COMMENT ON FUNCTION access.today() IS 'The county''s calendar day, whatever the connection''s time zone.';

-- For functions that hand out more than a policy can; the policies ask access.my_codes() (sql/policies/20_rows.sql).
CREATE FUNCTION access.covers(grid text, village text, township text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM access.scope s JOIN access.account a USING (account_id)
    WHERE s.account_id = access.principal() AND a.state = 'active'
      AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today())
      AND (length(s.division_code) = 6 OR s.division_code IN (township, village, grid)))
$$;
COMMENT ON FUNCTION access.covers(text, text, text) IS 'True when the principal''s scope covers the place; 未落点 (all NULL) is the county''s.';

-- What a role may do. The owner at the command line may everything; whoever acts as a principal may what that one may.
CREATE FUNCTION access.may(wanted text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT CASE WHEN access.principal() IS NULL THEN session_user = 'onemap_owner' ELSE EXISTS (
    SELECT FROM access.account a JOIN access.role_permission p ON p.role = a.role
    WHERE a.account_id = access.principal() AND a.state = 'active' AND p.permission = wanted) END
$$;
COMMENT ON FUNCTION access.may(text) IS 'Whether this transaction''s principal has the permission.';

CREATE FUNCTION access.must(wanted text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF NOT access.may(wanted) THEN
    RAISE EXCEPTION '没有权限：%', wanted USING ERRCODE = 'insufficient_privilege';
  END IF;
END
$$;
COMMENT ON FUNCTION access.must(text) IS 'Refuses a transaction whose principal lacks the permission.';

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
