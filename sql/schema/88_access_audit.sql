-- 审计的阅读: what the audit administrator searches, recomputes and prints. Each function asks access.must() first.


CREATE FUNCTION access.audit_search(
  p_from timestamptz, p_to timestamptz, p_login text, p_action text, p_kind text, p_id text, p_before bigint, p_limit int)
RETURNS TABLE (seq bigint, at timestamptz, account_id bigint, login text, role text, action text, object_kind text,
               object_id text, address inet, before_digest text, after_digest text, reason text, detail jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('audit.read');
  RETURN QUERY
    SELECT a.seq, a.at, a.account_id, a.login, a.role, a.action, a.object_kind, a.object_id, a.address, a.before_digest,
           a.after_digest, a.reason, a.detail
    FROM access.audit a
    WHERE (p_from IS NULL OR a.at >= p_from) AND (p_to IS NULL OR a.at < p_to)
      AND (p_login IS NULL OR a.login = p_login)
      AND (p_action IS NULL OR a.action = p_action OR starts_with(a.action, p_action || '.'))
      AND (p_kind IS NULL OR a.object_kind = p_kind) AND (p_id IS NULL OR a.object_id = p_id)
      AND (p_before IS NULL OR a.seq < p_before)
    ORDER BY a.seq DESC LIMIT least(greatest(p_limit, 1), 1000);
  PERFORM access.note('audit.read', 'audit', NULL, NULL, NULL, jsonb_strip_nulls(jsonb_build_object(
    'from', p_from, 'to', p_to, 'login', p_login, 'action', p_action, 'kind', p_kind, 'id', p_id, 'before', p_before)));
END
$$;
COMMENT ON FUNCTION access.audit_search IS 'Audit rows, newest first; reading them is a row too.';

-- Everything the hash covers, as text, for the recomputation outside the database.
CREATE FUNCTION access.audit_texts(p_after bigint, p_limit int)
RETURNS TABLE (seq bigint, previous bytea, hash bytea, fields text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('audit.read');
  RETURN QUERY
    SELECT r.seq, r.previous, r.hash, ARRAY[
      r.seq::text,
      CASE WHEN isfinite(r.at) THEN (extract(epoch FROM r.at) * 1000000)::bigint::text ELSE 'infinite' END,
      r.account_id::text, r.login, r.role, r.action, r.object_kind, r.object_id, text(r.address),
      r.before_digest, r.after_digest, r.reason, r.detail::text]
    FROM access.audit r WHERE r.seq > p_after ORDER BY r.seq LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION access.audit_texts(bigint, int) IS 'Rows in order with the texts their hashes cover; gis/access/audit.py recomputes them.';

CREATE FUNCTION access.audit_month(p_from timestamptz, p_to timestamptz, p_after bigint, p_limit int)
RETURNS TABLE (seq bigint, hash bytea, public text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('audit.read');
  RETURN QUERY
    SELECT r.seq, r.hash, ARRAY[r.seq::text, to_char(r.at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI:SS'),
                                r.action, r.object_kind, r.object_id]
    FROM access.audit r WHERE r.at >= p_from AND r.at < p_to AND r.seq > p_after ORDER BY r.seq LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION access.audit_month IS 'A month''s rows for its receipt: number, hash, and what a villager may see of each.';

CREATE FUNCTION access.audit_last(OUT seq bigint, OUT hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT h.seq, h.hash FROM access.audit_head h
$$;
COMMENT ON FUNCTION access.audit_last() IS 'Number and hash of the last row, to be remembered outside the database. Tells nothing of what happened.';
