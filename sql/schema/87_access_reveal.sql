-- 揭示: one personal field of one person, for a reason, on record. The database decides and hands out ciphertext only.

-- verdict: 'given', 'reason' (too short), 'forbidden' (role), 'enough' (daily limit), 'absent' (foreign and unknown look alike).
-- Nothing is raised: the audit row of a refusal must stay.
CREATE FUNCTION access.reveal(
  p_kind text, p_id text, p_field text, p_reason text, p_address inet, p_shortest int, p_per_day int,
  OUT verdict text, OUT ciphertext bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  IF length(btrim(coalesce(p_reason, ''))) < p_shortest THEN
    verdict := 'reason';
  ELSIF access.principal() IS NULL OR NOT access.may('person.reveal') THEN
    verdict := 'forbidden';
  ELSIF (SELECT count(*) FROM access.audit a WHERE a.account_id = access.principal() AND a.action = 'reveal'
         AND a.at >= access.today()::timestamp AT TIME ZONE 'Asia/Shanghai') >= p_per_day THEN
    verdict := 'enough';
  ELSE
    IF p_kind = 'person' AND p_id ~ '^[0-9]{1,18}$' AND p_field IN ('name', 'id_number', 'phone') THEN
      SELECT CASE p_field WHEN 'name' THEN p.name_enc WHEN 'id_number' THEN p.id_number_enc ELSE p.phone_enc END
        INTO ciphertext
      FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id
      WHERE p.person_id = p_id::bigint AND access.covers(h.grid_code, h.village_code, h.township_code);
    ELSIF p_kind = 'contractor' AND p_field IN ('name', 'id_number', 'phone', 'witness') THEN
      SELECT CASE p_field WHEN 'name' THEN c.name_enc WHEN 'id_number' THEN c.id_number_enc
                          WHEN 'phone' THEN c.phone_enc ELSE c.witness_enc END
        INTO ciphertext
      FROM personal.contractor c
      WHERE c.contractor_code = p_id AND EXISTS (
        SELECT FROM onemap.parcel l WHERE l.contractor_code = c.contractor_code
          AND access.covers(l.grid_code, l.village_code, l.township_code));
    END IF;
    verdict := CASE WHEN ciphertext IS NULL THEN 'absent' ELSE 'given' END;
  END IF;
  PERFORM access.note(CASE verdict WHEN 'given' THEN 'reveal' ELSE 'reveal.refused' END, p_kind, left(p_id, 40), p_address,
                      left(p_reason, 200), jsonb_build_object('field', left(p_field, 40), 'verdict', verdict));
END
$$;
COMMENT ON FUNCTION access.reveal IS 'Ciphertext of one field of one person in the principal''s scope, and the audit row in the same transaction.';

-- 查重: whose number is this? Only within scope, by keyed hash; the number itself never reaches the database.
CREATE FUNCTION access.person_by_key(p_field text, p_key bytea) RETURNS TABLE (person_id bigint, household_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  PERFORM access.must('household.view');
  RETURN QUERY
    SELECT p.person_id, p.household_id FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id
    WHERE CASE p_field WHEN 'id_number' THEN p.id_number_key = p_key WHEN 'phone' THEN p.phone_key = p_key END
      AND access.covers(h.grid_code, h.village_code, h.township_code)
    ORDER BY p.person_id;
  PERFORM access.note('person.searched', 'person', NULL, NULL, NULL, jsonb_build_object('field', p_field));
END
$$;
COMMENT ON FUNCTION access.person_by_key(text, bytea) IS 'People of the principal''s scope with exactly this number.';

CREATE FUNCTION access.people_of(p_household bigint)
RETURNS TABLE (person_id bigint, is_head boolean, name_masked text, id_number_masked text, phone_masked text, born_year smallint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  PERFORM access.must('household.view');
  RETURN QUERY
    SELECT p.person_id, p.is_head, p.name_masked, p.id_number_masked, p.phone_masked, p.born_year
    FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id
    WHERE p.household_id = p_household AND access.covers(h.grid_code, h.village_code, h.township_code)
    ORDER BY NOT p.is_head, p.person_id;
END
$$;
COMMENT ON FUNCTION access.people_of(bigint) IS 'A household''s people, masked; no row for a household outside the scope.';
