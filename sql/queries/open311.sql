-- Open311: one question to the store for what is public of incidents, and the keys of partners (sql/policies/48_open311.sql).

-- requests --
SELECT * FROM onemap.open311_requests(%(numbers)s::text[], %(items)s::text[], %(states)s::text[], %(since)s, %(until)s, %(shown)s, %(most)s);

-- submitted --
SELECT is_same FROM onemap.submission_of(%(key)s, %(digest)s);

-- key_of --
SELECT account_id, login, display_name, role, scope FROM access.api_key_of(%s);

-- key_add --
SELECT access.api_key_add(%(name)s, %(token)s, %(account_id)s, %(expires_at)s, %(idle)s, %(reason)s);
