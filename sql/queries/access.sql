-- Accounts, sessions, scopes, devices: calls of the functions that alone may touch them (sql/schema, schema access).

-- roles_held --
SELECT DISTINCT role FROM access.account WHERE state = 'active';

-- roles_published --
SELECT role, name, is_administrator FROM access.role;

-- permissions_published --
SELECT role, permission FROM access.role_permission;

-- roles_clear --
DELETE FROM access.role;

-- role_publish --
INSERT INTO access.role (role, name, is_administrator) VALUES (%s, %s, %s);

-- permission_publish --
INSERT INTO access.role_permission (role, permission) VALUES (%s, %s);

-- act_as --
SELECT set_config('onemap.principal', %s, true);

-- try_begin --
SELECT * FROM access.try_begin(%(login)s, %(address)s, %(pair)s, %(per_login)s, %(per_address)s, %(memory)s);

-- try_failed --
SELECT access.try_failed(%s, %s, %s);

-- session_open --
SELECT access.session_open(%(account_id)s, %(token)s, %(old)s, %(address)s, %(agent)s, %(awaiting)s, %(how)s, %(idle)s, %(life)s);

-- session_of --
SELECT * FROM access.session_of(%s);

-- session_awaiting --
SELECT * FROM access.session_awaiting(%s);

-- session_end --
SELECT access.session_end(%s, %s);

-- session_list --
SELECT * FROM access.session_list();

-- session_revoke --
SELECT access.session_revoke(%s, %s);

-- totp_offer --
SELECT access.totp_offer(%s, %s);

-- totp_use --
SELECT access.totp_use(%s, %s, %s);

-- password_chosen --
SELECT access.password_chosen(%s, %s, %s);

-- password_rehashed --
SELECT access.password_rehashed(%s, %s, %s);

-- passwords_of --
SELECT * FROM access.passwords_of(%s);

-- password_given --
SELECT access.password_given(%s, %s, %s, %s);

-- account_of_identity --
SELECT * FROM access.account_of_identity(%s, %s);

-- account_list --
SELECT * FROM access.account_list();

-- account_add --
SELECT access.account_add(%(login)s, %(display_name)s, %(role)s, %(unit)s, %(hash)s, %(is_demo)s, %(temporary)s, %(reason)s);

-- account_set_state --
SELECT access.account_set_state(%s, %s, %s);

-- account_set_role --
SELECT access.account_set_role(%s, %s, %s);

-- second_factor_forget --
SELECT access.second_factor_forget(%s, %s);

-- scope_list --
SELECT * FROM access.scope_list(%s);

-- scope_add --
SELECT access.scope_add(%s, %s, %s, %s, %s);

-- scope_end --
SELECT access.scope_end(%s, %s);

-- device_list --
SELECT * FROM access.device_list();

-- device_add --
SELECT access.device_add(%(name)s, %(token)s, %(account_id)s, %(expires_at)s, %(pair)s, %(pair_life)s, %(idle)s, %(reason)s);

-- device_pair_again --
SELECT access.device_pair_again(%s, %s, %s, %s);

-- device_pair --
SELECT access.device_pair(%s, %s, %s);

-- device_revoke --
SELECT access.device_revoke(%s, %s);

-- reveal --
SELECT verdict, ciphertext, source FROM access.reveal(%(kind)s, %(id)s, %(field)s, %(reason)s, %(address)s, %(shortest)s, %(per_day)s);

-- demo_divisions --
-- One division of each level: the county; the township asked for, or where there is none of that code the first town or
-- township that is no 街道 (whose code goes on with 0); the first village of it that has fields, and its first grid.
WITH township AS (
  SELECT d.code FROM onemap.division_now d
  WHERE d.level = 2
  ORDER BY coalesce(d.code = %(township)s, false) DESC, substr(d.code, 7, 1) = '0', d.code LIMIT 1
), village AS (
  SELECT d.code FROM onemap.division_now d JOIN township t ON d.parent_code = t.code
  WHERE d.level = 3
  ORDER BY EXISTS (SELECT FROM onemap.parcel_summary p WHERE p.village_code = d.code) DESC, d.code LIMIT 1
)
SELECT 1 AS level, code FROM onemap.division_now WHERE level = 1
UNION ALL SELECT 2, code FROM township
UNION ALL SELECT 3, code FROM village
UNION ALL SELECT 4, min(d.code) FROM onemap.division_now d JOIN village v ON d.parent_code = v.code WHERE d.level = 4 HAVING min(d.code) IS NOT NULL;

-- identity_unknown --
SELECT access.identity_unknown(%s, %s, %s);

-- identity_list --
SELECT * FROM access.identity_list();

-- identity_close --
SELECT access.identity_close(%s, %s, %s);

-- demo_logins --
SELECT login, role, division_code FROM access.demo_logins();

-- sight_renew --
-- Scopes that began or ended by their dates since they were last looked at.
SELECT access.sight_renew(principal::bigint) FROM access.sight WHERE until <= access.today();

-- demo_accounts --
SELECT login FROM access.account WHERE is_demo AND state = 'active' ORDER BY login;

-- demo_passwords --
SELECT account_id, login, password_hash IS NOT NULL AS has_password FROM access.account WHERE is_demo;
