-- 揭示: one personal field of one person, for a reason, on record. The database decides and hands out ciphertext only.

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
