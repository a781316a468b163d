-- A merger: versions end, one new version begins, children change their parent, the change is on record.

-- standing --
SELECT code, name, parent_code, valid_from FROM onemap.division
WHERE code = ANY(%(codes)s) AND valid_to IS NULL FOR UPDATE;

-- new_version --
-- Ends all versions, and begins one with the union of boundaries. A sum with an unknown part is unknown.
WITH ended AS (
  UPDATE onemap.division SET valid_to = %(on)s WHERE code = ANY(%(codes)s) AND valid_to IS NULL RETURNING *
)
INSERT INTO onemap.division (code, level, name, parent_code, urban_rural, households, population, valid_from, boundary_status, load_id, geom, seat)
SELECT k.code, k.level, coalesce(%(name)s, k.name), k.parent_code, k.urban_rural, s.households, s.population, %(on)s,
       s.boundary_status, k.load_id, s.geom, k.seat
FROM ended k
CROSS JOIN (
  SELECT CASE WHEN count(*) = count(households) THEN sum(households) END AS households,
         CASE WHEN count(*) = count(population) THEN sum(population) END AS population,
         max(boundary_status) AS boundary_status,
         CASE WHEN count(*) = count(geom) THEN ST_Multi(ST_Union(geom)) END AS geom
  FROM ended
) s
WHERE k.code = %(into)s;

-- move_children --
WITH ended AS (
  UPDATE onemap.division SET valid_to = %(on)s WHERE parent_code = ANY(%(from)s) AND valid_to IS NULL RETURNING *
)
INSERT INTO onemap.division (code, level, name, parent_code, urban_rural, households, population, valid_from, boundary_status, load_id, geom, seat)
SELECT code, level, name, %(into)s, urban_rural, households, population, %(on)s, boundary_status, load_id, geom, seat FROM ended;

-- scopes --
SELECT access.scope_follow(%(from)s, %(into)s, %(on)s, %(document)s);

-- township_parts --
UPDATE onemap.case_part SET township_code = %(into)s WHERE township_code = ANY(%(from)s::text[]);

-- village_parts --
-- A case that touched several of the villages has one part of them left: it leads if one of them led, and is done when all are.
WITH gone AS (
  DELETE FROM onemap.case_part p
  WHERE p.village_code = ANY(%(codes)s::text[])
    AND EXISTS (SELECT FROM onemap.case_part f WHERE f.case_id = p.case_id AND f.village_code = ANY(%(from)s::text[]))
  RETURNING *
)
INSERT INTO onemap.case_part (case_id, is_lead, share_pct, assignee_id, done_at, note, village_code, township_code)
SELECT case_id, bool_or(is_lead), CASE WHEN count(*) = count(share_pct) THEN least(sum(share_pct), 100) END,
       (array_agg(assignee_id ORDER BY is_lead DESC, part_id) FILTER (WHERE assignee_id IS NOT NULL))[1],
       CASE WHEN count(*) = count(done_at) THEN max(done_at) END, string_agg(note, '；' ORDER BY part_id),
       %(into)s, min(township_code)
FROM gone GROUP BY case_id;

-- record --
INSERT INTO onemap.division_change (kind, on_date, from_code, to_code, document)
SELECT 'merge', %(on)s, code, %(into)s, %(document)s FROM unnest(%(from)s::text[]) AS code;
