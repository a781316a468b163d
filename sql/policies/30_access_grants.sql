-- Access: the web reaches it through functions only; of the audit trail it can do nothing but add.

REVOKE ALL ON SCHEMA access FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA access FROM PUBLIC, onemap_app, onemap_reader, onemap_job;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA access FROM PUBLIC;
GRANT USAGE ON SCHEMA access TO onemap_app, onemap_reader, onemap_job;

-- What policies and views ask; the answer depends on the principal alone.
GRANT EXECUTE ON FUNCTION access.principal(), access.address(), access.today(), access.may(text), access.must(text)
  TO onemap_app, onemap_reader, onemap_job;

GRANT SELECT ON access.mine TO onemap_app, onemap_reader;

-- No seq, time, hash or account: those are the trigger's.
GRANT INSERT (login, action, object_kind, object_id, address, before_digest, after_digest, reason, detail)
  ON access.audit TO onemap_app, onemap_job;
GRANT EXECUTE ON FUNCTION access.audit_last() TO onemap_app, onemap_job;

-- Signing in, and the three administrators' pages. access.note, act_as, sessions_end are for the functions themselves.
GRANT EXECUTE ON FUNCTION access.try_begin, access.try_failed, access.session_open, access.session_of, access.session_awaiting,
  access.totp_offer, access.totp_use, access.password_chosen, access.password_rehashed, access.passwords_of,
  access.session_end, access.account_of_identity, access.identity_unknown, access.device_pair, access.demo_logins
  TO onemap_app;
GRANT EXECUTE ON FUNCTION access.account_list, access.account_add, access.account_set_state, access.account_set_role,
  access.password_given, access.second_factor_forget, access.scope_list, access.scope_add, access.scope_end,
  access.session_list, access.session_revoke, access.device_list, access.device_add, access.device_pair_again,
  access.device_revoke, access.identity_list, access.identity_close,
  access.audit_search, access.audit_texts, access.audit_month
  TO onemap_app;
GRANT EXECUTE ON FUNCTION access.reveal, access.person_by_key, access.people_of TO onemap_app;

-- A merger of divisions runs as job, and scopes go with it.
GRANT EXECUTE ON FUNCTION access.scope_follow TO onemap_job;
