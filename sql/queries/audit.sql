-- The audit trail: adding, reading, recomputing. The web may add and, as audit administrator, read.

-- add --
INSERT INTO access.audit (action, object_kind, object_id, address, before_digest, after_digest, reason, detail)
VALUES (%(action)s, %(object_kind)s, %(object_id)s, %(address)s, %(before)s, %(after)s, %(reason)s, %(detail)s);

-- search --
SELECT * FROM access.audit_search(%(since)s, %(until)s, %(login)s, %(action)s, %(object_kind)s, %(object_id)s, %(before)s, %(limit)s);

-- texts --
SELECT seq, previous, hash, fields FROM access.audit_texts(%s, %s);

-- last --
SELECT seq, hash FROM access.audit_last();

-- identity --
SELECT concat_ws('/', d.datname, c.system_identifier, d.oid) FROM pg_control_system() c, pg_database d
WHERE d.datname = current_database();

-- month --
-- Rows of one month, in order of their numbers: what is public of each, and its hash.
SELECT seq, hash, public FROM access.audit_month(%(since)s, %(until)s, %(after)s, %(limit)s);
